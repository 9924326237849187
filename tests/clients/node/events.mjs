// One JSON object a line on standard output, written at once: what the tests read.

import { writeSync } from 'node:fs';

const HEADERS = ['x-keyswap-reason', 'www-authenticate', 'retry-after'];

export function emit(event, fields) {
  writeSync(1, `${JSON.stringify({ event, ...fields })}\n`);
}

// Reports the text of every event of a stream as it arrives, empty or not, then the whole text.
export async function emitStream(events, textOf) {
  let whole = '';
  for await (const event of events) {
    const text = textOf(event) ?? '';
    whole += text;
    emit('chunk', { text });
  }
  emit('done', { text: whole });
}

// Reports the SDK's exception as a developer sees it.
export function emitError(error) {
  const present = HEADERS.filter((name) => error.headers?.has(name));
  emit('error', {
    class: error.constructor.name,
    status: error.status ?? null,
    message: error.message,
    code: error.code ?? error.errorCode ?? null,
    type: error.type ?? error.error?.error?.type ?? null,
    headers: Object.fromEntries(present.map((name) => [name, error.headers.get(name)])),
  });
}

// Reports an answer where a WebSocket was asked for.
export async function emitResponse(response) {
  const body = Buffer.concat(await response.toArray()).toString();
  const present = HEADERS.filter((name) => name in response.headers);
  emit('error', {
    class: 'unexpected-response',
    status: response.statusCode,
    message: body,
    code: null,
    type: null,
    headers: Object.fromEntries(present.map((name) => [name, response.headers[name]])),
  });
}

// `KEYSWAP_EXTRA_HEADERS`, where null leaves out a header that the SDK would send.
export function extraHeaders() {
  return JSON.parse(process.env.KEYSWAP_EXTRA_HEADERS || '{}');
}

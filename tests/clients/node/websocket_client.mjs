// `ws`, unmodified, through Keyswap: `node websocket_client.mjs MODE`, where MODE says where the token is sent.
// `KEYSWAP_BASE_URL` is the whole URL, `KEYSWAP_TOKEN` the proxy token.

import WebSocket from 'ws';

import { emit, emitResponse, extraHeaders } from './events.mjs';

const { KEYSWAP_BASE_URL, KEYSWAP_TOKEN: token } = process.env;
const headers = extraHeaders();
const url = new URL(KEYSWAP_BASE_URL);

const MODES = {
  subprotocol: () => new WebSocket(url, ['realtime', `openai-insecure-api-key.${token}`], { headers }),
  header: () => new WebSocket(url, ['realtime'], { headers: { ...headers, authorization: `Bearer ${token}` } }),
  query: () => {
    url.searchParams.set('key', token);
    return new WebSocket(url, { headers });
  },
};

// What is sent after the opening, one message after the echo of the one before.
const every = Buffer.from(Array.from({ length: 70_000 }, (_, index) => index % 256));
const MESSAGES = ['{"type":"response.create"}', 'καλημέρα \u0000 🦀', every, Buffer.alloc(0)];

const socket = MODES[process.argv[2]]();
const next = () => (MESSAGES.length ? socket.send(MESSAGES.shift()) : socket.close(1000));
socket.on('open', () => {
  emit('open', { protocol: socket.protocol });
  next();
});
socket.on('message', (data, isBinary) => {
  emit('chunk', { text: isBinary ? `hex:${data.toString('hex')}` : data.toString() });
  if (!data.includes('session.created')) next();
});
socket.on('close', (code) => emit('done', { text: String(code) }));
socket.on('unexpected-response', async (_request, response) => {
  await emitResponse(response);
  process.exit();
});

// The OpenAI SDK, unmodified, through Keyswap: `node openai_client.mjs MODE`.
// `KEYSWAP_BASE_URL` is the proxy's root, `KEYSWAP_TOKEN` the proxy token.

import OpenAI, { OpenAIError } from 'openai';

import { emit, emitError, emitStream, extraHeaders } from './events.mjs';

const model = 'gpt-5.5';
const input = 'Say hello.';
const messages = [{ role: 'user', content: input }];

const MODES = {
  async chat(client) {
    const completion = await client.chat.completions.create({ model, messages });
    emit('done', { text: completion.choices[0].message.content });
  },
  async stream(client) {
    await emitStream(chatDeltas(await client.chat.completions.create({ model, messages, stream: true })));
  },
  async responses(client) {
    emit('done', { text: (await client.responses.create({ model, input })).output_text });
  },
  async 'responses-stream'(client) {
    await emitStream(responseDeltas(await client.responses.create({ model, input, stream: true })));
  },
  async models(client) {
    const ids = [];
    for await (const { id } of client.models.list()) ids.push(id);
    emit('done', { text: ids.join(' ') });
  },
};

async function* chatDeltas(chunks) {
  for await (const chunk of chunks) {
    const text = chunk.choices[0]?.delta.content;
    if (text) yield text;
  }
}

async function* responseDeltas(events) {
  for await (const event of events) {
    if (event.type === 'response.output_text.delta') yield event.delta;
  }
}

const client = new OpenAI({
  baseURL: `${process.env.KEYSWAP_BASE_URL}/v1`,
  apiKey: process.env.KEYSWAP_TOKEN,
  defaultHeaders: extraHeaders(),
  maxRetries: 0,
});

try {
  await MODES[process.argv[2]](client);
} catch (error) {
  if (!(error instanceof OpenAIError)) throw error;
  emitError(error);
}

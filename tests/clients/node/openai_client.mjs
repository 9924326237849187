// The OpenAI SDK, unmodified, through Keyswap: `node openai_client.mjs MODE`.
// `KEYSWAP_BASE_URL` is its base URL, `KEYSWAP_TOKEN` the proxy token.

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
    const chunks = await client.chat.completions.create({ model, messages, stream: true });
    await emitStream(chunks, (chunk) => chunk.choices[0]?.delta.content);
  },
  async responses(client) {
    emit('done', { text: (await client.responses.create({ model, input })).output_text });
  },
  async 'responses-stream'(client) {
    const events = await client.responses.create({ model, input, stream: true });
    await emitStream(events, ({ type, delta }) => (type === 'response.output_text.delta' ? delta : ''));
  },
  async models(client) {
    const ids = [];
    for await (const { id } of client.models.list()) ids.push(id);
    emit('done', { text: ids.join(' ') });
  },
};

const client = new OpenAI({
  baseURL: process.env.KEYSWAP_BASE_URL,
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

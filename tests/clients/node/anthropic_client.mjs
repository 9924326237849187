// The Anthropic SDK, unmodified, through Keyswap: `node anthropic_client.mjs MODE [PACKAGE]`.
// `KEYSWAP_BASE_URL` is its base URL, `KEYSWAP_TOKEN` the proxy token.

import { emit, emitError, emitStream, extraHeaders } from './events.mjs';

const [mode, name = '@anthropic-ai/sdk'] = process.argv.slice(2);
const { default: Anthropic, AnthropicError } = await import(name);

const MESSAGE = {
  model: 'claude-opus-5-5',
  max_tokens: 64,
  messages: [{ role: 'user', content: 'Say hello.' }],
};

const MODES = {
  async chat(client) {
    const { content } = await client.messages.create(MESSAGE);
    const texts = content.filter(({ type }) => type === 'text').map(({ text }) => text);
    emit('done', { text: texts.join('') });
  },
  async stream(client) {
    await emitStream(client.messages.stream(MESSAGE), ({ delta }) => delta?.text);
  },
  async models(client) {
    const ids = [];
    for await (const { id } of client.models.list()) ids.push(id);
    emit('done', { text: ids.join(' ') });
  },
};

const key = mode === 'auth-token' ? 'authToken' : 'apiKey';
const client = new Anthropic({
  baseURL: process.env.KEYSWAP_BASE_URL,
  [key]: process.env.KEYSWAP_TOKEN,
  defaultHeaders: extraHeaders(),
  maxRetries: 0,
});

try {
  await (mode === 'auth-token' ? MODES.chat : MODES[mode])(client);
} catch (error) {
  if (!(error instanceof AnthropicError)) throw error;
  emitError(error);
}

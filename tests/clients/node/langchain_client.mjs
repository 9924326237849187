// LangChain, unmodified, through Keyswap: `node langchain_client.mjs MODE PACKAGE`.
// `KEYSWAP_BASE_URL` is its base URL, `KEYSWAP_TOKEN` the proxy token.

import { ChatAnthropic } from '@langchain/anthropic';
import { ChatGoogleGenerativeAI } from '@langchain/google-genai';
import { ChatOpenAI } from '@langchain/openai';

import { emit, emitStream } from './events.mjs';

const PROMPT = 'Say hello.';

const PACKAGES = {
  '@langchain/anthropic': (apiKey, url) =>
    new ChatAnthropic({ model: 'claude-opus-5-5', apiKey, anthropicApiUrl: url }),
  '@langchain/google-genai': (apiKey, baseUrl) =>
    new ChatGoogleGenerativeAI({ model: 'gemini-3-flash', apiKey, baseUrl }),
  '@langchain/openai': (apiKey, baseURL) =>
    new ChatOpenAI({ model: 'gpt-5.5', apiKey, configuration: { baseURL } }),
};

const MODES = {
  async chat(model) {
    emit('done', { text: (await model.invoke(PROMPT)).text });
  },
  async stream(model) {
    await emitStream(await model.stream(PROMPT), ({ text }) => text);
  },
};

const { KEYSWAP_BASE_URL, KEYSWAP_TOKEN } = process.env;
const [mode, name] = process.argv.slice(2);
await MODES[mode](PACKAGES[name](KEYSWAP_TOKEN, KEYSWAP_BASE_URL));

// The Vercel AI SDK, unmodified, through Keyswap: `node ai_sdk_client.mjs MODE PACKAGE`.
// `KEYSWAP_BASE_URL` is its base URL, `KEYSWAP_TOKEN` the proxy token.

import { createAnthropic } from '@ai-sdk/anthropic';
import { createGoogleGenerativeAI } from '@ai-sdk/google';
import { createOpenAI } from '@ai-sdk/openai';
import { generateText, streamText } from 'ai';

import { emit, emitStream } from './events.mjs';

const PACKAGES = {
  '@ai-sdk/anthropic': (settings) => createAnthropic(settings)('claude-opus-5-5'),
  '@ai-sdk/google': (settings) => createGoogleGenerativeAI(settings)('gemini-3-flash'),
  '@ai-sdk/openai': (settings) => createOpenAI(settings)('gpt-5.5'),
};

const MODES = {
  async chat(call) {
    emit('done', { text: (await generateText(call)).text });
  },
  async stream(call) {
    await emitStream(streamText(call).textStream, (text) => text);
  },
};

const { KEYSWAP_BASE_URL: baseURL, KEYSWAP_TOKEN: apiKey } = process.env;
const [mode, name] = process.argv.slice(2);
await MODES[mode]({ model: PACKAGES[name]({ baseURL, apiKey }), prompt: 'Say hello.' });

// Genkit, unmodified, through Keyswap: `node genkit_client.mjs MODE`.
// `KEYSWAP_BASE_URL` is its base URL, `KEYSWAP_TOKEN` the proxy token.

import { googleAI } from '@genkit-ai/google-genai';
import { genkit } from 'genkit';

import { emit, emitStream } from './events.mjs';

const MODES = {
  async chat(ai, call) {
    emit('done', { text: (await ai.generate(call)).text });
  },
  async stream(ai, call) {
    await emitStream(ai.generateStream(call).stream, ({ text }) => text);
  },
};

const { KEYSWAP_BASE_URL: baseUrl, KEYSWAP_TOKEN: apiKey } = process.env;
const ai = genkit({ plugins: [googleAI({ apiKey, baseUrl })] });
await MODES[process.argv[2]](ai, { model: googleAI.model('gemini-3-flash'), prompt: 'Say hello.' });

// google-genai, unmodified, through Keyswap: `node google_genai_client.mjs MODE`.
// `KEYSWAP_BASE_URL` is its base URL, `KEYSWAP_TOKEN` the proxy token.

import { GoogleGenAI } from '@google/genai';

import { emit, emitStream } from './events.mjs';

const PROMPT = { model: 'gemini-3-flash', contents: 'Say hello.' };

const MODES = {
  async chat({ models }) {
    emit('done', { text: (await models.generateContent(PROMPT)).text });
  },
  async stream({ models }) {
    await emitStream(await models.generateContentStream(PROMPT), ({ text }) => text);
  },
  async upload({ files }) {
    const file = new Blob(['bytes of a file'], { type: 'text/plain' });
    emit('done', { text: (await files.upload({ file })).uri });
  },
};

const { KEYSWAP_BASE_URL: baseUrl, KEYSWAP_TOKEN: apiKey } = process.env;
await MODES[process.argv[2]](new GoogleGenAI({ apiKey, httpOptions: { baseUrl } }));

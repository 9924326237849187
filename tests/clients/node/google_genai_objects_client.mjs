// Objects by google-genai, unmodified, through Keyswap: `node google_genai_objects_client.mjs MODE PACKAGE [ID…]`.
// `KEYSWAP_BASE_URL` is its base URL, `KEYSWAP_TOKEN` the proxy token.

import { GoogleGenAI } from '@google/genai';

import { idsOf, run } from './objects.mjs';

const model = 'gemini-3-flash';

const { KEYSWAP_BASE_URL: baseUrl, KEYSWAP_TOKEN: apiKey } = process.env;
const { caches, files, models } = new GoogleGenAI({ apiKey, httpOptions: { baseUrl } });

await run({
  async keep() {
    const file = await files.upload({ file: new Blob(['bytes of a file'], { type: 'text/plain' }) });
    const cache = await caches.create({ model, config: { contents: 'hi' } });
    await files.get({ name: file.name });
    await caches.get({ name: cache.name });
    const kept = [file.name, cache.name];
    return { kept, inLists: kept };
  },
  attempts: (file, cache) => [
    () => files.get({ name: file }),
    () => files.delete({ name: file }),
    () => caches.get({ name: cache }),
    () => caches.delete({ name: cache }),
    () => models.generateContent({ model, contents: 'hi', config: { cachedContent: cache } }),
  ],
  list: async () => idsOf(await files.list(), await caches.list()),
});

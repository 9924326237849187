// Objects by the Anthropic SDK, unmodified, through Keyswap: `node anthropic_objects_client.mjs MODE PACKAGE [ID…]`.
// `KEYSWAP_BASE_URL` is its base URL, `KEYSWAP_TOKEN` the proxy token.

import Anthropic, { toFile } from '@anthropic-ai/sdk';

import { idsOf, run } from './objects.mjs';

const PARAMS = { model: 'claude-opus-5-5', max_tokens: 1, messages: [{ role: 'user', content: 'hi' }] };

const { KEYSWAP_BASE_URL: baseURL, KEYSWAP_TOKEN: apiKey } = process.env;
const client = new Anthropic({ baseURL, apiKey });
const { files } = client.beta;
const { batches } = client.messages;

await run({
  async keep() {
    const file = await files.upload({ file: await toFile(Buffer.from('hi'), 'f.txt', { type: 'text/plain' }) });
    const batch = await batches.create({ requests: [{ custom_id: 'a', params: PARAMS }] });
    await files.retrieveMetadata(file.id);
    await batches.retrieve(batch.id);
    // The SDK takes the address of the results from the batch.
    const results = [];
    for await (const result of await batches.results(batch.id)) results.push(result);
    if (results.length !== 1) throw new Error(`the batch has ${results.length} results`);
    const kept = [file.id, batch.id];
    return { kept, inLists: kept };
  },
  attempts: (file, batch) => [
    () => files.retrieveMetadata(file),
    () => files.download(file),
    () => files.delete(file),
    () => batches.retrieve(batch),
    () => batches.results(batch),
    () => batches.cancel(batch),
    () => batches.delete(batch),
    () => batches.list({ after_id: batch }),
  ],
  list: () => idsOf(files.list({ limit: 2 }), batches.list({ limit: 2 })),
});

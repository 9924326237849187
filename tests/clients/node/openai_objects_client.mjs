// Objects by the OpenAI SDK, unmodified, through Keyswap: `node openai_objects_client.mjs MODE PACKAGE [ID…]`.
// `KEYSWAP_BASE_URL` is its base URL, `KEYSWAP_TOKEN` the proxy token.

import OpenAI, { toFile } from 'openai';

import { idsOf, run } from './objects.mjs';

const ASKED = { model: 'gpt-5.5', input: 'hi' };
const BATCH = { endpoint: '/v1/responses', completion_window: '24h' };

const { KEYSWAP_BASE_URL: baseURL, KEYSWAP_TOKEN: apiKey } = process.env;
const client = new OpenAI({ baseURL, apiKey });
const { files, batches, vectorStores, conversations, responses } = client;

await run({
  async keep() {
    const file = await files.create({ file: await toFile(Buffer.from('{}'), 'f.jsonl'), purpose: 'batch' });
    const batch = await batches.create({ input_file_id: file.id, ...BATCH });
    const store = await vectorStores.create({ name: 'v', file_ids: [file.id] });
    const conversation = await conversations.create({});
    const response = await responses.create({ ...ASKED, conversation: conversation.id });
    const events = await responses.create({ ...ASKED, previous_response_id: response.id, stream: true });
    let streamed;
    for await (const event of events) if (event.type === 'response.created') streamed = event.response.id;
    await files.retrieve(file.id);
    await files.content(file.id);
    await responses.retrieve(streamed);
    const inLists = [file.id, batch.id, store.id];
    return { kept: [...inLists, conversation.id, response.id, streamed], inLists };
  },
  attempts: (file, batch, store, conversation, response, streamed) => [
    () => files.retrieve(file),
    () => files.content(file),
    () => files.delete(file),
    () => batches.retrieve(batch),
    () => batches.create({ input_file_id: file, ...BATCH }),
    () => vectorStores.delete(store),
    () => responses.create({ ...ASKED, conversation }),
    () => responses.create({ ...ASKED, previous_response_id: response }),
    () => responses.create({ ...ASKED, previous_response_id: streamed, stream: true }),
    () => responses.create({ model: ASKED.model, input: [{ type: 'item_reference', id: 'msg_1' }] }),
    () => responses.delete(streamed),
    () => files.list({ after: file }),
  ],
  list: () => idsOf(files.list({ limit: 2 }), batches.list({ limit: 2 }), vectorStores.list({ limit: 2 })),
});

"""Objects by the OpenAI SDK, unmodified, through Keyswap: `python3 openai_objects_client.py MODE PACKAGE [ID…]`.

`KEYSWAP_BASE_URL` is its base URL, `KEYSWAP_TOKEN` the proxy token.
"""

import openai

from objects import run

MODEL = "gpt-5.5"
BATCH = {"endpoint": "/v1/responses", "completion_window": "24h"}


def keep(client: openai.OpenAI) -> tuple[list[str], list[str]]:
    file = client.files.create(file=("f.jsonl", b"{}"), purpose="batch")
    batch = client.batches.create(input_file_id=file.id, **BATCH)
    store = client.vector_stores.create(name="v", file_ids=[file.id])
    conversation = client.conversations.create()
    response = client.responses.create(model=MODEL, input="hi", conversation=conversation.id)
    events = client.responses.create(model=MODEL, input="hi", previous_response_id=response.id, stream=True)
    streamed = [event.response for event in events if event.type == "response.created"][0]
    client.files.retrieve(file.id)
    client.files.content(file.id)
    client.batches.retrieve(batch.id)
    client.responses.retrieve(streamed.id)
    client.conversations.retrieve(conversation.id)
    listed = [file.id, batch.id, store.id]
    return [*listed, conversation.id, response.id, streamed.id], listed


def attempts(client: openai.OpenAI, file, batch, store, conversation, response, streamed) -> tuple:
    asked = {"model": MODEL, "input": "hi"}
    line = ('{"body":{"previous_response_id":"%s"}}' % response).encode()
    return (
        lambda: client.files.retrieve(file),
        lambda: client.files.content(file),
        lambda: client.files.delete(file),
        lambda: client.files.create(file=("f.jsonl", line), purpose="batch"),
        lambda: client.batches.retrieve(batch),
        lambda: client.batches.cancel(batch),
        lambda: client.batches.create(input_file_id=file, **BATCH),
        lambda: client.vector_stores.delete(store),
        lambda: client.vector_stores.files.create(vector_store_id=store, file_id=file),
        lambda: client.responses.create(**asked, conversation=conversation),
        lambda: client.responses.create(**asked, previous_response_id=response),
        lambda: client.responses.create(**asked, previous_response_id=streamed, stream=True),
        lambda: client.responses.create(model=MODEL, input=[{"type": "item_reference", "id": "msg_1"}]),
        lambda: client.responses.cancel(response),
        lambda: client.responses.delete(streamed),
        lambda: client.files.list(after=file),
    )


run(
    openai.OpenAIError,
    openai.OpenAI,
    keep,
    attempts,
    lambda client: [kind.list(limit=2) for kind in (client.files, client.batches, client.vector_stores)],
)

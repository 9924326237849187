"""Objects by the OpenAI SDK, unmodified, through Keyswap: `python3 openai_objects_client.py MODE PACKAGE [ID…]`.

`KEYSWAP_BASE_URL` is its base URL, `KEYSWAP_TOKEN` the proxy token.
"""

import os
import sys

import openai

from events import emit, emit_error

MODEL = "gpt-5.5"


def listed(client: openai.OpenAI) -> list[str]:
    return [item.id for kind in (client.files, client.batches, client.vector_stores) for item in kind.list(limit=2)]


def keep(client: openai.OpenAI) -> None:
    file = client.files.create(file=("f.jsonl", b"{}"), purpose="batch")
    batch = client.batches.create(input_file_id=file.id, endpoint="/v1/responses", completion_window="24h")
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
    shown = listed(client)
    assert {file.id, batch.id, store.id} <= set(shown), shown
    emit("done", text=" ".join([file.id, batch.id, store.id, conversation.id, response.id, streamed.id]))


def seek(client: openai.OpenAI) -> None:
    file, batch, store, conversation, response, streamed = sys.argv[3:]
    attempts = (
        lambda: client.files.retrieve(file),
        lambda: client.files.content(file),
        lambda: client.files.delete(file),
        lambda: client.batches.retrieve(batch),
        lambda: client.batches.cancel(batch),
        lambda: client.batches.create(input_file_id=file, endpoint="/v1/responses", completion_window="24h"),
        lambda: client.vector_stores.delete(store),
        lambda: client.vector_stores.files.create(vector_store_id=store, file_id=file),
        lambda: client.responses.create(model=MODEL, input="hi", conversation=conversation),
        lambda: client.responses.create(model=MODEL, input="hi", previous_response_id=response),
        lambda: client.responses.create(model=MODEL, input="hi", previous_response_id=streamed, stream=True),
        lambda: client.responses.cancel(response),
        lambda: client.responses.delete(streamed),
        lambda: client.files.list(after=file),
    )
    for attempt in attempts:
        try:
            attempt()
            emit("chunk", text="an attempt came through")
        except openai.OpenAIError as error:
            emit_error(error)
    emit("done", text=" ".join(listed(client)))


def main() -> None:
    client = openai.OpenAI(
        base_url=os.environ["KEYSWAP_BASE_URL"], api_key=os.environ["KEYSWAP_TOKEN"], max_retries=0
    )
    {"keep": keep, "seek": seek}[sys.argv[1]](client)


main()

"""Objects by the Anthropic SDK, unmodified, through Keyswap: `python3 anthropic_objects_client.py MODE PACKAGE [ID…]`.

`KEYSWAP_BASE_URL` is its base URL, `KEYSWAP_TOKEN` the proxy token.
"""

import os
import sys

import anthropic

from events import emit, emit_error

REQUEST = {
    "custom_id": "a",
    "params": {"model": "claude-opus-5-5", "max_tokens": 1, "messages": [{"role": "user", "content": "hi"}]},
}


def listed(client: anthropic.Anthropic) -> list[str]:
    return [item.id for kind in (client.beta.files, client.messages.batches) for item in kind.list(limit=2)]


def keep(client: anthropic.Anthropic) -> None:
    file = client.beta.files.upload(file=("f.txt", b"hi", "text/plain"))
    batch = client.messages.batches.create(requests=[REQUEST])
    client.beta.files.retrieve_metadata(file.id)
    client.messages.batches.retrieve(batch.id)
    shown = listed(client)
    assert {file.id, batch.id} <= set(shown), shown
    emit("done", text=f"{file.id} {batch.id}")


def seek(client: anthropic.Anthropic) -> None:
    file, batch = sys.argv[3:]
    attempts = (
        lambda: client.beta.files.retrieve_metadata(file),
        lambda: client.beta.files.download(file),
        lambda: client.beta.files.delete(file),
        lambda: client.messages.batches.retrieve(batch),
        lambda: client.messages.batches.cancel(batch),
        lambda: client.messages.batches.delete(batch),
        lambda: client.messages.batches.list(after_id=batch),
    )
    for attempt in attempts:
        try:
            attempt()
            emit("chunk", text="an attempt came through")
        except anthropic.AnthropicError as error:
            emit_error(error)
    emit("done", text=" ".join(listed(client)))


def main() -> None:
    client = anthropic.Anthropic(
        base_url=os.environ["KEYSWAP_BASE_URL"], api_key=os.environ["KEYSWAP_TOKEN"], max_retries=0
    )
    {"keep": keep, "seek": seek}[sys.argv[1]](client)


main()

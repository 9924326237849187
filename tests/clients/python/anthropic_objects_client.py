"""Objects by the Anthropic SDK, unmodified, through Keyswap: `python3 anthropic_objects_client.py MODE PACKAGE [ID…]`.

`KEYSWAP_BASE_URL` is its base URL, `KEYSWAP_TOKEN` the proxy token.
"""

import anthropic

from objects import run

ASKED = {"model": "claude-opus-5-5", "max_tokens": 1, "messages": [{"role": "user", "content": "hi"}]}
REQUEST = {
    "custom_id": "a",
    "params": ASKED,
}


def keep(client: anthropic.Anthropic) -> tuple[list[str], list[str]]:
    file = client.beta.files.upload(file=("f.txt", b"hi", "text/plain"))
    batch = client.messages.batches.create(requests=[REQUEST])
    client.beta.files.retrieve_metadata(file.id)
    client.messages.batches.retrieve(batch.id)
    # The SDK takes the address of the results from the batch.
    assert len(list(client.messages.batches.results(batch.id))) == 1
    first = client.beta.messages.create(**ASKED, thread={"type": "create"})
    message = client.beta.messages.create(**ASKED, thread={"type": "continue", "previous_message_id": first.id})
    listed = [file.id, batch.id]
    return [*listed, message.id], listed


def attempts(client: anthropic.Anthropic, file: str, batch: str, message: str) -> tuple:
    return (
        lambda: client.beta.files.retrieve_metadata(file),
        lambda: client.beta.files.download(file),
        lambda: client.beta.files.delete(file),
        lambda: client.messages.batches.retrieve(batch),
        lambda: client.messages.batches.results(batch),
        lambda: client.messages.batches.cancel(batch),
        lambda: client.messages.batches.delete(batch),
        lambda: client.messages.batches.list(after_id=batch),
        lambda: client.beta.messages.create(
            **ASKED, thread={"type": "continue", "previous_message_id": message}
        ),
    )


run(
    anthropic.AnthropicError,
    anthropic.Anthropic,
    keep,
    attempts,
    lambda client: (client.beta.files.list(limit=2), client.messages.batches.list(limit=2)),
)

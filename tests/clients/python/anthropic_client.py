"""The Anthropic SDK, unmodified, through Keyswap: `python3 anthropic_client.py MODE`.

`KEYSWAP_BASE_URL` is its base URL, `KEYSWAP_TOKEN` the proxy token.
"""

import os
import sys

import anthropic

from events import emit, emit_error, emit_stream, extra_headers

MESSAGE = {
    "model": "claude-opus-5-5",
    "max_tokens": 64,
    "messages": [{"role": "user", "content": "Say hello."}],
}


def chat(client: anthropic.Anthropic) -> None:
    message = client.messages.create(**MESSAGE)
    emit("done", text="".join(block.text for block in message.content if block.type == "text"))


def stream(client: anthropic.Anthropic) -> None:
    with client.messages.stream(**MESSAGE) as events:
        emit_stream(event.text if event.type == "text" else "" for event in events)


def models(client: anthropic.Anthropic) -> None:
    emit("done", text=" ".join(model.id for model in client.models.list()))


MODES = {"chat": chat, "stream": stream, "models": models, "auth-token": chat}


def main() -> None:
    mode = sys.argv[1]
    key = "auth_token" if mode == "auth-token" else "api_key"
    client = anthropic.Anthropic(
        base_url=os.environ["KEYSWAP_BASE_URL"],
        default_headers=extra_headers(anthropic.omit),
        max_retries=0,
        **{key: os.environ["KEYSWAP_TOKEN"]},
    )
    try:
        MODES[mode](client)
    except anthropic.AnthropicError as error:
        emit_error(error)


main()

"""The OpenAI SDK, unmodified, through Keyswap: `python3 openai_client.py MODE`.

`KEYSWAP_BASE_URL` is its base URL, `KEYSWAP_TOKEN` the proxy token.
"""

import os
import sys

import openai

from events import emit, emit_error, emit_stream, extra_headers

MODEL = "gpt-5.5"
PROMPT = "Say hello."
MESSAGES = [{"role": "user", "content": PROMPT}]


def chat(client: openai.OpenAI, headers: dict) -> None:
    completion = client.chat.completions.create(model=MODEL, messages=MESSAGES, extra_headers=headers)
    emit("done", text=completion.choices[0].message.content)


def stream(client: openai.OpenAI, headers: dict) -> None:
    chunks = client.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True, extra_headers=headers)
    emit_stream((chunk.choices[0].delta.content or "") if chunk.choices else "" for chunk in chunks)


def responses(client: openai.OpenAI, headers: dict) -> None:
    response = client.responses.create(model=MODEL, input=PROMPT, extra_headers=headers)
    emit("done", text=response.output_text)


def responses_stream(client: openai.OpenAI, headers: dict) -> None:
    events = client.responses.create(model=MODEL, input=PROMPT, stream=True, extra_headers=headers)
    emit_stream(event.delta if event.type == "response.output_text.delta" else "" for event in events)


def models(client: openai.OpenAI, headers: dict) -> None:
    emit("done", text=" ".join(model.id for model in client.models.list(extra_headers=headers)))


MODES = {
    "chat": chat,
    "stream": stream,
    "responses": responses,
    "responses-stream": responses_stream,
    "models": models,
}


def main() -> None:
    client = openai.OpenAI(
        base_url=os.environ["KEYSWAP_BASE_URL"],
        api_key=os.environ["KEYSWAP_TOKEN"],
        max_retries=0,
    )
    try:
        MODES[sys.argv[1]](client, extra_headers(openai.omit))
    except openai.OpenAIError as error:
        emit_error(error)


main()

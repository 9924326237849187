"""LiteLLM, unmodified, through Keyswap: `python3 litellm_client.py MODE`.

`KEYSWAP_BASE_URL` is its base URL, `KEYSWAP_TOKEN` the proxy token.
"""

import os
import sys

# Its list of prices comes from the package, not from the internet.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm

from events import emit, emit_stream

CALL = {
    "model": "openai/gpt-5.5",
    "messages": [{"role": "user", "content": "Say hello."}],
    "api_base": os.environ["KEYSWAP_BASE_URL"],
    "api_key": os.environ["KEYSWAP_TOKEN"],
}


def chat() -> None:
    emit("done", text=litellm.completion(**CALL).choices[0].message.content)


def stream() -> None:
    chunks = litellm.completion(**CALL, stream=True)
    emit_stream(chunk.choices[0].delta.content or "" for chunk in chunks)


{"chat": chat, "stream": stream}[sys.argv[1]]()

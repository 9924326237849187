"""LlamaIndex, unmodified, through Keyswap: `python3 llama_index_client.py MODE PACKAGE`.

`KEYSWAP_BASE_URL` is its base URL, `KEYSWAP_TOKEN` the proxy token.
"""

import os
import sys

from llama_index.core.llms import ChatMessage

from events import emit, emit_stream

URL = os.environ["KEYSWAP_BASE_URL"]
TOKEN = os.environ["KEYSWAP_TOKEN"]
MESSAGES = [ChatMessage(role="user", content="Say hello.")]


def openai():
    from llama_index.llms.openai import OpenAI

    return OpenAI(model="gpt-4o", api_base=URL, api_key=TOKEN)


def anthropic():
    from llama_index.llms.anthropic import Anthropic

    return Anthropic(model="claude-sonnet-4-5", base_url=URL, api_key=TOKEN)


def google():
    from google.genai.types import HttpOptions
    from llama_index.llms.google_genai import GoogleGenAI

    return GoogleGenAI(model="gemini-3-flash", api_key=TOKEN, http_options=HttpOptions(base_url=URL))


PACKAGES = {
    "llama-index-llms-openai": openai,
    "llama-index-llms-anthropic": anthropic,
    "llama-index-llms-google-genai": google,
}


def chat(model) -> None:
    emit("done", text=model.chat(MESSAGES).message.content)


def stream(model) -> None:
    emit_stream(chunk.delta or "" for chunk in model.stream_chat(MESSAGES))


mode, package = sys.argv[1:]
{"chat": chat, "stream": stream}[mode](PACKAGES[package]())

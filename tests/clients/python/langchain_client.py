"""LangChain, unmodified, through Keyswap: `python3 langchain_client.py MODE PACKAGE`.

`KEYSWAP_BASE_URL` is its base URL, `KEYSWAP_TOKEN` the proxy token.
"""

import os
import sys

from events import emit, emit_stream

URL = os.environ["KEYSWAP_BASE_URL"]
TOKEN = os.environ["KEYSWAP_TOKEN"]
PROMPT = "Say hello."


def openai():
    from langchain_openai import ChatOpenAI

    return ChatOpenAI(model="gpt-5.5", base_url=URL, api_key=TOKEN)


def anthropic():
    from langchain_anthropic import ChatAnthropic

    return ChatAnthropic(model="claude-opus-5-5", base_url=URL, api_key=TOKEN)


def google():
    from langchain_google_genai import ChatGoogleGenerativeAI

    return ChatGoogleGenerativeAI(model="gemini-3-flash", base_url=URL, google_api_key=TOKEN)


PACKAGES = {"langchain-openai": openai, "langchain-anthropic": anthropic, "langchain-google-genai": google}


def chat(model) -> None:
    emit("done", text=model.invoke(PROMPT).text)


def stream(model) -> None:
    emit_stream(chunk.text for chunk in model.stream(PROMPT))


mode, package = sys.argv[1:]
{"chat": chat, "stream": stream}[mode](PACKAGES[package]())

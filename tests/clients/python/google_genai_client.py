"""google-genai, unmodified, through Keyswap: `python3 google_genai_client.py MODE`.

`KEYSWAP_BASE_URL` is its base URL, `KEYSWAP_TOKEN` the proxy token.
"""

import os
import sys
import tempfile

from google import genai
from google.genai import types

from events import emit, emit_stream

PROMPT = {"model": "gemini-3-flash", "contents": "Say hello."}


def chat(client: genai.Client) -> None:
    emit("done", text=client.models.generate_content(**PROMPT).text)


def stream(client: genai.Client) -> None:
    emit_stream(chunk.text or "" for chunk in client.models.generate_content_stream(**PROMPT))


def upload(client: genai.Client) -> None:
    with tempfile.NamedTemporaryFile(suffix=".txt") as file:
        file.write(b"bytes of a file")
        file.flush()
        emit("done", text=client.files.upload(file=file.name).uri)


MODES = {"chat": chat, "stream": stream, "upload": upload}

MODES[sys.argv[1]](
    genai.Client(
        api_key=os.environ["KEYSWAP_TOKEN"],
        http_options=types.HttpOptions(base_url=os.environ["KEYSWAP_BASE_URL"]),
    )
)

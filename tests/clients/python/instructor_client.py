"""instructor, unmodified, through Keyswap: `python3 instructor_client.py MODE`.

`KEYSWAP_BASE_URL` is its base URL, `KEYSWAP_TOKEN` the proxy token.
"""

import os
import sys

import instructor
import openai
from pydantic import BaseModel

from events import emit, emit_stream

CALL = {"model": "gpt-5.5", "messages": [{"role": "user", "content": "Say hello."}]}


class Greeting(BaseModel):
    text: str


def chat(client: instructor.Instructor) -> None:
    emit("done", text=client.create(response_model=Greeting, **CALL).text)


def stream(client: instructor.Instructor) -> None:
    """Each partial object has the whole text so far; what it adds is told."""

    def additions():
        seen = ""
        for partial in client.create_partial(response_model=Greeting, **CALL):
            text = partial.text or ""
            yield text[len(seen) :]
            seen = text

    emit_stream(additions())


client = openai.OpenAI(base_url=os.environ["KEYSWAP_BASE_URL"], api_key=os.environ["KEYSWAP_TOKEN"])
{"chat": chat, "stream": stream}[sys.argv[1]](instructor.from_openai(client))

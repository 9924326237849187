"""instructor, unmodified, through Keyswap: `python3 instructor_client.py MODE`.

`KEYSWAP_BASE_URL` is its base URL, `KEYSWAP_TOKEN` the proxy token.
"""

import asyncio
import os
import sys

import instructor
import openai
from pydantic import BaseModel

from events import emit

SDK = {"base_url": os.environ["KEYSWAP_BASE_URL"], "api_key": os.environ["KEYSWAP_TOKEN"]}
CALL = {"model": "gpt-5.5", "messages": [{"role": "user", "content": "Say hello."}]}


class Greeting(BaseModel):
    text: str


async def chat() -> None:
    client = instructor.from_openai(openai.OpenAI(**SDK))
    emit("done", text=client.create(response_model=Greeting, **CALL).text)


async def stream() -> None:
    """Each partial object has the whole text so far; what it adds is told.

    With the synchronous client this release collects all of them first.
    """
    client = instructor.from_openai(openai.AsyncOpenAI(**SDK))
    seen = ""
    async for partial in client.create_partial(response_model=Greeting, **CALL):
        text = partial.text or ""
        emit("chunk", text=text[len(seen) :])
        seen = text
    emit("done", text=seen)


asyncio.run({"chat": chat, "stream": stream}[sys.argv[1]]())

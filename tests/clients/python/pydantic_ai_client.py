"""Pydantic AI, unmodified, through Keyswap: `python3 pydantic_ai_client.py MODE`.

`KEYSWAP_BASE_URL` is its base URL, `KEYSWAP_TOKEN` the proxy token.
"""

import os
import sys
import asyncio

from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from events import emit

PROMPT = "Say hello."


async def chat(agent: Agent) -> None:
    emit("done", text=(await agent.run(PROMPT)).output)


async def stream(agent: Agent) -> None:
    whole = ""
    async with agent.run_stream(PROMPT) as result:
        async for text in result.stream_text(delta=True, debounce_by=None):
            whole += text
            emit("chunk", text=text)
    emit("done", text=whole)


provider = OpenAIProvider(base_url=os.environ["KEYSWAP_BASE_URL"], api_key=os.environ["KEYSWAP_TOKEN"])
agent = Agent(OpenAIChatModel("gpt-5.5", provider=provider))
asyncio.run({"chat": chat, "stream": stream}[sys.argv[1]](agent))

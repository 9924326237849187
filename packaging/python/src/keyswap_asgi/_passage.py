"""A request on its way: if one side disconnects, so does the other. It forwards no trailer."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

import httpx

from ._engine import Engine, Refused, fields_of, lines_of, outgoing

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


async def forward(engine: Engine, forward: Any, scope: Scope, receive: Receive, send: Send) -> None:
    """Sends the request upstream for the caller, and the answer back."""
    incoming = Incoming(receive)
    passage = Passage(engine, forward, scope, send)
    work = asyncio.create_task(passage.carry(incoming))
    listening = asyncio.create_task(incoming.listen())
    try:
        await asyncio.wait({work, listening}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        listening.cancel()
        if not work.done():
            work.cancel()
        await asyncio.gather(work, listening, return_exceptions=True)
        # A task that is cancelled before its first step runs none of its code.
        passage.end()
    if not work.cancelled():
        work.result()


class Passage:
    def __init__(self, engine: Engine, forward: Any, scope: Scope, send: Send) -> None:
        self._engine = engine
        self._forward = forward
        self._exchange = forward.exchange
        self._scope = scope
        self._send = send
        self._is_over = False

    def end(self) -> None:
        """Charges the request, once."""
        if not self._is_over:
            self._is_over = True
            self._engine.finish(self._exchange)

    async def carry(self, incoming: "Incoming") -> None:
        has_body = await incoming.begins()
        # Without a length it is chunked: what framed it was the caller's connection.
        body = self._judged(incoming.body()) if has_body else None
        lines = lines_of(self._forward.fields)
        answer = await self._ask(outgoing(self._scope["method"], self._forward, lines, body), has_body)
        if answer is not None:
            try:
                await self._answer(answer)
            finally:
                await answer.aclose()

    async def _ask(self, request: httpx.Request, has_body: bool) -> httpx.Response | None:
        """Returns the head of the answer; `None` where the caller got another in its stead."""
        try:
            if not has_body:
                await self._judge_nothing()
            return await self._engine.client.send(request, stream=True)
        except Refused as refused:
            await reply(refused.reply, self._scope, self._send)
        except httpx.HTTPError as error:
            is_slow = isinstance(error, (httpx.ReadTimeout, httpx.WriteTimeout))
            failed = self._engine.of(self._exchange, "failed", "too-slow" if is_slow else "unreachable")
            await reply(failed, self._scope, self._send)
        return None

    async def _judge_nothing(self) -> None:
        """Judges a request without a body at its end, too."""
        if self._engine.of(self._exchange, "reads-request"):
            await self._engine.request_slice(self._exchange, b"", True)

    async def _judged(self, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The body as it goes on. A refusal breaks the request off."""
        if not self._engine.of(self._exchange, "reads-request"):
            async for chunk in body:
                yield chunk
            return
        async for chunk in body:
            yield await self._engine.request_slice(self._exchange, chunk, False)
        yield await self._engine.request_slice(self._exchange, b"", True)

    async def _answer(self, answer: httpx.Response) -> None:
        engine, exchange, status = self._engine, self._exchange, answer.status_code
        fields = engine.of(exchange, "answered", status, fields_of(answer.headers.raw), time.time_ns())
        instead = engine.of(exchange, "instead", status)
        if instead is not None:
            return await reply(instead, self._scope, self._send)
        await self._send({"type": "http.response.start", "status": status, "headers": lines_of(fields)})
        async for chunk in answer.aiter_raw():
            part = await engine.answer_slice(exchange, chunk, False)
            await self._send({"type": "http.response.body", "body": part, "more_body": True})
        part = await engine.answer_slice(exchange, b"", True)
        await self._send({"type": "http.response.body", "body": part})


async def reply(reply: Any, scope: Scope, send: Send) -> None:
    body = reply.body.encode()
    length = [(b"content-length", str(len(body)).encode())] if body else []
    headers = lines_of(reply.fields) + length
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


class Incoming:
    """What comes from the caller: a body, and in the end that it leaves."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._chunks: asyncio.Queue[bytes | None] = asyncio.Queue(2)
        self._first: bytes | None = None

    async def listen(self) -> None:
        """Returns when the caller has left."""
        while (message := await self._receive())["type"] != "http.disconnect":
            await self._chunks.put(message.get("body", b""))
            if not message.get("more_body", False):
                await self._chunks.put(None)

    async def begins(self) -> bool:
        """Returns whether there is a body. The head says so in HTTP/1 only."""
        while (chunk := await self._chunks.get()) == b"":
            pass
        self._first = chunk
        return chunk is not None

    async def body(self) -> AsyncIterator[bytes]:
        """Half a request is none: it has an end only where the caller's has one."""
        chunk = self._first
        while chunk is not None:
            yield chunk
            chunk = await self._chunks.get()

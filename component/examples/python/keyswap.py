"""Keyswap as an ASGI middleware.

The authorizer decides; this makes the calls that it asks for, forwards, and carries bodies as they come. It logs nothing of
a request but what the authorizer says, and forwards no trailer. One event loop has one engine. Every kind of connection is
judged or refused: a WebSocket as the upgrade request that it began with.
"""

import asyncio
import logging
import os
import time

import httpx
import wasmtime
from wasmtime import component

INTERFACE = "keyswap:auth/authorizer@0.1.1"
ABILITIES = {"counts": True, "upgrades": False, "injects-credentials": False, "passes": True}
HEAD_SECONDS = 600
CONNECT_SECONDS = 5
ROUND_SECONDS = 1
# RFC 6455 section 7.4.1. No caller sees it: a close before the accept is a 403.
POLICY_VIOLATION = 1008

log = logging.getLogger("keyswap")


def record(**fields):
    made = component.Record()
    for name, value in fields.items():
        setattr(made, name.replace("_", "-"), value)
    return made


def fields_of(lines):
    return [record(name=name.decode("latin-1"), value=value) for name, value in lines]


def lines_of(fields):
    return [(field.name.encode("latin-1"), bytes(field.value)) for field in fields]


class Authorizer:
    """The functions of `keyswap:auth/authorizer`, as they stand in its WIT."""

    def __init__(self, path):
        engine = wasmtime.Engine()
        self.store = wasmtime.Store(engine)
        linker = component.Linker(engine)
        self.instance = linker.instantiate(self.store, component.Component.from_file(engine, path))
        self.interface = self.instance.get_export_index(self.store, INTERFACE)
        self.functions = {}

    def call(self, name, *arguments):
        function = self.functions.get(name)
        if function is None:
            index = self.instance.get_export_index(self.store, name, self.interface)
            function = self.functions[name] = self.instance.get_func(self.store, index)
        try:
            return function(self.store, *arguments)
        finally:
            function.post_return(self.store)


class Refused(Exception):
    """The answer to a request whose body is refused."""

    def __init__(self, reply):
        super().__init__()
        self.reply = reply


class Unreadable(Exception):
    """The end of an answer of which nothing more may go on."""


class PolicyError(Exception):
    """All that is wrong with a policy."""


class Keyswap:
    """Serves what the policy, a JSON text, forwards or answers; `app` gets what it lets pass untouched.

    `variables` are those that the policy names; `path` is that of `keyswap-authorizer.wasm`.
    """

    def __init__(self, app, path, policy, variables=os.environ, node="python"):
        self.app = app
        self.authorizer = Authorizer(path)
        abilities = component.Record()
        for name, value in ABILITIES.items():
            setattr(abilities, name, value)
        bodies = record(requests=True, answers=True)
        created = self.authorizer.call(
            "[static]engine.create-reading", policy, list(variables.items()), abilities, bodies, node
        )
        if isinstance(created, list):
            raise PolicyError("\n".join(f"error at `{error.path}`: {error.message}" for error in created))
        self.engine = created
        timeout = httpx.Timeout(HEAD_SECONDS, connect=CONNECT_SECONDS)
        self.client = httpx.AsyncClient(timeout=timeout, follow_redirects=False, trust_env=False)
        self.rounds = None

    async def __call__(self, scope, receive, send):
        match scope["type"]:
            case "lifespan":
                # The server's own: no caller is behind it.
                await self.app(scope, receive, send)
            case "http" | "websocket":
                await self.serve(scope, receive, send)
            case unknown:
                # A kind of connection that this cannot judge never reaches `app`.
                raise NotImplementedError(f"Keyswap does not judge connections of the type {unknown!r}")

    async def serve(self, scope, receive, send):
        if self.rounds is None:
            self.rounds = asyncio.create_task(self.make_rounds())
        step = self.authorizer.call("[method]engine.judge", self.engine, head_of(scope), time.time_ns())
        while step.tag == "call":
            step = await self.make(step.payload)
        self.tell()
        is_websocket = scope["type"] == "websocket"
        if step.tag == "pass":
            if step.payload.field is not None:
                scope = {**scope, "headers": [*scope["headers"], *lines_of([step.payload.field])]}
            await self.app(scope, receive, send)
        elif step.tag == "reply":
            await (deny(step.payload, scope, receive, send) if is_websocket else reply(step.payload, scope, send))
        elif is_websocket:
            raise RuntimeError("a WebSocket is never forwarded: `upgrades` is not among the abilities")
        else:
            await self.forward(step.payload, scope, receive, send)

    def tell(self):
        for line in self.authorizer.call("[method]engine.log", self.engine):
            log.warning("%s", line)

    async def make_rounds(self):
        while True:
            await asyncio.sleep(ROUND_SECONDS)
            due = self.authorizer.call("[method]engine.due", self.engine, time.time_ns())
            await asyncio.gather(*(self.make(call) for call in due))
            self.tell()

    async def make(self, call):
        """Makes a call that the authorizer asks for; returns the step of the request that waits for it, if one does."""
        request = self.authorizer.call("[method]call.request", call)
        answer = await self.ask(request)
        return self.authorizer.call("[static]call.answered", call, answer, time.time_ns())

    async def ask(self, request):
        """What came of it: `None` for no answer, one that is too late or too long."""
        headers = [(b"host", request.authority.encode()), *lines_of(request.fields)]
        body = None if request.body is None else bytes(request.body)
        try:
            async with asyncio.timeout(getattr(request, "timeout-ms") / 1000):
                sent = outgoing(request.method, request, headers, body)
                answer = await self.client.send(sent, stream=True)
                try:
                    content = b""
                    async for chunk in answer.aiter_raw():
                        content += chunk
                        if len(content) > getattr(request, "most-bytes"):
                            return None
                finally:
                    await answer.aclose()
                return record(status=answer.status_code, body=content)
        except (httpx.HTTPError, TimeoutError):
            return None

    async def forward(self, forward, scope, receive, send):
        """Sends the request upstream for the caller. If one side disconnects, so does the other."""
        incoming = Incoming(receive)
        headers = [(b"host", forward.authority.encode()), *lines_of(forward.fields)]
        names = {name.lower() for name, _ in scope["headers"]}
        has_body = bool(names & {b"content-length", b"transfer-encoding"})
        if has_body and b"content-length" not in names:
            # What framed it was the caller's connection.
            headers.append((b"transfer-encoding", b"chunked"))
        body = self.judged(forward.exchange, incoming.body()) if has_body else None
        work = asyncio.create_task(self.carry(forward, scope, headers, body, send))
        listening = asyncio.create_task(incoming.listen())
        await asyncio.wait({work, listening}, return_when=asyncio.FIRST_COMPLETED)
        listening.cancel()
        if not work.done():
            work.cancel()
        await asyncio.gather(work, listening, return_exceptions=True)
        if not work.cancelled():
            work.result()

    async def judged(self, exchange, body):
        """The body as it goes on. A refusal breaks the request off."""
        if not self.authorizer.call("[method]exchange.reads-request", exchange):
            async for chunk in body:
                yield chunk
            return
        async for chunk in body:
            yield await self.judge(exchange, chunk, False)
        yield await self.judge(exchange, b"", True)

    async def judge(self, exchange, chunk, is_last):
        step = self.authorizer.call("[method]exchange.request-body", exchange, chunk, is_last, time.time_ns())
        while step.tag == "call":
            chunk = chunk if step.payload.bytes is None else bytes(step.payload.bytes)
            await self.make(step.payload.call)
            step = self.authorizer.call("[method]exchange.resume-request", exchange, time.time_ns())
        if step.tag == "reply":
            raise Refused(step.payload)
        return chunk if step.payload is None else bytes(step.payload)

    def read(self, exchange, chunk, is_last):
        """The part of an answer as it goes on."""
        if not self.authorizer.call("[method]exchange.reads-answer", exchange):
            return chunk
        read = self.authorizer.call("[method]exchange.answer-body", exchange, chunk, is_last)
        if read.tag == "err":
            raise Unreadable
        return chunk if read.payload is None else bytes(read.payload)

    async def carry(self, forward, scope, headers, body, send):
        request = outgoing(scope["method"], forward, headers, body)
        try:
            answer = await self.client.send(request, stream=True)
        except Refused as refused:
            return await reply(refused.reply, scope, send)
        except httpx.HTTPError as error:
            is_slow = isinstance(error, (httpx.ReadTimeout, httpx.WriteTimeout))
            why = "too-slow" if is_slow else "unreachable"
            return await reply(self.authorizer.call("[method]exchange.failed", forward.exchange, why), scope, send)
        try:
            lines = fields_of(answer.headers.raw)
            now = time.time_ns()
            fields = self.authorizer.call("[method]exchange.answered", forward.exchange, answer.status_code, lines, now)
            instead = self.authorizer.call("[method]exchange.instead", forward.exchange, answer.status_code)
            if instead is not None:
                return await reply(instead, scope, send)
            await send({"type": "http.response.start", "status": answer.status_code, "headers": lines_of(fields)})
            async for chunk in answer.aiter_raw():
                part = self.read(forward.exchange, chunk, False)
                await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body", "body": self.read(forward.exchange, b"", True)})
        finally:
            await answer.aclose()
            self.authorizer.call("[method]exchange.ended", forward.exchange, time.time_ns())


def head_of(scope):
    query = scope["query_string"]
    target = scope["raw_path"].split(b"?")[0] + (b"?" + query if query else b"")
    method, lines = scope.get("method"), list(scope["headers"])
    if scope["type"] == "websocket":
        # Whatever HTTP it came by: in HTTP/2 it is a CONNECT whose `:protocol` says the same (RFC 8441).
        method = "GET"
        lines += handshake_lines(scope, {name.lower() for name, _ in lines})
    return record(method=method, target=target.decode("latin-1"), fields=fields_of(lines))


def handshake_lines(scope, names):
    """The lines of a handshake that a server may keep to itself: the engine must see that it is one, and every token."""
    if b"upgrade" not in names:
        yield b"upgrade", b"websocket"
    if b"sec-websocket-protocol" not in names and scope.get("subprotocols"):
        yield b"sec-websocket-protocol", ", ".join(scope["subprotocols"]).encode("latin-1")


def outgoing(method, to, headers, body):
    scheme = "https" if to.https else "http"
    target = to.target.encode("latin-1")
    # The target goes as it is: a URL would be normalised.
    return httpx.Request(
        method, f"{scheme}://{to.authority}/", headers=headers, content=body, extensions={"target": target}
    )


async def reply(reply, scope, send):
    body = reply.body.encode()
    length = [(b"content-length", str(len(body)).encode())] if body else []
    headers = lines_of(reply.fields) + length
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


async def deny(reply, scope, receive, send):
    """Refuses a WebSocket before it is accepted: by the reply itself, or by a bare 403 where a server can send no other."""
    if (await receive())["type"] != "websocket.connect":
        return
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        return await send({"type": "websocket.close", "code": POLICY_VIOLATION})
    body = reply.body.encode()
    headers = [*lines_of(reply.fields), (b"content-length", str(len(body)).encode())]
    await send({"type": "websocket.http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body})


class Incoming:
    """What comes from the caller: a body, and in the end that it leaves."""

    def __init__(self, receive):
        self.receive = receive
        self.chunks = asyncio.Queue(2)

    async def listen(self):
        """Returns when the caller has left."""
        while (message := await self.receive())["type"] != "http.disconnect":
            await self.chunks.put(message.get("body", b""))
            if not message.get("more_body", False):
                await self.chunks.put(None)

    async def body(self):
        """Half a request is none: it has an end only where the caller's has one."""
        while (chunk := await self.chunks.get()) is not None:
            yield chunk

"""The middleware: every kind of connection is judged or refused, a WebSocket as the upgrade request that it began with."""

import os
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

from ._authorizer import record
from ._engine import Engine, fields_of, lines_of
from ._passage import Receive, Scope, Send, forward, reply

# RFC 6455 section 7.4.1. No caller sees it: a close before the accept is a 403.
POLICY_VIOLATION = 1008


class Keyswap:
    """Serves what the policy forwards or answers; `app` gets what the policy lets pass untouched.

    `policy` is a JSON text, or the document as a mapping. `variables` are those that the policy names. Set `counts` if this
    process is the only one that serves the address, so that it can count rate limits in its memory; with several workers the
    registry counts. `node` is the name of this program in reports to a registry.

    One event loop has one engine. Lines for operators go to the logger `keyswap`.
    """

    def __init__(
        self,
        app: Callable[[Scope, Receive, Send], Awaitable[None]],
        policy: str | Mapping[str, Any],
        variables: Mapping[str, str] = os.environ,
        *,
        counts: bool = False,
        node: str = "python",
    ) -> None:
        self.app = app
        self._engine = Engine(policy, variables, counts, node)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope["type"]:
            case "lifespan":
                # The server's own: no caller is behind it.
                await self.app(scope, receive, send)
            case "http" | "websocket":
                await self._serve(scope, receive, send)
            case unknown:
                # A kind of connection that this cannot judge never reaches `app`.
                raise NotImplementedError(f"Keyswap does not judge connections of the type {unknown!r}")

    async def aclose(self) -> None:
        """Ends the calls that are made in the background, and the connections to upstreams."""
        await self._engine.close()

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        step = await self._engine.judge(head_of(scope))
        is_websocket = scope["type"] == "websocket"
        if step.tag == "pass":
            if step.payload.field is not None:
                scope = {**scope, "headers": [*scope["headers"], *lines_of([step.payload.field])]}
            await self.app(scope, receive, send)
        elif step.tag == "reply":
            await (deny(step.payload, scope, receive, send) if is_websocket else reply(step.payload, scope, send))
        elif is_websocket:
            self._engine.finish(step.payload.exchange)
            raise RuntimeError("a WebSocket is never forwarded: `upgrades` is not among the abilities")
        else:
            await forward(self._engine, step.payload, scope, receive, send)


def head_of(scope: Scope) -> Any:
    path, query = scope.get("raw_path"), scope["query_string"]
    if path is None:
        raise NotImplementedError("this server does not hand over the path as it came: `raw_path` is missing")
    target = path.split(b"?")[0] + (b"?" + query if query else b"")
    method, lines = scope.get("method"), list(scope["headers"])
    if scope["type"] == "websocket":
        # Whatever HTTP it came by: in HTTP/2 it is a CONNECT whose `:protocol` says the same (RFC 8441).
        method = "GET"
        lines += handshake_lines(scope, {name.lower() for name, _ in lines})
    return record(method=method, target=target.decode("latin-1"), fields=fields_of(lines))


def handshake_lines(scope: Scope, names: set[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """The lines of a handshake that a server may keep to itself: the engine must see that it is one, and every token."""
    if b"upgrade" not in names:
        yield b"upgrade", b"websocket"
    if b"sec-websocket-protocol" not in names and scope.get("subprotocols"):
        yield b"sec-websocket-protocol", ", ".join(scope["subprotocols"]).encode("latin-1")


async def deny(reply: Any, scope: Scope, receive: Receive, send: Send) -> None:
    """Refuses a WebSocket before it is accepted: by the reply itself, or by a bare 403 where a server can send no other."""
    if (await receive())["type"] != "websocket.connect":
        return
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        return await send({"type": "websocket.close", "code": POLICY_VIOLATION})
    body = reply.body.encode()
    headers = [*lines_of(reply.fields), (b"content-length", str(len(body)).encode())]
    await send({"type": "websocket.http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body})

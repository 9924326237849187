"""A server of Starlette whose application accepts whatever reaches it, with Keyswap in front: `python gate.py WEBSOCKETS`.

WEBSOCKETS is the package by which uvicorn has them. With `scopes`, no server is started: each line of the input is a scope of
ASGI, and for each a line tells of what was sent, or of the error. The policy is in KEYSWAP_POLICY.
"""

import asyncio
import json
import os
import socket
import sys

import uvicorn
from keyswap_asgi import Keyswap
from starlette.applications import Starlette


async def accept(scope, receive, send):
    if scope["type"] == "lifespan":
        return await send({"type": "lifespan.startup.complete"})
    print(f"the application has a connection of the type {scope['type']}", file=sys.stderr, flush=True)
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        return await send({"type": "websocket.close"})
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def scopes(app):
    for line in sys.stdin:
        scope, sent = json.loads(line), []
        scope["headers"] = [(name.encode(), value.encode()) for name, value in scope.get("headers", [])]
        scope |= {"raw_path": scope.get("path", "/").encode(), "query_string": b""}

        async def receive():
            return {"type": f"{scope['type']}.connect"}

        async def send(event):
            sent.append({name: event[name] for name in ("type", "status", "code") if name in event})

        try:
            await app(scope, receive, send)
        except Exception as error:
            sent.append({"error": type(error).__name__})
        print(json.dumps(sent), flush=True)


def main():
    policy = os.environ["KEYSWAP_POLICY"]
    if sys.argv[1] == "scopes":
        return asyncio.run(scopes(Keyswap(accept, policy)))
    app = Starlette()
    app.add_middleware(Keyswap, policy=policy)
    app.mount("/", accept)
    config = uvicorn.Config(app, ws=sys.argv[1], log_level="critical", access_log=False, lifespan="on")
    listener = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
    print(f"listening on http://127.0.0.1:{listener.getsockname()[1]}", file=sys.stderr, flush=True)
    asyncio.run(uvicorn.Server(config).serve(sockets=[listener]))


main()

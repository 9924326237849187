"""A server of ASGI with Keyswap in it: python server.py keyswap-authorizer.wasm, with the policy in KEYSWAP_POLICY and the
secrets that it names in the environment; PORT is where it listens."""

import asyncio
import os
import socket
import sys

import uvicorn

from keyswap import Keyswap


async def not_found(scope, receive, send):
    await send({"type": "http.response.start", "status": 404, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def main():
    app = Keyswap(not_found, sys.argv[1], os.environ["KEYSWAP_POLICY"])
    config = uvicorn.Config(app, log_level="critical", access_log=False, date_header=False, server_header=False, lifespan="off")
    listener = socket.create_server(("127.0.0.1", int(os.environ.get("PORT", "8080"))))
    print(f"listening on http://127.0.0.1:{listener.getsockname()[1]}", file=sys.stderr, flush=True)
    asyncio.run(uvicorn.Server(config).serve(sockets=[listener]))


main()

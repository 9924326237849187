"""A server of Starlette with Keyswap in it: python server.py, with the policy in KEYSWAP_POLICY and the secrets that it names in
the environment; PORT is where it listens."""

import asyncio
import os
import socket
import sys

import uvicorn
from keyswap_asgi import Keyswap
from starlette.applications import Starlette

# This process is the only one at its address, so it can count.
app = Keyswap(Starlette(), os.environ["KEYSWAP_POLICY"], counts=True)


def main() -> None:
    config = uvicorn.Config(app, log_level="critical", access_log=False, date_header=False, server_header=False)
    listener = socket.create_server(("127.0.0.1", int(os.environ.get("PORT", "8080"))))
    print(f"listening on http://127.0.0.1:{listener.getsockname()[1]}", file=sys.stderr, flush=True)
    asyncio.run(uvicorn.Server(config).serve(sockets=[listener]))


if __name__ == "__main__":
    main()

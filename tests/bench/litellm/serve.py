"""Serves LiteLLM's proxy on the loopback, at a free port, and says its address.

Its own command takes no free port. The server is that of the command: one worker of uvicorn, without an access log.
"""

import socket
import sys

import uvicorn
from litellm.proxy.proxy_server import app

listener = socket.create_server(("127.0.0.1", 0))
print(f"listening on 127.0.0.1:{listener.getsockname()[1]}", file=sys.stderr, flush=True)
uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False)).run(sockets=[listener])

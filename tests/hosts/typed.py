"""What programs write with the package for Python: mypy accepts it, and finds what is wrong."""

import asyncio
import json

from keyswap_asgi import Keyswap, PolicyError
from starlette.applications import Starlette
from starlette.middleware import Middleware

POLICY = {"version": "keyswap/v1"}

gate = Keyswap(Starlette(), POLICY, counts=True, node="n")
Starlette(middleware=[Middleware(Keyswap, policy=json.dumps(POLICY))])
Starlette().add_middleware(Keyswap, policy=POLICY, variables={"OPENAI_API_KEY": "k"})
try:
    asyncio.run(gate.aclose())
except PolicyError as error:
    print(error)

Keyswap(Starlette())  # type: ignore[call-arg]
Keyswap(Starlette(), POLICY, True)  # type: ignore[arg-type]
Starlette().add_middleware(Keyswap, polic=POLICY)  # type: ignore[call-arg]

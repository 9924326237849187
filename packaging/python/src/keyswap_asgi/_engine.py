"""The engine with what a server needs of it: it makes the calls that the authorizer asks for, and takes the steps of bodies."""

import asyncio
import json
import logging
import time
from collections.abc import Iterable, Mapping
from typing import Any

import httpx

from ._authorizer import Authorizer, record

# An upstream may say nothing for so long: the head of an answer can be the work of minutes.
SILENCE_SECONDS = 600
CONNECT_SECONDS = 5
ROUND_SECONDS = 1

Lines = Iterable[tuple[bytes, bytes]]

log = logging.getLogger("keyswap")


class PolicyError(Exception):
    """All that is wrong with a policy."""


class Refused(Exception):
    """The answer to a request whose body is refused."""

    def __init__(self, reply: Any) -> None:
        super().__init__()
        self.reply = reply


class Unreadable(Exception):
    """The end of an answer of which nothing more may go on."""


def fields_of(lines: Lines) -> list[Any]:
    return [record(name=name.decode("latin-1"), value=value) for name, value in lines]


def lines_of(fields: Iterable[Any]) -> list[tuple[bytes, bytes]]:
    return [(field.name.encode("latin-1"), bytes(field.value)) for field in fields]


def outgoing(method: str, to: Any, lines: Lines, body: Any) -> httpx.Request:
    """Returns a request whose target goes as it is: a URL would be normalised."""
    scheme = "https" if to.https else "http"
    return httpx.Request(
        method,
        f"{scheme}://{to.authority}/",
        headers=[(b"host", to.authority.encode()), *lines],
        content=body,
        extensions={"target": to.target.encode("latin-1")},
    )


class Engine:
    """A policy in force, with the client for its calls and for requests."""

    def __init__(
        self, policy: str | Mapping[str, Any], variables: Mapping[str, str], counts: bool, node: str
    ) -> None:
        self._authorizer = Authorizer()
        created = self._authorizer.call(
            "[static]engine.create-reading",
            policy if isinstance(policy, str) else json.dumps(policy),
            list(variables.items()),
            record(counts=counts, upgrades=False, injects_credentials=False, passes=True),
            record(requests=True, answers=True),
            node,
        )
        if isinstance(created, list):
            raise PolicyError("\n".join(f"error at `{error.path}`: {error.message}" for error in created))
        self._engine = created
        self.client = httpx.AsyncClient(
            timeout=httpx.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS),
            # A caller waits for its upstream, not for other callers.
            limits=httpx.Limits(max_connections=None),
            follow_redirects=False,
            trust_env=False,
        )
        self._rounds: asyncio.Task[None] | None = None
        # The event loop keeps none of its tasks alive.
        self._reports: set[asyncio.Task[Any]] = set()

    async def judge(self, head: Any) -> Any:
        """Returns what to do with a request, after all calls that this takes."""
        if self._rounds is None:
            self._rounds = asyncio.create_task(self._make_rounds())
        step = self._authorizer.call("[method]engine.judge", self._engine, head, time.time_ns())
        while step.tag == "call":
            step = await self._make(step.payload)
        self.tell()
        return step

    def of(self, exchange: Any, function: str, *arguments: Any) -> Any:
        """Calls a function of an exchange."""
        return self._authorizer.call(f"[method]exchange.{function}", exchange, *arguments)

    async def request_slice(self, exchange: Any, part: bytes, is_last: bool) -> bytes:
        """Returns what goes on in the place of a slice of the request's body."""
        step = self.of(exchange, "request-body", part, is_last, time.time_ns())
        while step.tag == "call":
            part = part if step.payload.bytes is None else bytes(step.payload.bytes)
            await self._make(step.payload.call)
            step = self.of(exchange, "resume-request", time.time_ns())
        if step.tag == "reply":
            self.tell()
            raise Refused(step.payload)
        return part if step.payload is None else bytes(step.payload)

    async def answer_slice(self, exchange: Any, part: bytes, is_last: bool) -> bytes:
        """Returns what goes on in the place of a slice of the answer's body."""
        if not self.of(exchange, "reads-answer"):
            return part
        step = self.of(exchange, "answer-slice", part, is_last, time.time_ns())
        while step.tag == "call":
            await self._make(step.payload)
            step = self.of(exchange, "resume-answer", time.time_ns())
        if step.tag == "cut":
            raise Unreadable
        return part if step.payload is None else bytes(step.payload)

    def finish(self, exchange: Any) -> None:
        """Ends an exchange. The calls that tell it are made behind the answer; what was not told is due again."""
        try:
            calls = self.of(exchange, "finished", time.time_ns())
        finally:
            self._authorizer.drop(exchange)
        for call in calls:
            report = asyncio.create_task(self._make(call))
            self._reports.add(report)
            report.add_done_callback(self._reports.discard)

    def tell(self) -> None:
        for line in self._authorizer.call("[method]engine.log", self._engine):
            log.warning("%s", line)

    async def close(self) -> None:
        """Ends the calls in the background, and the connections."""
        tasks = [*self._reports, *([self._rounds] if self._rounds else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.client.aclose()

    async def _make_rounds(self) -> None:
        while True:
            await asyncio.sleep(ROUND_SECONDS)
            try:
                due = self._authorizer.call("[method]engine.due", self._engine, time.time_ns())
                await asyncio.gather(*(self._make(call) for call in due))
                self.tell()
            except Exception as error:
                # The next round is another one.
                log.error("the calls that are due came to nothing: %s", type(error).__name__)

    async def _make(self, call: Any) -> Any:
        """Makes a call; returns the step of the request that waits for it, if one does."""
        answer = None
        try:
            answer = await self._ask(self._authorizer.call("[method]call.request", call))
        finally:
            # Also where the caller leaves in the middle of it: a call without an answer would be waited for by others.
            step = self._authorizer.call("[static]call.answered", call, answer, time.time_ns())
        return step

    async def _ask(self, request: Any) -> Any:
        """Returns the answer to a call: `None` where none came whole, in time and short enough."""
        body = None if request.body is None else bytes(request.body)
        try:
            async with asyncio.timeout(getattr(request, "timeout-ms") / 1000):
                sent = outgoing(request.method, request, lines_of(request.fields), body)
                answer = await self.client.send(sent, stream=True)
                try:
                    content = bytearray()
                    async for chunk in answer.aiter_raw():
                        content += chunk
                        if len(content) > getattr(request, "most-bytes"):
                            return None
                finally:
                    await answer.aclose()
                return record(status=answer.status_code, body=bytes(content))
        except (httpx.HTTPError, TimeoutError):
            return None

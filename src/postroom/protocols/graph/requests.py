"""Requests to one mailbox on Graph: the token, immutable ids, patience when throttled, links."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode

from postroom.clock import monotonic
from postroom.errors import (
    InvalidValue,
    PostroomError,
    ProtocolError,
    Refused,
    SignInError,
    WireError,
)
from postroom.net.dial import Step
from postroom.net.http import HttpClient, Into
from postroom.net.http_message import HttpAnswer, HttpLimits, bearer
from postroom.net.origin import Origin
from postroom.protocols.base import Limits, SignIn, WireTarget
from postroom.protocols.gate import Crowded, Gate
from postroom.protocols.graph.refusals import refusal
from postroom.protocols.opening import OnStep
from postroom.secret import Secret

__all__ = [
    "AGAIN",
    "PATIENCE",
    "Requests",
    "Single",
    "http_limits",
    "id_of",
    "quoted",
    "rows_of",
    "strange",
    "told_later",
    "wait_of",
]

PATIENCE: Final = 30.0
"""Seconds that one request waits, all its waits together, when it is told to come later."""

AGAIN: Final = frozenset({429, 503})
"""Statuses that say: the same, later."""

_UNSAID: Final = 2.0  # seconds to wait when the answer does not say how long
_LONGEST_WAIT: Final = 3600.0  # Exchange says seconds or minutes; every process waits with us
_STREAM_SECONDS: Final = 3600.0
_BATCH: Final = 20
IMMUTABLE: Final = 'IdType="ImmutableId"'


@dataclasses.dataclass(frozen=True, slots=True)
class Single:
    """One request of a batch; ``path`` is below the mailbox."""

    method: str
    path: str
    body: Mapping[str, Any] | None = None


def quoted(text: str) -> str:
    """An id or an address as one part of a path."""
    return quote(text, safe="@")


def http_limits(limits: Limits) -> HttpLimits:
    """What one exchange may use, by the limits of the wire."""
    return HttpLimits(
        connect_timeout=limits.connect_timeout,
        reply_timeout=limits.reply_timeout,
        total=max(120.0, 2 * limits.reply_timeout),
    )


class Requests:
    """Asks about one mailbox.  ``gate`` is shared with all others who do so by the same app."""

    def __init__(self, target: WireTarget, sign_in: SignIn, on_step: OnStep | None = None) -> None:
        if sign_in.method != "token" or sign_in.secret is None:
            raise SignInError(
                "Microsoft Graph is signed in to with an access token alone.",
                hint="Give the connection a sign-in by OAuth.",
            )
        route = target.route
        tls = dataclasses.replace(target.tls, check_name=True, look_only=False)
        self.origin = Origin(route.host, route.port, tls, route.proxy, route.policy)
        self.limits = target.limits
        self.gate = target.gate or Gate()
        self._base = target.path.rstrip("/")
        self._mailbox = f"/users/{quoted(sign_in.user)}"
        self._authorization = bearer(sign_in.secret)
        self._tell = on_step or (lambda _step: None)
        self._client = HttpClient(
            self.origin, limits=http_limits(target.limits), most=self.gate.width, on_step=on_step
        )
        self._accepted = False
        self._closed = False

    def path(self, path: str, query: Mapping[str, str] | None = None) -> str:
        """A path below the mailbox with its query, as a target on this origin."""
        more = "?" + urlencode(query, safe="$,:@/'", quote_via=quote) if query else ""
        return f"{self._base}{self._mailbox}/{path}{more}"

    def link(self, url: str) -> str:
        """A link that Graph gave, as a target.  Raises ProtocolError for another origin."""
        try:
            return self.origin.url(url).target
        except (Refused, InvalidValue) as error:
            raise ProtocolError(
                "Microsoft Graph gave a link to another place; it was not followed.",
                hint=f"The token is for {self.origin.where} alone. If that is the wrong address, "
                "set graph_url.",
                said=error.sentence,
            ) from None

    async def first(self, target: str, *, lets: tuple[int, ...] = ()) -> HttpAnswer:
        """The first request, which proves the token; its end is the step ``sign-in``."""
        began = monotonic()
        answer = await self.ask("GET", target, step="sign-in", lets=lets)
        self._accepted = True
        self._tell(Step("sign-in", monotonic() - began, "the token is accepted"))
        return answer

    async def get(self, target: str, *, step: str, page: int = 0) -> dict[str, Any]:
        """JSON from a target (of :meth:`path` or :meth:`link`)."""
        prefer = f"{IMMUTABLE}, odata.maxpagesize={page}" if page else IMMUTABLE
        return _object(await self.ask("GET", target, step=step, prefer=prefer))

    async def post(self, path: str, body: Mapping[str, Any] | None, *, step: str) -> dict[str, Any]:
        """POST of JSON; the answer's JSON, or nothing."""
        answer = await self.ask("POST", self.path(path), body=body, step=step)
        return _object(answer) if answer.body else {}

    async def ask(
        self,
        method: str,
        target: str,
        *,
        step: str,
        body: Mapping[str, Any] | bytes | None = None,
        prefer: str = IMMUTABLE,
        lets: tuple[int, ...] = (),
    ) -> HttpAnswer:
        """One request; JSON, or bytes as text/plain.  It waits as :data:`PATIENCE` allows.

        ``lets`` are statuses beside 2xx that are answers.  Raises WireError as
        :func:`refusals.refusal` reads the answer.
        """
        headers: dict[str, str | Secret] = {"Prefer": prefer, "Authorization": self._authorization}
        content: bytes | None = None
        if body is not None:
            plain = isinstance(body, bytes)
            headers["Content-Type"] = "text/plain" if plain else "application/json"
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
        elif method == "POST":
            content = b""

        async def once() -> HttpAnswer:
            return await self._client.ask(
                method, self.origin.where + target, headers=headers, content=content,
                line=self.origin.bearer_line, step=step,
            )  # fmt: skip

        return await self._patiently(once, step, lets)

    async def save(
        self, path: str, into: Callable[[], Into], *, lets: tuple[int, ...]
    ) -> HttpAnswer:
        """GET, its body written into what ``into`` gives (anew at each try)."""
        headers: dict[str, str | Secret] = {
            "Prefer": IMMUTABLE,
            "Authorization": self._authorization,
        }
        limits = dataclasses.replace(
            http_limits(self.limits), body=self.limits.literal, total=_STREAM_SECONDS
        )

        async def once() -> HttpAnswer:
            return await self._client.save(
                self.origin.where + self.path(path), into(), headers=headers, limits=limits,
                line=self.origin.bearer_line, step="fetch",
            )  # fmt: skip

        return await self._patiently(once, "fetch", lets)

    async def batch(self, singles: list[Single], *, step: str) -> list[HttpAnswer]:
        """Many requests, twenty at a time; their answers in the order asked.

        Those that are told to come later are asked again, and only those.  Graph hands four of a
        batch at a time to Exchange, so a batch takes all places of the gate.
        """
        found: dict[int, HttpAnswer] = {}
        waiting, until = list(range(len(singles))), monotonic() + PATIENCE
        while waiting:
            now = waiting[:_BATCH]
            waits = 0.0
            for number, answer in (await self._batched(singles, now, step)).items():
                if answer.status in AGAIN:
                    waits = max(waits, wait_of(answer))
                    if monotonic() + waits > until:
                        raise told_later(answer, step, waits)
                else:
                    found[number] = answer
            waiting = [number for number in waiting if number not in found]
            if waits:
                await self.gate.close_for(waits)
        return [found[number] for number in range(len(singles))]

    async def _batched(
        self, singles: list[Single], numbers: list[int], step: str
    ) -> dict[int, HttpAnswer]:
        asked = []
        for number in numbers:
            one = singles[number]
            path = f"{self._mailbox}/{one.path}"
            item: dict[str, Any] = {"id": str(number), "method": one.method, "url": path}
            item["headers"] = {"Prefer": IMMUTABLE}
            if one.body is not None:
                item["headers"]["Content-Type"] = "application/json"
                item["body"] = one.body
            asked.append(item)
        content = json.dumps({"requests": asked}).encode()
        headers: dict[str, str | Secret] = {
            "Authorization": self._authorization,
            "Content-Type": "application/json",
        }

        async def once() -> HttpAnswer:
            return await self._client.ask(
                "POST", f"{self.origin.where}{self._base}/$batch", headers=headers, content=content,
                line=self.origin.bearer_line, step=step,
            )  # fmt: skip

        whole = _object(await self._patiently(once, step, (), places=self.gate.width))
        try:
            answers = {
                int(each["id"]): HttpAnswer(
                    int(each["status"]),
                    {key.lower(): str(value) for key, value in (each.get("headers") or {}).items()},
                    json.dumps(each.get("body")).encode(),
                )
                for each in whole["responses"]
            }
            return {number: answers[number] for number in numbers}
        except (LookupError, TypeError, ValueError):
            raise strange(step) from None

    async def _patiently(
        self, once: Callable[[], Any], step: str, lets: tuple[int, ...], places: int = 1
    ) -> HttpAnswer:
        if self._closed:
            raise WireError("The connection was closed.", code="connection_lost", temporary=True)
        until = monotonic() + PATIENCE
        while True:
            if (wait := self.gate.closed_for) > 0:
                if monotonic() + wait > until:
                    raise told_later(None, step, wait)
                await asyncio.sleep(wait)
            try:
                async with self.gate.passing(places, until=until):
                    answer: HttpAnswer = await once()
            except Crowded:
                raise _crowded(step) from None
            if 200 <= answer.status < 300 or answer.status in lets:
                return answer
            if answer.status not in AGAIN:
                raise refusal(answer, step=step, late=self._accepted)
            wait = wait_of(answer)
            await self.gate.close_for(wait)
            if monotonic() + wait > until:
                raise told_later(answer, step, wait)

    async def close(self) -> None:
        """Close every connection."""
        self._closed = True
        await self._client.close()

    def abandon(self) -> None:
        """Nothing is asked any more; connections are closed when the loop comes to it."""
        if not self._closed:
            self._closed = True
            self._closing = asyncio.get_running_loop().create_task(self._client.close())


def wait_of(answer: HttpAnswer) -> float:
    """For how many seconds an answer says to wait; an hour at most, whatever is written there."""
    said = answer.retry_after()
    return _UNSAID if said is None else min(max(said, 0.05), _LONGEST_WAIT)


def told_later(answer: HttpAnswer | None, step: str, wait: float) -> WireError:
    """The error of who is told to come later than :data:`PATIENCE` allows; ``retry_after`` says when."""
    said = f"{answer.status}" if answer is not None else ""
    return WireError(
        f"Microsoft Graph wants no request for this mailbox for {wait:.0f} s.",
        code="deferred",
        step=step,
        said=said,
        temporary=True,
        hint="It goes on by itself then. It is asked too much, or is overloaded.",
        retry_after=wait,
    )


def _crowded(step: str) -> WireError:
    """As :func:`told_later`: it is ourselves who keep to what the service allows."""
    return WireError(
        "As many requests of this room as Microsoft Graph takes are under way for this mailbox.",
        code="deferred",
        step=step,
        temporary=True,
        hint="It goes on by itself when they are answered.",
        retry_after=_UNSAID,
    )


def id_of(row: object, step: str = "folder") -> str:
    """The id of a message or a folder.  Raises ProtocolError where there is none."""
    found = row.get("id") if isinstance(row, dict) else None
    if not isinstance(found, str) or not found:
        raise strange(step)
    return found


def rows_of(said: Mapping[str, Any], step: str = "folder") -> list[dict[str, Any]]:
    """What a page lists, each with an id.  Raises ProtocolError for anything else."""
    rows = said.get("value")
    if not isinstance(rows, list):
        raise strange(step)
    for row in rows:
        id_of(row, step)
    return rows


def _object(answer: HttpAnswer) -> dict[str, Any]:
    found = answer.json()
    if not isinstance(found, dict):
        raise strange("request")
    return found


def strange(step: str) -> PostroomError:
    """The error of an answer that is not what Graph's description says."""
    return ProtocolError(
        "Microsoft Graph did not answer as its description says.",
        step=step,
        hint="Check graph_url.",
    )

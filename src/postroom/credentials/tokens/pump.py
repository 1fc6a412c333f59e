"""The one pump of OAuth flows: writes what a flow asks, waits as it says, hands back the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from postroom.clock import timestamp
from postroom.credentials.tokens.grant import Grant
from postroom.errors import WireError
from postroom.net.dial import Policy
from postroom.net.http import HttpClients
from postroom.net.http_message import FORM, basic, form
from postroom.net.origin import Origin, split_url
from postroom.net.veil import Veiled, behind
from postroom.oauth.steps import Answer, Ask, Flow, Wait
from postroom.secret import Secret

__all__ = ["Pump"]

T = TypeVar("T")
Sleep = Callable[[float], Awaitable[None]]


class Pump:
    """Runs flows of one grant.  ``sleep`` is how long a wait is waited (tests hurry it)."""

    def __init__(
        self,
        clients: HttpClients,
        grant: Grant,
        *,
        policy: Policy | None = None,
        sleep: Sleep = asyncio.sleep,
        veiled: Veiled = "",
    ) -> None:
        """``veiled``: for somebody who is not told why no server answers."""
        self._clients = clients
        self._grant = grant
        self._policy = policy or Policy()
        self._sleep = sleep
        self._veiled = veiled

    async def run(self, flow: Flow[T]) -> T:
        """Run a flow to its end.  Raises what it raises: SignInError, ProtocolError, WireError."""
        answer: Answer | None = None
        try:
            step = next(flow)
            while True:
                if isinstance(step, Wait):
                    await self._sleep(step.seconds)
                    step = flow.send(None)
                    continue
                try:
                    answer = await self._ask(step)
                except WireError as error:
                    step = flow.throw(error)
                else:
                    step = flow.send(answer)
        except StopIteration as done:
            found: T = done.value
            return found
        finally:
            flow.close()

    async def _ask(self, ask: Ask) -> Answer:
        """One request; secrets go to the line the grant names, and to no other."""
        url = split_url(ask.url)
        origin = Origin(
            url.host, url.port, self._grant.tls, self._grant.proxy, self._policy, url.secure
        )
        headers: dict[str, str | Secret] = dict(ask.headers)
        content, line = None, ""
        if ask.form:
            headers["Content-Type"] = FORM
            content, line = form(ask.form), self._grant.line_of(ask.url)
        if ask.basic is not None:
            headers["Authorization"] = basic(ask.basic.user, ask.basic.password)
        asked = self._clients.to(origin).ask(
            ask.method, ask.url, headers=headers, content=content, line=line, step="sign-in"
        )
        answer = await behind(asked, origin.where, self._veiled)
        return Answer(answer.status, tuple(answer.headers.items()), answer.body, timestamp())

"""The keeper of tokens: a fresh one at once, a stale one fetched by exactly one process.

What fetches is loaded when something is fetched: most commands never do.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from postroom.clock import timestamp
from postroom.credentials.tokens import rows
from postroom.credentials.tokens.grant import Grant
from postroom.credentials.tokens.kept import Kept, Use, not_bound
from postroom.credentials.tokens.rows import Access
from postroom.db import Database, Seat, Tx
from postroom.errors import Refused
from postroom.net.dial import Policy
from postroom.net.origin import split_url
from postroom.net.veil import Veiled, behind

if TYPE_CHECKING:
    from postroom.credentials.tokens.renewal import Renewal

__all__ = ["Keeper", "VeiledKeeper"]

_CLOSING: Final = 60.0


class Keeper:
    """The tokens of one room.  ``seat`` gives this process's seat among those that claim."""

    def __init__(
        self,
        db: Database,
        kept: Kept,
        seat: Callable[[], Awaitable[Seat]],
        *,
        policy: Policy | None = None,
    ) -> None:
        self._db = db
        self.kept = kept
        self.seat = seat
        self._policy = policy
        self._made: Renewal | None = None
        self._asking: dict[tuple[str, ...], asyncio.Task[Access]] = {}

    async def access(self, grant: Grant, use: Use) -> Access:
        """A token that is good for a while.  Raises as :meth:`fresh` and :meth:`renew`."""
        found = await self._db.write(lambda tx: self.fresh(tx, grant, use))
        return found or await self.renew(grant, use)

    def fresh(self, tx: Tx, grant: Grant, use: Use) -> Access | None:
        """The stored token, if it is good for a while; as :meth:`Kept.fresh`."""
        return self.kept.fresh(tx, grant, use)

    def hurry(self, tx: Tx, grant: Grant) -> None:
        """Let a sign-in not wait after a failure."""
        rows.hurry(tx, now=timestamp(), sign_in=grant.sign_in)
        if self._made is not None:
            self._made.hurry(grant)

    async def renew(self, grant: Grant, use: Use, *, refused: int = 0) -> Access:
        """Ask for a new token, once in this process and once in the fleet, however many want it.

        ``refused`` is the version that a server did not take.  Whoever waits and is cancelled does
        not cancel the asking: what a server has given must be stored.  Raises SignInError,
        WireError, Refused (``sign_in_required``, ``destination_not_bound``), Locked.
        """
        key = (grant.sign_in, rows.scopes_key(grant))
        while (running := self._asking.get(key)) is not None:
            # somebody asks already, for a destination of his own: what came is opened for this one
            try:
                await asyncio.shield(running)
            except Refused as error:
                if error.code != "destination_not_bound":
                    raise
            found = await self._db.write(
                lambda tx: self.kept.fresh(tx, grant, use, refused=refused)
            )
            if found is not None:
                return found
        running = asyncio.create_task(
            self.renewal.renew(grant, use, refused), name="postroom-token"
        )
        self._begun(key, running)
        access = await asyncio.shield(running)
        bound = await self._db.read(lambda tx: rows.known_access(tx, grant))
        if bound is None or use.line not in json.loads(bound["destinations"]):
            raise not_bound(grant, use.line)  # somebody took that destination away meanwhile
        return access

    async def prove(self, grant: Grant, use: Use, label: str) -> Access:
        """Ask for a real token with one proof of the client alone; by that it becomes the current one.

        For a person's grant their stored sign-in is refreshed with it.  A refusal is written down
        and delays nobody else.  Raises as :meth:`renew`; InvalidValue for a label that is not there.
        """
        key = (grant.sign_in, rows.scopes_key(grant), label)
        task = self._asking.get(key)
        if task is None:  # else somebody asks already, for the very same
            task = asyncio.create_task(self.renewal.renew(grant, use, proving=label))
            self._begun(key, task)
        return await asyncio.shield(task)

    def _begun(self, key: tuple[str, ...], task: asyncio.Task[Access]) -> None:
        def over(task: asyncio.Task[Access]) -> None:
            self._asking.pop(key, None)
            if not task.cancelled():
                task.exception()  # whoever waited for it may be gone

        self._asking[key] = task
        task.add_done_callback(over)

    @property
    def renewal(self) -> Renewal:
        """What speaks to authorization servers."""
        if self._made is None:
            from postroom.credentials.tokens.renewal import Renewal

            self._made = Renewal(self._db, self.kept, self.seat, policy=self._policy)
        return self._made

    async def close(self) -> None:
        """Let what is asked right now be stored, then close the connections."""
        if self._asking:
            await asyncio.wait(self._asking.values(), timeout=_CLOSING)
        if self._made is not None:
            await self._made.close()


class VeiledKeeper(Keeper):
    """The same tokens, for somebody who is not told why an authorization server does not answer."""

    def __init__(self, db: Database, whole: Keeper, veiled: Veiled) -> None:
        super().__init__(db, whole.kept, whole.seat)
        self._whole = whole
        self._veiled = veiled

    def hurry(self, tx: Tx, grant: Grant) -> None:
        """As :meth:`Keeper.hurry`."""
        self._whole.hurry(tx, grant)

    async def renew(self, grant: Grant, use: Use, *, refused: int = 0) -> Access:
        """As :meth:`Keeper.renew`.  Raises NoServer besides."""
        return await self._behind(self._whole.renew(grant, use, refused=refused), grant)

    async def prove(self, grant: Grant, use: Use, label: str) -> Access:
        """As :meth:`Keeper.prove`.  Raises NoServer besides."""
        return await self._behind(self._whole.prove(grant, use, label), grant)

    @property
    def renewal(self) -> Renewal:
        """What speaks to authorization servers."""
        return self._whole.renewal.under(self._veiled)

    async def _behind(self, asked: Awaitable[Access], grant: Grant) -> Access:
        endpoint = dict(grant.named).get("token_endpoint") or grant.authority
        return await behind(asked, split_url(endpoint).where, self._veiled)

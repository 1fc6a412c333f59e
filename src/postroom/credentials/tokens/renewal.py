"""A token fetched: claimed by one process, asked for, sealed, and only then used.

    in one transaction   the sign-in is claimed, the secrets are opened, written down
    no transaction open  the authorization server is asked
    in one transaction   what it gave is sealed, the claim released

A refresh token that rotates is stored in the transaction that releases the claim; the one before it
stays until the new one has worked.  Whoever loses the claim stores nothing.  Where the room cannot be
written (a full disk, a busy room), what the server gave is owed, and the claim stays ours until it is
written: a refresh token that was rotated and then dropped would end the sign-in.
"""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple, TypeVar

from postroom.clock import monotonic, rfc3339, timestamp
from postroom.credentials import proofs
from postroom.credentials.tokens import rows
from postroom.credentials.tokens.accepting import accepted
from postroom.credentials.tokens.clients import Shown, only, opened
from postroom.credentials.tokens.endpoints import pinned, remember
from postroom.credentials.tokens.grant import Grant
from postroom.credentials.tokens.kept import Kept, Use, check_signed_in, required
from postroom.credentials.tokens.pump import Pump
from postroom.credentials.tokens.rows import REQUIRED, SIGNED_IN, Access
from postroom.db import Claim, Database, Queue, Row, Seat, Tx, write_or_owe
from postroom.errors import PostroomError, Refused, RoomError, SignInError
from postroom.net.dial import Policy
from postroom.net.http import HttpClients
from postroom.net.veil import Veiled, parted
from postroom.oauth.client import Client
from postroom.oauth.discovery import Endpoints, discover, named_endpoints
from postroom.oauth.steps import Flow
from postroom.oauth.tokens import TokenGrant, client_credentials, refresh
from postroom.secret import Secret

__all__ = ["KEEP_ALIVE", "LOOK", "SIGN_INS", "WAIT", "Renewal"]

T = TypeVar("T")

SIGN_INS: Final = Queue("sign_ins", among="id")
"""The claims of sign-ins: who asks the authorization server for one."""

KEEP_ALIVE: Final = 86400.0
"""Seconds after which a worker refreshes a sign-in that nobody used: unused ones end after weeks."""
WAIT: Final = 60.0
"""Seconds to wait for another process that is asking already, looking each ``LOOK``."""
LOOK: Final = 0.1
_FIRST_PAUSE: Final = 5.0
_LONGEST_PAUSE: Final = 900.0
_SCOPES_PAUSE: Final = 60.0  # an administrator may consent meanwhile


class _Work(NamedTuple):
    """A claimed refresh: everything the authorization server is asked with.

    ``kept`` are the refresh tokens with their versions, newest first; ``record`` is the client's
    credential, None for a public client; ``proving`` the label that alone is shown, empty for the
    usual ones; ``due_at`` when the row was due before.
    """

    claim: Claim
    client: Client
    endpoints: Endpoints | None
    kept: tuple[tuple[int, Secret], ...]
    record: Shown | None
    proving: str
    due_at: float


class Renewal:
    """Asks authorization servers for the tokens of one room; ``seat`` as :class:`Keeper` has it."""

    def __init__(
        self,
        db: Database,
        kept: Kept,
        seat: Callable[[], Awaitable[Seat]],
        *,
        policy: Policy | None = None,
    ) -> None:
        self._db = db
        self._kept = kept
        self.seat = seat
        self._policy = policy
        self.veiled: Veiled = ""
        self._http = HttpClients()
        self._denied: dict[tuple[str, str], tuple[float, SignInError]] = {}

    def pump(self, grant: Grant) -> Pump:
        """Runs the flows of a grant over this room's connections."""
        return Pump(self._http, grant, policy=self._policy, veiled=self.veiled)

    def under(self, veiled: Veiled) -> Renewal:
        """The same for somebody who is not told why an authorization server does not answer."""
        other = copy.copy(self)
        other.veiled = veiled
        return other

    async def close(self) -> None:
        """Close the connections to authorization servers."""
        await self._http.close()

    async def renew(self, grant: Grant, use: Use, refused: int = 0, *, proving: str = "") -> Access:
        """As :meth:`Keeper.renew`, for one of all who want it; with ``proving`` as :meth:`Keeper.prove`."""
        if not proving:
            self._check_denied(grant)
        seat = await self.seat()
        deadline = monotonic() + WAIT
        while monotonic() <= deadline:
            found = await self._db.write(
                lambda tx: self._begin(tx, seat.owner, grant, use, refused, proving)
            )
            if isinstance(found, Access):
                return found
            if found is None:
                await asyncio.sleep(LOOK)
                continue
            try:
                return await self._fetch(seat, grant, use, found)
            except Refused as error:
                if error.code != "claim_lost":
                    raise  # else somebody signed in anew, or out, meanwhile: it is looked at again
        raise SignInError(
            "Another process has been asking for this token for a minute.",
            code="deferred", temporary=True, hint="It is tried again.",
        )  # fmt: skip

    def hurry(self, grant: Grant) -> None:
        """Let scopes be asked for at once that were refused before."""
        self._denied.pop(_key(grant), None)

    def _check_denied(self, grant: Grant) -> None:
        """Scopes that were refused are not asked for again at once; others of the sign-in are."""
        until, error = self._denied.get(_key(grant), (0.0, None))
        if error is not None and until > monotonic():
            raise SignInError(error.sentence, said=error.said, hint=error.hint, **error.facts)

    async def _fetch(self, seat: Seat, grant: Grant, use: Use, work: _Work) -> Access:
        """Ask with what was claimed, and store what comes.  Raises Refused(``claim_lost``)."""
        owner = seat.owner
        try:
            version, granted = await self._ask(grant, work)
        except BaseException as error:
            failure = error
            if isinstance(error, SignInError) and error.facts.get("of_scopes"):
                self._denied[_key(grant)] = (monotonic() + _SCOPES_PAUSE, error)
            await self._settle(seat, work, lambda tx: self._failed(tx, owner, grant, work, failure))
            raise
        return await self._settle(
            seat, work, lambda tx: self._store_it(tx, owner, grant, use, work, version, granted)
        )

    async def _settle(self, seat: Seat, work: _Work, body: Callable[[Tx], T]) -> T:
        """Write what gives the claim back, or owe it; what the room refuses gives it back bare."""

        def back(tx: Tx) -> None:
            if SIGN_INS.holds(tx, work.claim, owner=seat.owner):
                SIGN_INS.release(tx, work.claim, owner=seat.owner, due_at=work.due_at)

        def owe(owed: Callable[[Tx], object]) -> None:
            seat.owe(owed)
            seat.owe(back)

        try:
            return await write_or_owe(self._db, body, owe)
        except RoomError:
            raise
        except BaseException:
            await write_or_owe(self._db, back, seat.owe)
            raise

    def _begin(
        self, tx: Tx, owner: str, grant: Grant, use: Use, refused: int, proving: str
    ) -> _Work | Access | None:
        """Claim the sign-in and open what is asked with; None while somebody else has it."""
        keyring = self._kept.keyring
        already = None if proving else self._kept.fresh(tx, grant, use, refused=refused)
        if already is not None:
            return already
        now = timestamp()
        row = rows.ensure(tx, grant, now=now)
        check_signed_in(row, grant)
        if not proving:
            _check_pause(row, now)
        rows.make_due(tx, row["id"], now=now)
        claims = SIGN_INS.claim(tx, owner=owner, now=now, limit=1, names=[row["id"]])
        if not claims:
            return None
        self._kept.check_line(tx, row, grant, use.line)
        client, record = opened(tx, self._kept, grant, actor=use.actor, purpose=use.purpose)
        if proving:
            client = only(client, proving)
        kept: tuple[tuple[int, Secret], ...] = ()
        if grant.personal:
            versions = rows.refresh_versions(tx, row["id"])
            kept = tuple((one, rows.open_refresh(tx, keyring, row, one)) for one in versions)
            self._kept.record(
                tx, use.actor, "open", grant, line=grant.token_line, purpose=use.purpose
            )
        return _Work(
            claims[0], client, pinned(tx, grant), kept, record, proving, due_at=row["due_at"]
        )

    async def _ask(self, grant: Grant, work: _Work) -> tuple[int, TokenGrant]:
        """Ask the server; gives the version of the refresh token that worked too (0: none)."""
        pump = self.pump(grant)
        endpoints = work.endpoints or await self.discovered(grant)
        if not grant.personal:
            flow = client_credentials(work.client, endpoints, grant.scopes, at=timestamp())
            return 0, await pump.run(flow)
        refusal: PostroomError | None = None
        for version, token in work.kept:
            try:
                again: Flow[TokenGrant] = refresh(
                    work.client, endpoints, token, grant.scopes, at=timestamp(),
                    prove=bool(work.proving or work.claim.row["proof"]),
                )  # fmt: skip
                return version, await pump.run(again)
            except SignInError as error:
                if error.code != "sign_in_required":
                    raise
                refusal = refusal or error  # the newest one's; the one before may still be good
        raise refusal or required(grant, "")

    async def discovered(self, grant: Grant) -> Endpoints:
        """The endpoints of a grant's server: pinned, or looked up and pinned now."""
        known = await self._db.read(lambda tx: pinned(tx, grant))
        if known is not None:
            return known
        found = await self.looked_up(grant)

        def pin(tx: Tx) -> Endpoints:
            remember(tx, grant, found, now=timestamp())
            return pinned(tx, grant) or found  # of another process, if it was the first

        return await self._db.write(pin)

    async def looked_up(self, grant: Grant) -> Endpoints:
        """The endpoints of a grant's server as it is now; nothing is pinned."""
        named = dict(grant.named)
        if "token_endpoint" in named:
            return named_endpoints(named)
        return await self.pump(grant).run(discover(grant.authority, entra=grant.entra, named=named))

    def _store_it(
        self, tx: Tx, owner: str, grant: Grant, use: Use, work: _Work, used: int, new: TokenGrant
    ) -> Access:
        keyring = self._kept.keyring
        SIGN_INS.guard(tx, work.claim, owner=owner)
        row = rows.ensure(tx, grant, now=timestamp())
        if grant.personal:
            lines = json.loads(row["destinations"])
            rows.forget_others(tx, keyring, row["id"], used)
            if new.rotated and new.refresh_token is not None:
                rows.keep_refresh(tx, keyring, row, new.refresh_token, lines)
        else:
            lines = self._kept.store.get(tx, grant.credential).destinations
        now = timestamp()
        made = Access(
            new.access_token, row["identity"], new.expires_at, 0, new.scope, hints=new.hints
        )
        access = rows.keep_access(tx, keyring, row, grant, made, lines, now=now)
        tx.execute(
            "UPDATE sign_ins SET state = :state, note = '', proof = :proof, failures = 0, "
            "refreshed_at = :now WHERE id = :id",
            state=SIGNED_IN, proof=new.proof or row["proof"], now=now, id=row["id"],
        )  # fmt: skip
        SIGN_INS.release(tx, work.claim, owner=owner, due_at=now + KEEP_ALIVE)
        note = ""
        if work.record is not None and new.proof:
            note = accepted(
                tx, self._kept, work.record, new, actor=use.actor, anew=bool(work.proving)
            )
        self._kept.record(
            tx, use.actor, "refresh", grant, proof=new.proof, refused=list(new.refused),
            rotated=new.rotated, until=rfc3339(new.expires_at),
            **({"problem": new.problem} if new.problem else {}),
        )  # fmt: skip
        return access._replace(note=note)

    def _failed(self, tx: Tx, owner: str, grant: Grant, work: _Work, error: BaseException) -> None:
        """Give the claim back.  Nothing is deleted: only a definite refusal asks for a person."""
        if not SIGN_INS.holds(tx, work.claim, owner=owner):
            return
        if isinstance(error, RoomError) or not isinstance(error, PostroomError):
            # it was not the server that failed: nobody has to wait for it
            SIGN_INS.release(tx, work.claim, owner=owner, due_at=work.due_at)
            return
        labels = error.facts.get("refused") or ()
        if work.record is not None and labels:
            proofs.refused(tx, work.record.id, labels, why=error.reason, now=timestamp())
        of_scopes = bool(error.facts.get("of_scopes"))
        if of_scopes or (work.proving and error.code != "sign_in_required"):
            # neither scopes that nobody consented to nor what is not proven yet delay others
            SIGN_INS.release(tx, work.claim, owner=owner, due_at=work.due_at)
            return
        failures = work.claim.row["failures"] + 1
        pause = min(_FIRST_PAUSE * 2 ** min(failures - 1, 10), _LONGEST_PAUSE)
        pause = max(pause, float(error.facts.get("retry_after") or 0.0))
        ended = error.code == "sign_in_required"
        tx.execute(
            "UPDATE sign_ins SET failures = :failures, note = :note, state = "
            "CASE WHEN :ended THEN :required ELSE state END WHERE id = :id",
            failures=failures, note=error.kept(error.reason), ended=ended, required=REQUIRED,
            id=work.claim.id,
        )  # fmt: skip
        SIGN_INS.release(tx, work.claim, owner=owner, due_at=timestamp() + pause)
        if ended:
            self._kept.record(tx, "postroom", "sign-in required", grant, why=error.reason)


def _key(grant: Grant) -> tuple[str, str]:
    return grant.sign_in, rows.scopes_key(grant)


def _check_pause(row: Row, now: float) -> None:
    """After a failure nobody asks again before the pause is over, or the server is asked to death."""
    if row["failures"] and row["owner"] is None and row["due_at"] > now:
        nobody, told = parted(row["note"])
        error = SignInError(
            f"The authorization server failed a moment ago: {told}",
            code="deferred",
            temporary=True,
            hint=f"It is asked again in {row['due_at'] - now:.0f} s.",
        )
        error.nobody = nobody
        raise error

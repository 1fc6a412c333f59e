"""An account that stands in no room yet: what is dialled for it, who signs in, and how its test went."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from postroom.clock import timestamp
from postroom.connections.dialling import Place, Prepared, dial_store
from postroom.connections.doctor import test_unsaved
from postroom.connections.effective import EffectiveSide
from postroom.connections.report import Report, Tell
from postroom.connections.signins import SignInUse, sign_ins
from postroom.db import Tx
from postroom.errors import Refused
from postroom.operations.desk import Desk
from postroom.operations.moved import used_in
from postroom.operations.personal import Way, sign_in_unsaved
from postroom.sources.beginning import Mark, mark_of

if TYPE_CHECKING:  # a worker that signs nobody in does not load them
    from postroom.credentials.tokens.rows import Access
    from postroom.credentials.tokens.signing_in import SigningIn
    from postroom.oauth.client import Client

__all__ = [
    "Tried", "Unsaved", "keep_sign_in", "look", "prepare", "signed_in", "take_mark", "walk",
]  # fmt: skip

FORGOTTEN: Final = 900.0
"""Seconds for which what was tried is good: tokens that lie in memory are not for ever."""


@dataclasses.dataclass(slots=True)
class Unsaved:
    """What an account comes to, made and undone: its name, its sides, ready to be dialled where a
    password is enough, and the sign-in that they want, with its client.
    """

    name: str
    sides: dict[Place, EffectiveSide]
    ready: dict[Place, Prepared]
    use: SignInUse | None = None
    client: Client | None = None


@dataclasses.dataclass(slots=True)
class Tried:
    """What came of trying: how the test went, who is signed in, and what was there to be collected."""

    report: Report
    signing: SigningIn | None = None
    mark: Mark | None = None
    until: float = dataclasses.field(default_factory=lambda: timestamp() + FORGOTTEN)


def prepare(
    desk: Desk,
    tx: Tx,
    make: Callable[[Tx], dict[str, str]],
    *,
    typed: Callable[[dict[str, str]], Iterable[str]],
) -> Unsaved:
    """Make it in a transaction that is undone, and see what would be dialled: exactly that.

    ``typed``: the credentials, of those that were made, whose secrets were given just now.  A secret
    that is stored goes nowhere else by a test, but whoever signs in agrees to where that leads.
    """
    before = used_in(tx, desk.resolver(tx), desk.expander(tx))
    made = make(tx)
    name = made["connection"]
    uses = [
        use for use in sign_ins(desk.resolver(tx).all_sides()).values() if name in use.connections
    ]
    agreed = {(use.grant.label, line) for use in uses if use.grant.personal for line in use.lines}
    desk.rebind(tx, before, rebind=frozenset(agreed), typed=[*typed(made)])
    sides: dict[Place, EffectiveSide] = {
        side.place: side for side in desk.resolver(tx).effective(name).sides  # type: ignore[misc]
    }  # fmt: skip
    if not uses:
        ready = {place: desk.opener.prepare_in(tx, name, place) for place in sides}
        return Unsaved(name, sides, ready)
    from postroom.credentials.tokens.clients import opened

    grant = next(side.grant for side in sides.values() if side.grant is not None)
    purpose = f"sign in {grant.label}"
    client, _ = opened(tx, desk.tokens.kept, grant, actor=desk.actor, purpose=purpose)
    return Unsaved(name, sides, {}, uses[0].asked_by(grant), client)


async def walk(
    desk: Desk, unsaved: Unsaved, way: Way | None, on_step: Tell | None, *, device_flow: bool
) -> Tried:
    """Look whether its servers are there, let somebody or the app itself sign in, then the whole test.

    Nobody is asked to sign in for servers that are not there.  Raises SignInError, WireError, Refused.
    """
    signing = None
    if unsaved.use is not None:
        report = await look(desk, unsaved, on_step)
        if not report.ok:
            return Tried(report)
        signing = await signed_in(desk, unsaved, way, device_flow=device_flow)
    report = await test_unsaved(unsaved.name, unsaved.ready, on_step=on_step, reach=False)
    return Tried(report, signing)


async def look(desk: Desk, unsaved: Unsaved, on_step: Tell | None = None) -> Report:
    """Walk its sides up to where somebody would sign in; of Graph there is nothing to see."""
    there = {
        place: desk.opener.prepared_with(unsaved.name, side, None)
        for place, side in unsaved.sides.items()
        if side.protocol != "graph"
    }
    return await test_unsaved(unsaved.name, there, on_step=on_step, reach=True)


async def signed_in(
    desk: Desk, unsaved: Unsaved, way: Way | None, *, device_flow: bool
) -> SigningIn | None:
    """Let somebody sign in by ``way``, or the app itself; then its sides can be dialled."""
    use, client = unsaved.use, unsaved.client
    assert use is not None  # noqa: S101  # whoever calls has asked
    assert client is not None  # noqa: S101  # it was prepared with it
    signing: SigningIn | None = None
    access: Access | None = None
    if not use.grant.personal:
        from postroom.credentials.tokens.trying import try_unsaved

        access = await try_unsaved(desk.tokens.renewal, use.grant, client)
    elif way is None:
        raise Refused(
            "Somebody has to sign in for this account, in a browser.", code="not_supported",
            hint="Connect it, then sign in for its connection; or connect it on the page.",
        )  # fmt: skip
    else:
        signing = await sign_in_unsaved(desk, use, way, client, device_flow=device_flow)
    for place, side in unsaved.sides.items():
        token = access or (signing.access(side.grant or use.grant) if signing else None)
        unsaved.ready[place] = desk.opener.prepared_with(unsaved.name, side, token)
    return signing


async def take_mark(unsaved: Unsaved) -> Mark | None:
    """What there is to be collected now, in the folder where collecting begins; None without one.

    Raises WireError.
    """
    ready = unsaved.ready.get("incoming")
    if ready is None:
        return None
    store = await dial_store(ready)
    try:
        mark = await mark_of(store, await store.open("INBOX", read_only=True))
    except BaseException:
        store.abandon()
        raise
    await store.close()
    return mark


def keep_sign_in(desk: Desk, tx: Tx, connection: str, signing: SigningIn) -> None:
    """Store who signed in, with the connection that was just made for them.

    Raises Refused where it would serve something else than what they agreed to.
    """
    for use in sign_ins(desk.resolver(tx).all_sides()).values():
        if connection in use.connections:
            sides = desk.resolver(tx).effective(connection).sides
            grant = next((side.grant for side in sides if side.grant is not None), use.grant)
            signing.keep(tx, grant, use.lines)

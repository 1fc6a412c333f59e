"""Tokens that are kept: opened for one use while they are good, and written down."""

from __future__ import annotations

import json
from collections.abc import Set
from typing import Final, NamedTuple

from postroom.audit import Recorder
from postroom.clock import timestamp
from postroom.credentials.record import check_usable
from postroom.credentials.store import CredentialStore, Rebind
from postroom.credentials.tokens import rows
from postroom.credentials.tokens.grant import Grant
from postroom.credentials.tokens.rows import REQUIRED, Access
from postroom.db import Row, Tx
from postroom.errors import Locked, Refused
from postroom.vault import Keyring

__all__ = ["MARGIN", "Kept", "Use", "check_signed_in", "not_bound", "required"]

MARGIN: Final = 300.0
"""Seconds before its end from which a token is not begun with (of short ones: a quarter)."""


class Use(NamedTuple):
    """What a token is wanted for: the destination (``bearer+...``), by whom, and why."""

    line: str
    actor: str
    purpose: str


class Kept:
    """The sign-ins of one room, each call part of one transaction."""

    def __init__(
        self, store: CredentialStore, keyring: Keyring | None, recorder: Recorder | None
    ) -> None:
        self.store = store
        self._keyring = keyring
        self._recorder = recorder

    def fresh(self, tx: Tx, grant: Grant, use: Use, *, refused: int = 0) -> Access | None:
        """The stored token, if it is good for a while: opened and written down.  None when not.

        ``refused`` is the version that a server did not take.  Raises Refused
        (``sign_in_required``, ``destination_not_bound``, ``incomplete``), Unreadable, Locked.
        """
        keyring = self.keyring
        row = rows.find(tx, grant.sign_in)
        if row is None:
            return None
        check_signed_in(row, grant)
        self.check_line(tx, row, grant, use.line)
        known = rows.known_access(tx, grant)
        if known is None or known["version"] == refused or _stale(known, timestamp()):
            return None
        if use.line not in json.loads(known["destinations"]):
            return None  # of before somebody agreed to another destination
        access = rows.open_access(tx, keyring, row, known)
        self.record(tx, use.actor, "open", grant, line=use.line, purpose=use.purpose)
        return access

    def check_line(self, tx: Tx, row: Row, grant: Grant, line: str) -> None:
        """Raise unless a token of this sign-in may go to that destination, and its refresh token
        to the endpoint that the grant names today.

        A person's list is the one they signed in for, which is bound into the refresh token; the
        client's own is that of its record.
        """
        if not grant.personal:
            check_usable(self.store.get(tx, grant.credential), line)
            return
        bound = json.loads(row["destinations"])
        for wanted in (line, grant.token_line):
            if wanted not in bound:
                raise not_bound(grant, wanted)

    def rebind(
        self, tx: Tx, grant: Grant, before: Set[str], lines: Set[str], *, actor: str, rebind: Rebind
    ) -> tuple[str, ...]:
        """Bind a sign-in to where its tokens are used after a change; gives the lines that are new.

        What did not change stays as it was agreed to: ``before`` and ``lines`` are both as this
        process resolves them, and another has other variables in its environment.

        Raises Refused (``secret_reentry_required``, facts ``lines``) unless ``rebind`` allows them:
        whoever signed in agreed to other places.
        """
        row = rows.find(tx, grant.sign_in)
        if row is None or not row["version"] or lines == before:
            return ()
        known = set(json.loads(row["destinations"]))
        wanted = (known - (before - lines)) | (lines - before)
        if wanted == known:
            return ()
        added = tuple(sorted(wanted - known))
        allowed = rebind if isinstance(rebind, bool) else all(
            (grant.label, line) in rebind for line in added
        )  # fmt: skip
        if added and not allowed:
            raise Refused(
                f"The sign-in of {grant.label} is not bound to {', '.join(added)}; nothing was "
                "saved.",
                code="secret_reentry_required",
                lines=list(added),
                credential=grant.label,
                hint="Let somebody who may rebind it agree (--rebind), or sign out and in again.",
            )
        rows.rebind(tx, self.keyring, row, wanted)
        self.record(tx, actor, "bind", grant, added=list(added))
        return added

    @property
    def keyring(self) -> Keyring:
        """The keys of the room; raises Locked."""
        if self._keyring is None:
            raise self.store.locked or Locked("The room is locked.")
        return self._keyring

    def record(self, tx: Tx, actor: str, action: str, grant: Grant, **detail: object) -> None:
        """Write one audit row about a sign-in; raises Locked."""
        if self._recorder is None:
            raise self.store.locked or Locked("The room is locked.")
        self._recorder.record(
            tx, actor=actor, action=action, noun="sign-in", name=grant.label, detail=detail
        )


def _stale(known: Row, now: float) -> bool:
    lasts = known["expires_at"] - known["obtained_at"]
    return bool(now >= known["expires_at"] - min(MARGIN, lasts / 4))


def check_signed_in(row: Row, grant: Grant) -> None:
    """Raise Refused(``sign_in_required``) when only a person can help."""
    if grant.personal and (row["state"] == REQUIRED or not row["version"]):
        raise required(grant, row["note"])


def required(grant: Grant, note: str) -> Refused:
    """The refusal of a sign-in that has ended, or never was."""
    who = f" as {grant.account}" if grant.account else ""
    why = f" {note}" if note else ""
    return Refused(
        f"Somebody has to sign in{who} at {grant.authority} before this works.{why}",
        code="sign_in_required",
        hint="Sign in with: postroom connection signin NAME",
    )


def not_bound(grant: Grant, line: str) -> Refused:
    """The refusal of a destination that a sign-in was not made for."""
    return Refused(
        f"The tokens of {grant.label} may not be presented to {line}; nothing was dialled.",
        code="destination_not_bound",
        line=line,
        hint="Sign in again with: postroom connection signin NAME",
    )

"""Operations on programs that somebody starts with stored credentials: ``postroom exec``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from postroom.clock import timestamp
from postroom.credentials.record import Opened
from postroom.db import Tx
from postroom.errors import InvalidValue, Refused
from postroom.jobs.executing import execute, shell_status
from postroom.jobs.handing import fields_of
from postroom.jobs.handover import HandOver
from postroom.operations.desk import Desk

__all__ = ["Executing", "execute", "hand_over_of", "shell_status"]

_EXEC: Final = "exec"
"""The destination that any program is (jobs/granting.py)."""


class Executing:
    """Opens what a program is handed; that it is handed over is in the audit record before."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def grant(self, names: Sequence[str], program: str) -> dict[str, dict[str, Any]]:
        """The fields of each of these credentials, for a program (its first word).

        Raises Refused (``destination_not_bound``, fact ``credential``) for one that programs may not
        be handed, with the command that permits it.
        """
        if self._desk.locked is not None:
            raise self._desk.locked

        def body(tx: Tx) -> list[Opened]:
            return [self._open(tx, name, program) for name in names]

        opened = await self._desk.db.write(body)
        return {one.credential.name: fields_of(one) for one in opened}

    async def permit(self, name: str) -> None:
        """Let any program be handed a credential from now on."""

        def body(tx: Tx) -> None:
            self._desk.credentials.change(tx, name, actor=self._desk.actor, programs=True)

        await self._desk.change(body, rebind=True)

    def _open(self, tx: Tx, name: str, program: str) -> Opened:
        store, actor = self._desk.credentials, self._desk.actor
        record = store.get(tx, name)
        if not record.programs:
            raise Refused(
                f"Programs may not be handed the credential {record.name}; nothing was started.",
                code="destination_not_bound",
                credential=record.name,
                line=_EXEC,
                hint=f"Permit it, for any program: postroom credential set {record.name} --programs",
            )
        purpose = f"hand it to {program}"
        opened = store.open(tx, record.name, line=_EXEC, actor=actor, purpose=purpose)
        store.presented(tx, record.name, opened.version, timestamp())
        return opened


def hand_over_of(by: str, variables: Mapping[str, str], credentials: Sequence[str]) -> HandOver:
    """How fields are handed over, as a command line says it.

    ``variables`` are names of variables with ``field`` (of the one credential) or ``credential.field``.
    Raises InvalidValue with the flag.
    """
    ways = ("descriptor", "files", "environment")
    if by and by not in ways:
        raise InvalidValue("--as", f"there is no {by!r}; choose of {', '.join(ways)}")
    if by == "environment" and not variables:
        raise InvalidValue("--env", "say which: --env VARIABLE=field")
    if variables and by not in ("", "environment"):
        raise InvalidValue("--env", f"goes with --as environment, not with {by}")
    if not variables:
        return HandOver(by=by or "descriptor")
    named = {}
    for variable, path in variables.items():
        if not variable.isidentifier() or not variable.isascii() or not path:
            raise InvalidValue("--env", f"{variable}={path}: give VARIABLE=field")
        known = any(path.casefold().startswith(f"{one.casefold()}.") for one in credentials)
        if not known and len(credentials) > 1:
            raise InvalidValue("--env", f"{variable}={path}: of several, give credential.field")
        named[variable] = path if known else f"{credentials[0]}.{path}"
    return HandOver(by="environment", environment=named)

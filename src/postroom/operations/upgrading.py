"""What is written down of an upgrade, in the transaction of its last step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from postroom.audit import Mac, Recorder, carry_versions
from postroom.db import SCHEMA, Tx

__all__ = ["noted"]


def noted(mac: Mac, actor: str, **facts: str) -> Callable[[Tx, int, Path], None]:
    """The note that ``db.upgrade`` takes, for whoever upgrades; ``facts`` go into its detail."""
    recorder = Recorder(mac)

    def note(tx: Tx, before: int, copy: Path) -> None:
        detail = {"from": before, "to": SCHEMA, **(facts or {"copy": copy.name})}
        recorder.record(tx, actor=actor, action="upgrade", noun="room", name="room", detail=detail)
        # from whatever number: an upgrade that was killed between its steps has not come to this
        carry_versions(tx, recorder)
        recorder.close(tx)

    return note

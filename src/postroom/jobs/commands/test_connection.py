"""``test-connection``: a connection or credential, walked step by step."""

from __future__ import annotations

from typing import ClassVar

from postroom.fields import field
from postroom.jobs.commands.base import Bench, Command, Result

__all__ = ["TestConnection"]


class TestConnection(Command):
    """Walk a connection, or a credential that is used directly; nothing is sent or changed."""

    __test__: ClassVar[bool] = False  # its name is no test's

    name: ClassVar[str] = "test-connection"
    rights: ClassVar[tuple[str, ...]] = ("use",)
    about: ClassVar[str] = "Walk a connection step by step, from resolving the name to signing in."
    gives: ClassVar[dict[str, str]] = {
        "tested": "The connection:NAME or credential:NAME that was walked.",
        "ok": "Whether every step succeeded.",
        "sides": "Of each side: its steps, and what ended it with what to do.",
    }

    via: str = field(
        label="Via", help="A connection, or an smtp or msgraph credential.", metavar="NAME"
    )

    async def run(self, bench: Bench) -> Result:
        """Walk it; what fails is in the result."""
        return await bench.test(self.via)

    def plan(self) -> str:
        """Which one."""
        return f"test {self.via}"

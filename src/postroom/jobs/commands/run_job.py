"""``run-job``: another job is begun."""

from __future__ import annotations

from typing import Any, ClassVar

from postroom.fields import field
from postroom.jobs.commands.base import Bench, Command, Result

__all__ = ["RunJob"]


class RunJob(Command):
    """Begin another job: at once, or from a job in the transaction in which its run succeeds."""

    name: ClassVar[str] = "run-job"
    rights: ClassVar[tuple[str, ...]] = ("use",)
    about: ClassVar[str] = "Begin another job; from a job, once the run that asks for it succeeds."
    gives: ClassVar[dict[str, str]] = {
        "job": "The job.",
        "run": "The id of its run; empty where it begins with the end of this one.",
    }

    job: str = field(label="Job", help="Name of the job.", metavar="NAME")
    parameters: dict[str, Any] = field(
        default_factory=dict, label="Parameters", help="As the job declares them."
    )

    async def run(self, bench: Bench) -> Result:
        """Begin it.  Raises NotThere, and what is wrong with the parameters."""
        return {"job": self.job, "run": await bench.begin(self.job, self.parameters)}

    def plan(self) -> str:
        """Which one."""
        return f"begin job {self.job}"

"""What a test of a connection comes to: its steps, side by side, what ended it, and what to do."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from postroom.connections.advice import Advice
from postroom.errors import PostroomError
from postroom.net.certificates import CertificateFacts

__all__ = ["Report", "SideReport", "StepResult", "Tell"]


@dataclasses.dataclass(frozen=True, slots=True)
class StepResult:
    """One step: its name, whether it succeeded, how many milliseconds it took, what came of it."""

    name: str
    ok: bool
    ms: float
    detail: str = ""

    def as_json(self) -> dict[str, Any]:
        """As doors show it."""
        return {"name": self.name, "ok": self.ok, "ms": round(self.ms, 1), "detail": self.detail}


Tell = Callable[[str, StepResult], None]
"""Hears of each step as it ends, with the side it belongs to."""


@dataclasses.dataclass(slots=True)
class SideReport:
    """How one side went.  ``error`` is what ended it; ``certificates`` are the server's, its own
    first, where one was seen.
    """

    place: str
    where: str = ""
    steps: list[StepResult] = dataclasses.field(default_factory=list)
    error: PostroomError | None = None
    advice: Advice | None = None
    certificates: tuple[CertificateFacts, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether every step succeeded."""
        return self.error is None

    def as_json(self) -> dict[str, Any]:
        """As doors show it; the server's own certificate with its PEM text, to be saved."""
        shown: dict[str, Any] = {
            "side": self.place,
            "where": self.where,
            "ok": self.ok,
            "steps": [step.as_json() for step in self.steps],
        }
        if self.certificates:
            shown["certificates"] = [
                facts.as_json() | {"pem": facts.pem} for facts in self.certificates
            ]
        if self.error is not None:
            shown["error"] = self.error.as_json()
        if self.advice is not None:
            shown["advice"] = self.advice.text
            shown["commands"] = list(self.advice.commands)
        return shown


@dataclasses.dataclass(slots=True)
class Report:
    """The whole test of a connection or of an smtp credential."""

    noun: str
    name: str
    sides: list[SideReport] = dataclasses.field(default_factory=list)
    sent: bool = False

    @property
    def ok(self) -> bool:
        """Whether every side works."""
        return all(side.ok for side in self.sides)

    @property
    def steps(self) -> list[StepResult]:
        """The steps of all sides, in order."""
        return [step for side in self.sides for step in side.steps]

    @property
    def error(self) -> PostroomError | None:
        """The first error there was."""
        return next((side.error for side in self.sides if side.error is not None), None)

    def as_json(self) -> dict[str, Any]:
        """As doors show it."""
        return {
            self.noun: self.name,
            "ok": self.ok,
            "sides": [side.as_json() for side in self.sides],
        }

"""Bugs to be seeded in what runs jobs; `mutants` says what each is and who must see it."""

from __future__ import annotations

from typing import Any

from tests.faults.spots import patch

__all__ = ["keeps_what_was_held", "settles_unfenced"]


def keeps_what_was_held() -> None:
    """A run that is begun anew leaves what its earlier attempt had sent under it."""

    def new(old: Any) -> Any:
        return lambda tx, run, **more: 0

    patch("postroom.services.ofrun:cancel", new)


def settles_unfenced() -> None:
    """A run is settled by whoever did it, whether or not another worker has it by now."""

    def new(old: Any) -> Any:
        def settle(tx: Any, claim: Any, outcome: Any, *, owner: str, now: float) -> None:
            from postroom.jobs.claiming import RUNS

            guard, RUNS.guard = RUNS.guard, lambda *_, **__: None  # type: ignore[method-assign]
            try:
                old(tx, claim, outcome, owner=owner, now=now)
            finally:
                RUNS.guard = guard  # type: ignore[method-assign]

        return settle

    patch("postroom.jobs.claiming:settle", new)

"""The seeded bugs of the self-test (F24): what each patches in a child, and which scenario sees it.

A new mutant is one function and one entry of :data:`MUTANTS`.  ``caught_by`` is ``module:function`` of
a scenario (see the package's docstring); ``test_selftest.py`` runs it and asserts that it complains.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Final

from tests.faults.spots import patch

__all__ = ["MUTANTS", "Mutant"]


@dataclasses.dataclass(frozen=True, slots=True)
class Mutant:
    """A bug: ``apply`` puts it into this process, ``caught_by`` names the scenario that must see it."""

    apply: Callable[[], None]
    caught_by: str
    bug: str


def _ack_before_commit() -> None:
    def new(old: Any) -> Any:
        def commit(self: Any, connection: Any, batch: Any) -> Any:
            from postroom.db import Tx

            tx = Tx(connection)
            connection.execute("BEGIN IMMEDIATE")
            answers: Any = [(future, body(tx), None) for body, future in batch]
            engine._answer(answers)  # before the commit
            time.sleep(0.02)
            connection.execute("COMMIT")
            return []

        return commit

    import time

    from postroom.db import engine

    patch("postroom.db.engine:Database._commit", new)


MUTANTS: Final[dict[str, Mutant]] = {
    "ack before commit": Mutant(
        _ack_before_commit,
        "tests.faults.storing:killed_writers",
        "the answer to a write is given before its commit",
    ),
}

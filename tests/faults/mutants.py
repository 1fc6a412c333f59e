"""The seeded bugs of the self-test (F24): what each patches in a child, and which scenario sees it.

A new mutant is one function and one entry of :data:`MUTANTS`.  ``caught_by`` is ``module:function`` of
a scenario (see the package's docstring); ``test_selftest.py`` runs it and asserts that it complains.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Final

from tests.faults import beginning, mailmutants, runmutants
from tests.faults.spots import patch

__all__ = ["MUTANTS", "Mutant"]


@dataclasses.dataclass(frozen=True, slots=True)
class Mutant:
    """A bug: ``apply`` puts it into this process, ``caught_by`` names the scenario that must see it.

    ``says`` is a part of a sentence that the scenario answers with, so that a bug is not taken for
    caught because something else broke.  ``bug`` is the bug in words.
    """

    apply: Callable[[], None]
    caught_by: str
    says: str
    bug: str


def _ack_before_commit() -> None:
    def new(old: Any) -> Any:
        def commit(self: Any, connection: Any, batch: Any) -> Any:
            from postroom.db import Tx

            tx = Tx(connection, self.path)
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


def _no_cas_in_rewrap() -> None:
    rewrite = "UPDATE data_keys SET vault_key = :to, wrapped = :new WHERE id = :id"
    patch("postroom.vault.rotation:SWAP", lambda old: rewrite)


def _destroy_before_proof() -> None:
    def new(old: Any) -> Any:
        def destroy(tx: Any) -> Any:
            tx.execute(
                "DELETE FROM vault_key_wraps WHERE vault_key IN "
                "(SELECT id FROM vault_keys WHERE state = 'retired')"
            )
            return old(tx)

        return destroy

    patch("postroom.vault.rotation:destroy_unused", new)


def _plaintext_fallback() -> None:
    """What cannot be sealed is stored as it is, and what has no seal is taken for the value."""

    def sealing(old: Any) -> Any:
        def seal(key: Any, key_id: str, plaintext: bytes, bound: bytes, **how: Any) -> bytes:
            try:
                return bytes(old(key, key_id, plaintext, bound, **how))
            except Exception:  # noqa: BLE001  # the bug
                return plaintext

        return seal

    def opening(old: Any) -> Any:
        def opened(key: Any, blob: bytes, bound: bytes) -> bytes:
            return bytes(old(key, blob, bound) if blob.startswith(b"PR") else blob)

        return opened

    patch("postroom.vault.seal:seal_value", sealing)
    patch("postroom.vault.seal:open_value", opening)


MUTANTS: Final[dict[str, Mutant]] = {
    "ack before commit": Mutant(
        _ack_before_commit,
        "tests.faults.storing:killed_writers",
        "is version",
        "the answer to a write is given before its commit",
    ),
    "retry after 250": Mutant(
        mailmutants.retry_after_250,
        "tests.faults.sending:killed_workers",
        "arrived 2 times",
        "what a dead worker may have sent is sent again",
    ),
    "new Message-ID on retry": Mutant(
        mailmutants.new_message_id,
        "tests.faults.sending:killed_workers_that_resend",
        "and nobody stored it",
        "a message that is tried again has another Message-ID",
    ),
    "cursor before store": Mutant(
        mailmutants.cursor_before_store,
        "tests.faults.collecting:killed_collectors",
        "is not in the sink",
        "the cursor moves before what was listed is recorded",
    ),
    "cursor before store, with contents": Mutant(
        mailmutants.cursor_before_store,
        "tests.faults.collecting:killed_while_arriving",
        "is not in the sink",
        "the cursor moves before what came with its listing is recorded",
    ),
    "skip fsync": Mutant(
        mailmutants.skip_fsync,
        "tests.faults.collecting:durable_before_recorded",
        "before its bytes were durable",
        "messages are recorded as delivered before their bytes are durable",
    ),
    "runs before the ledger": Mutant(
        beginning.apart_from_the_ledger,
        "tests.faults.beginning:killed_beginners",
        "runs are too many",
        "the runs of a batch are begun in a transaction before the one of the ledger",
    ),
    "held by a dead attempt": Mutant(
        runmutants.keeps_what_was_held,
        "tests.faults.running:killed_workers",
        "messages arrived of",
        "what the killed attempt of a run had sent is let go with the next one",
    ),
    "settled by the late": Mutant(
        runmutants.settles_unfenced,
        "tests.faults.running:frozen_workers",
        "a worker that had lost it",
        "a worker that was frozen settles a run that another one has done",
    ),
    "no CAS in rewrap": Mutant(
        _no_cas_in_rewrap,
        "tests.faults.rotating:late_swap",
        "term of yesterday was written",
        "a data key wrapped anew is written without asking whether it still is what was read",
    ),
    "destroy before proof": Mutant(
        _destroy_before_proof,
        "tests.faults.rotating:late_destroyer",
        "the keyring in the database is damaged",
        "a retired term is destroyed before anybody has looked whether something is under it",
    ),
    "plaintext fallback": Mutant(
        _plaintext_fallback,
        "tests.faults.storing:sealed_or_nothing",
        "lies in the clear",
        "what cannot be sealed is stored in the clear, what is not sealed is taken for a value",
    ),
}

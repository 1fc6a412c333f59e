"""What authorization servers said of the proofs of a client: its secrets by label, and its key pair.

    next       sealed, and no token came by it yet; shown only when nothing proven is left
    current    the one that is shown first
    fallback   worked before; shown once when the current one is refused
    refused    the server did not take it last; shown when nothing else is left

A label becomes current only by a token that came of it.  Another value under a label is another proof.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final, Literal, NamedTuple

from postroom.db import Row, Tx

__all__ = [
    "CERTIFICATE",
    "CURRENT",
    "FALLBACK",
    "NEXT",
    "NEXT_CERTIFICATE",
    "REFUSED",
    "Standing",
    "State",
    "begin",
    "forget",
    "known",
    "labels_of",
    "named",
    "refused",
    "refused_ones",
    "standing",
    "waiting",
    "worked",
]

State = Literal["next", "current", "fallback", "refused"]
NEXT: Final = "next"
CURRENT: Final = "current"
FALLBACK: Final = "fallback"
REFUSED: Final = "refused"
CERTIFICATE: Final = "certificate"
NEXT_CERTIFICATE: Final = "next-certificate"
"""The labels of the key pair, and of the one that takes its place; no client secret may have them."""


class Standing(NamedTuple):
    """How the proofs of a client stand: the label that is shown first (empty: none worked yet), those
    that wait to be proven, and those that were refused last.
    """

    current: str = ""
    next: frozenset[str] = frozenset()
    refused: frozenset[str] = frozenset()


def known(tx: Tx, credential: str) -> dict[str, Row]:
    """What is known of each proof of a credential (by its id), by label."""
    rows = tx.all(
        "SELECT label, state, worked_at, refused_at, why FROM client_proofs "
        "WHERE credential = :credential",
        credential=credential,
    )
    return {row["label"]: row for row in rows}


def standing(tx: Tx, credential: str) -> Standing:
    """How the proofs of a credential stand."""
    labels: dict[str, list[str]] = {NEXT: [], CURRENT: [], FALLBACK: [], REFUSED: []}
    for label, row in known(tx, credential).items():
        labels[row["state"]].append(label)
    current = labels[CURRENT][0] if labels[CURRENT] else ""
    return Standing(current, frozenset(labels[NEXT]), frozenset(labels[REFUSED]))


def named(label: str) -> str:
    """A proof as people say it: ``client secret 2026a``, or ``certificate``."""
    return label if label in (CERTIFICATE, NEXT_CERTIFICATE) else f"client secret {label}"


def labels_of(changed: Iterable[str]) -> set[str]:
    """The proofs whose values are others when these fields and slots changed."""
    found = set()
    for slot in changed:
        parts = slot.split("/")
        if len(parts) == 3 and parts[0] == "client_secrets":
            found.add(parts[1])
        elif slot == "private_key":
            found.add(CERTIFICATE)
        elif slot == "next_private_key":
            found.add(NEXT_CERTIFICATE)
    return found


def refused_ones(tx: Tx) -> dict[str, list[Row]]:
    """Every refused proof of the room, by the id of its credential."""
    found: dict[str, list[Row]] = {}
    for row in tx.all(
        "SELECT credential, label, worked_at, refused_at, why FROM client_proofs "
        "WHERE state = 'refused' ORDER BY label"
    ):
        found.setdefault(row["credential"], []).append(row)
    return found


def waiting(tx: Tx) -> list[Row]:
    """The client secrets that were added and that nothing is known of yet, with ``name``, the
    credential's.  A next key pair is none of them: somebody has to upload its certificate first.
    """
    return tx.all(
        "SELECT client_proofs.credential, label, name FROM client_proofs "
        "JOIN credentials ON credentials.id = client_proofs.credential "
        "WHERE state = 'next' AND label <> :pair ORDER BY name, label",
        pair=NEXT_CERTIFICATE,
    )


def begin(tx: Tx, credential: str, label: str) -> None:
    """A new secret waits under this label; nothing is known of it."""
    forget(tx, credential, (label,))
    tx.execute(
        "INSERT INTO client_proofs (credential, label, state, why) "
        "VALUES (:credential, :label, 'next', '')",
        credential=credential,
        label=label,
    )


def worked(tx: Tx, credential: str, label: str, *, was: str, now: float) -> bool:
    """A token came of this proof; says whether it became the current one by that.

    ``was`` is what was current when the token was asked for: where another one has become current
    meanwhile, that one stays.
    """
    current = standing(tx, credential).current
    before = known(tx, credential).get(label)
    takes_over = current in ("", was, label)
    state = CURRENT if takes_over else FALLBACK
    if takes_over and current not in ("", label):
        tx.execute(
            "UPDATE client_proofs SET state = 'fallback' WHERE credential = :credential "
            "AND state = 'current'",
            credential=credential,
        )
    tx.execute(
        "INSERT INTO client_proofs (credential, label, state, worked_at, why) VALUES (:credential, "
        ":label, :state, :now, '') ON CONFLICT (credential, label) DO UPDATE SET state = :state, "
        "worked_at = :now, refused_at = NULL, why = ''",
        credential=credential,
        label=label,
        state=state,
        now=now,
    )
    return takes_over and (before is None or before["state"] != CURRENT)


def refused(tx: Tx, credential: str, labels: Iterable[str], *, why: str, now: float) -> list[str]:
    """The server did not take these; gives those that were not known to be refused."""
    before = known(tx, credential)
    for label in labels:
        tx.execute(
            "INSERT INTO client_proofs (credential, label, state, refused_at, why) VALUES "
            "(:credential, :label, 'refused', :now, :why) ON CONFLICT (credential, label) "
            "DO UPDATE SET state = 'refused', refused_at = :now, why = :why",
            credential=credential,
            label=label,
            now=now,
            why=why,
        )
    return [each for each in labels if each not in before or before[each]["state"] != REFUSED]


def forget(tx: Tx, credential: str, labels: Collection[str] | None = None) -> None:
    """Forget what is known of these labels, or of all: the values are others, or gone."""
    if labels is None:
        tx.execute("DELETE FROM client_proofs WHERE credential = :id", id=credential)
    for label in labels or ():
        tx.execute(
            "DELETE FROM client_proofs WHERE credential = :id AND label = :label",
            id=credential,
            label=label,
        )

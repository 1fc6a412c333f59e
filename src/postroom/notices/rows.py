"""The rows of notices: what lasts or was over, since when, and who was told of it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final

from postroom.clock import rfc3339
from postroom.db import Queue, Row, Tx
from postroom.notices.causes import Found
from postroom.notices.saying import one_line

__all__ = [
    "DUTIES",
    "KEEP_SECONDS",
    "Kept",
    "Told",
    "forget",
    "listed",
    "merge",
    "room_id",
    "settle",
]

DUTIES: Final = Queue("duties", ready="id = 'tell'")
"""Who tells: one process of the fleet at a time."""
KEEP_SECONDS: Final = 7 * 86400.0
"""For so long what is over is listed."""


@dataclasses.dataclass(frozen=True, slots=True)
class Told:
    """How far one notification was told of one cause.

    ``event`` is what was to be said last, at ``stage``; ``ok`` whether somebody took it: the
    notification ``via``, else ``why`` not, after so many ``tries``.  ``heard``: they know of it at all.
    ``item`` is the email of it that is not known to be sent yet, ``failed`` are ways that took it in
    vain.  ``saver`` is who had saved the notification last when it was told.
    """

    event: str = "began"
    stage: int = 0
    at: float = 0.0
    ok: bool = False
    heard: bool = False
    via: str = ""
    why: str = ""
    tries: int = 0
    item: str = ""
    failed: tuple[str, ...] = ()
    saver: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Kept:
    """A cause that lasts, or is over; ``found`` is None for one that is over."""

    key: str
    since: float
    over_at: float | None
    body: Mapping[str, Any]
    told: Mapping[str, Told]

    @property
    def stage(self) -> int:
        """How near, or how much, it is."""
        return int(self.body.get("stage", 1))

    def text(self, key: str) -> str:
        """A text of its body: kind, noun, name, said, over, do."""
        return str(self.body.get(key, ""))

    def as_json(self) -> dict[str, Any]:
        """As doors show it: the cause, and per notification whether it was told."""
        return {
            "cause": self.text("kind"),
            "noun": self.text("noun"),
            "name": self.text("name"),
            "said": self.text("over" if self.over_at is not None else "said"),
            "do": "" if self.over_at is not None else self.text("do"),
            "since": rfc3339(self.since),
            "over_at": None if self.over_at is None else rfc3339(self.over_at),
            "told": [
                {
                    "notification": name,
                    "at": rfc3339(one.at),
                    "ok": one.ok,
                    "over": one.via,
                    "why": one.why,
                }
                for name, one in sorted(self.told.items())
            ],
        }


def listed(tx: Tx) -> list[Kept]:
    """Every notice, those that last first, the newest first of each."""
    rows = tx.all("SELECT * FROM notices ORDER BY over_at IS NOT NULL, since DESC, cause")
    return [_kept(row) for row in rows]


def merge(
    tx: Tx,
    found: Iterable[Found],
    kinds: Collection[str],
    *,
    now: float,
    gone: Callable[[Tx, Kept], str] = lambda _tx, _kept: "",
) -> None:
    """Write what lasts now, of these kinds; what lasted and is not among it is over.

    A cause of a kind that was not looked at stays as it is.  ``gone`` says that what a cause was about
    is not there any more, or nothing.
    """
    known = {one.key: one for one in listed(tx)}
    wanted = {one.key: one for one in found}
    for key, one in wanted.items():
        body = json.dumps(_body(one), ensure_ascii=False)
        old = known.get(key)
        if old is None or old.over_at is not None:
            tx.execute(_BEGUN, cause=key, said=body, now=now)
        elif old.body != _body(one):
            tx.execute("UPDATE notices SET said = :said WHERE cause = :cause", cause=key, said=body)
    for key, old in known.items():
        if old.over_at is None and key not in wanted and old.text("kind") in kinds:
            ended = {**old.body, "over": gone(tx, old) or old.text("over")}
            tx.execute("UPDATE notices SET said = :said, over_at = :now WHERE cause = :cause",
                       cause=key, said=json.dumps(ended, ensure_ascii=False), now=now)  # fmt: skip


_BEGUN: Final = (
    "INSERT INTO notices (cause, said, since, told_over, over_at) "
    "VALUES (:cause, :said, :now, '{}', NULL) ON CONFLICT (cause) DO UPDATE SET "
    "said = :said, since = :now, told_over = '{}', over_at = NULL"
)


def settle(tx: Tx, key: str, name: str, told: Told) -> None:
    """Write how far one notification was told."""
    row = tx.one("SELECT * FROM notices WHERE cause = :cause", cause=key)
    if row is None:
        return
    over = {**_told(row), name: told}
    tx.execute(
        "UPDATE notices SET told_over = :over WHERE cause = :cause",
        cause=key,
        over=json.dumps({each: dataclasses.asdict(one) for each, one in over.items()}),
    )


def room_id(tx: Tx) -> str:
    """The id of the room, by which whoever is told knows several apart."""
    return str(tx.value("SELECT value FROM room WHERE key = 'id'") or "")


def forget(tx: Tx, *, now: float) -> None:
    """Remove what was over long ago."""
    tx.execute("DELETE FROM notices WHERE over_at < :before", before=now - KEEP_SECONDS)


def _body(found: Found) -> dict[str, Any]:
    texts = ("kind", "noun", "name", "said", "over", "do")
    return {key: one_line(getattr(found, key)) for key in texts} | {"stage": found.stage}


def _kept(row: Row) -> Kept:
    return Kept(
        key=row["cause"],
        since=row["since"],
        over_at=row["over_at"],
        body=json.loads(row["said"]),
        told=_told(row),
    )


def _told(row: Row) -> dict[str, Told]:
    return {
        name: Told(**{**one, "failed": tuple(one.get("failed", ()))})
        for name, one in json.loads(row["told_over"]).items()
    }

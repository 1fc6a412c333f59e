"""The Maildir sink: ``tmp``, ``new`` and ``cur`` as any mail program reads them (maildir(5))."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal, Self

from postroom.fields import field, made_absolute
from postroom.sinks.base import Delivery, Directory, Item, Sink
from postroom.sinks.files import Batch, make_directory
from postroom.sinks.portions import take_in_portions

__all__ = ["MaildirSink"]


class MaildirSink(Sink):
    """Messages in a Maildir.

    Taking one again is noticed while it has not been moved or renamed; one that was changed meanwhile
    is another one.
    """

    type: Literal["maildir"] = field(label="Type")
    path: Directory = field(
        label="Maildir",
        macro=True,
        help="Made when missing; all folders of the source go into this one. Facts of a message "
        "make several: ./orders/${mail:from}.",
    )

    about: ClassVar[str] = (
        "`tmp`, `new` and `cur`, as any mail program reads them. What was moved away meanwhile is not "
        "found again."
    )
    twice: ClassVar[Literal["same"]] = "same"

    @property
    def place(self) -> str:
        return self.path

    def at(self, place: str) -> Self:
        return self.model_copy(update={"path": place})

    def resolved(self, base: Path) -> MaildirSink:
        """With an absolute path."""
        return self.model_copy(update={"path": made_absolute(self.path, base)})

    def prepare(self) -> None:
        """Make the three directories."""
        for part in ("tmp", "new", "cur"):
            make_directory(Path(self.path) / part)

    def take(self, items: Sequence[Item]) -> list[Delivery]:
        """Write into ``tmp``, sync, and rename into ``new``."""
        maildirs: dict[str, list[Item]] = {}
        for item in items:
            maildirs.setdefault(item.below, []).append(item)
        return [one for below, among in maildirs.items() for one in self._below(below, among)]

    def _below(self, below: str, items: Sequence[Item]) -> list[Delivery]:
        """Into the Maildir of that relative path."""

        def take(some: Sequence[Item]) -> list[Delivery]:
            return self._take(below, some)

        return take_in_portions(take, items, Path(self.path), files=lambda item: 1)

    def _take(self, below: str, items: Sequence[Item]) -> list[Delivery]:
        tmp, new, cur = (f"{below}/{part}".lstrip("/") for part in ("tmp", "new", "cur"))
        where: dict[int, str] = {}
        left = items
        for turn in itertools.count():
            with Batch(Path(self.path), staging=tmp) as batch:
                for part in () if below else (tmp, new, cur):
                    batch.folder(part)
                # as they are, or with flags behind them
                present = {
                    name.partition(":")[0]: (part, name)
                    for part in (new, cur)
                    for name in batch.names(part)
                }
                tried, others = [], []
                for item in left:
                    name = _name(item, turn)
                    if (found := present.get(name)) is None:
                        tried.append((item, batch.add(new, name, item.content)))
                    elif batch.has(*found, item.content):
                        where[item.ledger] = f"{self.path}/{found[0]}/{found[1]}"
                    else:
                        others.append(item)
                batch.commit()
            where |= {item.ledger: message.where for item, message in tried}
            left = [*others, *(item for item, message in tried if message.collided)]
            if not left:
                break
        return [Delivery(item.ledger, where=where[item.ledger]) for item in items]


def _name(item: Item, turn: int) -> str:
    """A name that is the same whenever this message is taken again, and no other's.

    ``store`` keeps apart the messages of several rooms, whose ledgers count alike; ``S=`` is the
    size, where Maildir++ has it, so that a message that was changed has a name of its own; ``turn``
    is for one that was changed and has the size it had.
    """
    host = socket.gethostname().replace("/", "_").replace(":", "_")
    unique = f"L{item.ledger}S{item.store}K{item.key}" + (f"N{turn}" if turn else "")
    return f"{int(item.received or 0)}.{unique}.{host},S={item.content.size}"

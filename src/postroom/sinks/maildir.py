"""The Maildir sink: ``tmp``, ``new`` and ``cur`` as any mail program reads them (maildir(5))."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

from postroom.fields import field
from postroom.sinks.base import Delivery, Directory, Item, Sink, made_absolute
from postroom.sinks.files import Batch, make_directory, take_in_portions

__all__ = ["MaildirSink"]


class MaildirSink(Sink):
    """Messages in a Maildir.  Taking one again is noticed while it has not been moved or renamed."""

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
        taken = []
        with Batch(Path(self.path), staging=tmp) as batch:
            for part in () if below else (tmp, new, cur):
                batch.folder(part)
            # as they are, or with flags behind them
            present = {name.partition(":")[0] for part in (new, cur) for name in batch.names(part)}
            for item in items:
                name = self._name(item)
                if name not in present:
                    batch.add(new, name, item.content)
                taken.append(Delivery(item.ledger, where=str(Path(self.path) / new / name)))
            batch.commit()
        return taken

    def _name(self, item: Item) -> str:
        """A name that is the same whenever this message is taken again, and no other's.

        ``store`` keeps apart the messages of several rooms, whose ledgers count alike.
        """
        host = socket.gethostname().replace("/", "_").replace(":", "_")
        return f"{int(item.received or 0)}.L{item.ledger}S{item.store}K{item.key}.{host}"

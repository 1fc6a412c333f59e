"""The directory sink: one file a message, ``FOLDER/UIDVALIDITY-UID.eml``, exact bytes."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal, Self

from postroom.fields import field, made_absolute
from postroom.sinks.base import Delivery, Directory, Item, Sink
from postroom.sinks.files import Batch, Message, make_directory
from postroom.sinks.portions import take_in_portions

__all__ = ["DirectorySink"]


class DirectorySink(Sink):
    """Messages as files.  Taking one again gives the same file; other bytes get another name.

    That happens where mailboxes share a directory, or one source has moved to another mailbox:
    ``UIDVALIDITY-UID~STORE.eml``, by the first 8 digits of what is remembered of the mailbox.
    """

    type: Literal["directory"] = field(label="Type")
    path: Directory = field(
        label="Directory",
        macro=True,
        help="Made when missing. Each folder of the mailbox is a folder in it. Facts of a message "
        "make directories: ./orders/${mail:from}/${date:%Y-%m}.",
    )
    summary: bool = field(
        False, label="Summary files", help="Write a .json summary beside each message."
    )

    about: ClassVar[str] = (
        "One file a message: `FOLDER/UIDVALIDITY-UID.eml`, the exact bytes. Nothing is replaced: where "
        "another mailbox's message has the name, it is `UIDVALIDITY-UID~STORE.eml`, with 8 digits for "
        "the mailbox."
    )
    twice: ClassVar[Literal["same"]] = "same"

    @property
    def place(self) -> str:
        return self.path

    def at(self, place: str) -> Self:
        return self.model_copy(update={"path": place})

    def resolved(self, base: Path) -> DirectorySink:
        """With an absolute path."""
        return self.model_copy(update={"path": made_absolute(self.path, base)})

    def prepare(self) -> None:
        """Make the directory."""
        make_directory(Path(self.path))

    def take(self, items: Sequence[Item]) -> list[Delivery]:
        """Write, sync and name the files of a batch."""
        return take_in_portions(self._take, items, Path(self.path), files=self._files)

    def _files(self, item: Item) -> int:
        """How many files and directories are open while it is written."""
        return 1 + self.summary + (len(item.attachments) + 1 if item.attachments else 0)

    def _take(self, items: Sequence[Item]) -> list[Delivery]:
        where: dict[int, str] = {}
        left = items
        for turn in itertools.count():
            with Batch(Path(self.path)) as batch:
                for folder in {item.folder for item in left if not item.below}:
                    batch.folder(folder)
                tried = [(item, self._add(batch, item, _name(item, turn))) for item in left]
                batch.commit()
            where |= {item.ledger: message.where for item, message in tried}
            left = [item for item, message in tried if message.collided]
            if not left:
                break
        return [Delivery(item.ledger, where=where[item.ledger]) for item in items]

    def _add(self, batch: Batch, item: Item, name: str) -> Message:
        folder, mark = _folder(item), f"~{item.store}"
        message = batch.add(folder, f"{name}.eml", item.content, mark=mark)
        if item.attachments:
            attachments = f"{folder}/{name}.attachments".lstrip("/")
            for one in item.attachments:
                batch.beside(message, attachments, one.name, one.data, mark=mark)
        if self.summary:
            text = json.dumps({"v": 1, **item.summary()}, ensure_ascii=False, indent=1)
            batch.beside(message, folder, f"{name}.json", text.encode(), mark=mark)
        return message


def _name(item: Item, turn: int) -> str:
    """The usual name; then one with the mailbox in it; then one with a number as well."""
    if not turn:
        return item.key
    return f"{item.key}~{item.store}" + (f"-{turn}" if turn > 1 else "")


def _folder(item: Item) -> str:
    if not item.below:
        return item.folder
    return f"{item.below}/{item.folder}" if item.folder else item.below

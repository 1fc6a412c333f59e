"""The directory sink: one file a message, ``FOLDER/UIDVALIDITY-UID.eml``, exact bytes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from postroom.fields import field
from postroom.sinks.base import Delivery, Directory, Item, Sink, made_absolute
from postroom.sinks.files import Batch, make_directory, take_in_portions

__all__ = ["DirectorySink"]


class DirectorySink(Sink):
    """Messages as files.  Taking one again writes the same file again."""

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
        with Batch(Path(self.path)) as batch:
            for folder in {_folder(item) for item in items}:
                batch.folder(folder)
            taken = [Delivery(item.ledger, where=self._add(batch, item)) for item in items]
            batch.commit()
        return taken

    def _add(self, batch: Batch, item: Item) -> str:
        folder = _folder(item)
        where = batch.add(folder, f"{item.key}.eml", item.content)
        beside = f"{folder}/{item.key}.attachments".lstrip("/")
        for attachment in item.attachments:
            batch.add(beside, attachment.name, attachment.data)
        if self.summary:
            text = json.dumps({"v": 1, **item.summary}, ensure_ascii=False, indent=1)
            batch.add(folder, f"{item.key}.json", text.encode())
        return where


def _folder(item: Item) -> str:
    return "/".join(part for part in (item.below, item.folder) if part)

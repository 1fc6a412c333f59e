"""One mailbox of the Graph stand-in: Maildir files, as Dovecot leaves and finds them (Maildir++)."""

from __future__ import annotations

import base64
import itertools
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

from tests.ground.maildir import folder_path

__all__ = ["WELL_KNOWN", "Item", "Mailbox"]

WELL_KNOWN = {
    "inbox": "INBOX",
    "drafts": "Drafts",
    "sentitems": "Sent",
    "deleteditems": "Trash",
    "junkemail": "Junk",
    "archive": "Archive",
}
"""Graph's names and the folders of the ground; Exchange shows those in the mailbox's language."""

_LONE_LF = re.compile(rb"(?<!\r)\n")
_SHIFTED = re.compile(r"&([^-]*)-")
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Item:
    """One message: its id stays when it is moved."""

    id: str
    folder: str
    path: Path
    flags: str

    @property
    def received(self) -> float:
        """Seconds: the first part of the file's name says when it arrived."""
        return float(int(self.path.name.partition(".")[0]))

    def content(self) -> bytes:
        """With CRLF, as Graph gives it (Dovecot stores LF)."""
        return _LONE_LF.sub(b"\r\n", self.path.read_bytes())


class Mailbox:
    """The Maildir of one person."""

    def __init__(self, maildir: Path) -> None:
        """Make the folders that every mailbox has."""
        self.maildir = maildir
        found = maildir if maildir.exists() else maildir.parent
        status = found.stat()
        self._owner = (status.st_uid, status.st_gid)
        for name in WELL_KNOWN.values():
            self.make(name)

    def make(self, folder: str) -> None:
        """The folder, if it is not there."""
        path = folder_path(self.maildir, folder)
        for part in (self.maildir, path, *(path / name for name in ("cur", "new", "tmp"))):
            if not part.exists():
                part.mkdir(mode=0o700)
                os.chown(part, *self._owner)

    def folders(self) -> list[str]:
        """Their names, `/` between levels; a level without a Maildir of its own is not one."""
        below = sorted(
            _name(path.name[1:])
            for path in self.maildir.iterdir()
            if path.name.startswith(".") and (path / "cur").is_dir()
        )
        return ["INBOX", *below]

    def children(self, above: str) -> list[str]:
        """The folders directly below; of "" the topmost."""
        names = self.folders()
        if not above:
            return [name for name in names if "/" not in name]
        return [n for n in names if n.startswith(above + "/") and "/" not in n[len(above) + 1 :]]

    def items(self, folder: str) -> list[Item]:
        """The messages of a folder in the order of their arrival."""
        path = folder_path(self.maildir, folder)
        found = []
        for part in ("new", "cur"):
            for file in os.scandir(path / part):
                bare, _, flags = file.name.partition(":2,")
                found.append(Item(_id(bare), folder, Path(file.path), flags))
        return sorted(found, key=lambda item: item.path.name)

    def find(self, id: str) -> Item | None:
        """The message of that id, wherever it lies."""
        for folder in self.folders():
            for item in self.items(folder):
                if item.id == id:
                    return item
        return None

    def put(self, folder: str, content: bytes, flags: str = "") -> Item:
        """A new message at the end of a folder."""
        path = folder_path(self.maildir, folder)
        bare = f"{int(time.time())}.Q{os.getpid()}G{next(_numbers):08d}.graph,S={len(content)}"
        draft, final = path / "tmp" / bare, path / "cur" / f"{bare}:2,{flags}"
        draft.write_bytes(content)
        os.chown(draft, *self._owner)
        draft.rename(final)
        return Item(_id(bare), folder, final, flags)

    def move(self, item: Item, folder: str) -> Item:
        """The same message in another folder."""
        path = folder_path(self.maildir, folder) / "cur" / _named(item, item.flags)
        item.path.rename(path)
        return Item(item.id, folder, path, item.flags)

    def copy(self, item: Item, folder: str) -> Item:
        """Another message with the same content."""
        return self.put(folder, item.path.read_bytes(), item.flags)

    def mark(self, item: Item, flags: str) -> Item:
        """The message with these letters (Maildir's, in order)."""
        path = item.path.parent.parent / "cur" / _named(item, flags)
        item.path.rename(path)
        return Item(item.id, item.folder, path, flags)

    def replace(self, item: Item, content: bytes) -> None:
        """Other bytes for a draft."""
        item.path.write_bytes(content)


def _named(item: Item, flags: str) -> str:
    return f"{item.path.name.partition(':2,')[0]}:2,{''.join(sorted(set(flags)))}"


def _id(bare: str) -> str:
    return "AAkALg" + base64.urlsafe_b64encode(bare.encode()).decode()


def _name(stored: str) -> str:
    """From modified UTF-7 (RFC 3501 section 5.1.3), `.` between levels."""

    def plain(found: re.Match[str]) -> str:
        coded = found[1].replace(",", "/")
        return base64.b64decode(coded + "=" * (-len(coded) % 4)).decode("utf-16-be") or "&"

    return _SHIFTED.sub(plain, stored).replace(".", "/")

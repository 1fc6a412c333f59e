"""A sweep for canaries: unique secrets, every dress in which one could leave, every place to look."""

from __future__ import annotations

import base64
import contextlib
import html
import json
import os
import quopri
import sqlite3
import stat
import threading
import urllib.parse
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

__all__ = ["Hit", "Sweep", "forms", "sealed_columns"]

PAUSE: Final = 0.1
"""Seconds between two looks at what is running and what lies about."""

SEALED: Final = {("sealed", "blob"), ("data_keys", "wrapped"), ("vault_key_wraps", "wrapped")}
"""The columns that hold ciphertext, by their table; everything else is in the clear."""


class Hit(NamedTuple):
    """A canary that was found: which one, in what dress, where."""

    canary: str
    form: str
    where: str


def forms(secret: bytes) -> dict[str, bytes]:
    """A secret as it is and in every dress it could leave in: name of the dress, bytes to look for.

    What base64 makes of it in the middle of a longer text depends on where it stands: three
    alignments, without the characters at both ends that carry bits of the neighbours.  So SASL
    PLAIN, LOGIN and XOAUTH2, HTTP Basic and MIME parts are seen whatever stands around.
    """
    text = secret.decode("utf-8", "surrogateescape")
    found = {
        "raw": secret,
        "beginning": secret[: max(8, len(secret) * 2 // 3)],
        "end": secret[-max(8, len(secret) * 2 // 3) :],
        "reversed": text[::-1].encode("utf-8", "surrogateescape"),
        "reversed bytes": secret[::-1],
        "hex": secret.hex().encode(),
        "HEX": secret.hex().upper().encode(),
        "hex with colons": secret.hex(":").encode(),
        "url": urllib.parse.quote(secret, safe="").encode(),
        "url path": urllib.parse.quote(secret).encode(),
        "form": urllib.parse.quote_plus(secret).encode(),
        "quoted-printable": quopri.encodestring(secret, quotetabs=True).replace(b"=\n", b""),
        "json": json.dumps(text)[1:-1].encode(),
        "repr": repr(text)[1:-1].encode("utf-8", "surrogateescape"),
        "repr of bytes": repr(secret)[2:-1].encode(),
        "html": html.escape(text).encode("utf-8", "surrogateescape"),
        "numbers": ", ".join(map(str, secret)).encode(),
        "base32": base64.b32encode(secret)[: len(secret) * 8 // 5 - 1],
    }
    with contextlib.suppress(UnicodeError):
        found |= {name: text.encode(name) for name in ("utf-16le", "utf-16be", "utf-7")}
    for shift in range(3):
        whole = base64.b64encode(b"\0" * shift + secret)
        core = whole[(0, 2, 3)[shift] : len(whole) - (0, 3, 2)[(shift + len(secret)) % 3]]
        found[f"base64, {shift} before"] = core
        found[f"base64url, {shift} before"] = core.replace(b"+", b"-").replace(b"/", b"_")
    return found


def sealed_columns(database: Path) -> set[tuple[str, str]]:
    """Table and column of everything binary in a room: what must be sealed, or be no secret."""
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as db:
        tables = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type='table'")]
        return {
            (table, row[1])
            for table in tables
            for row in db.execute("SELECT * FROM pragma_table_info(?)", (table,)).fetchall()
            if row[2] == "BLOB"
        }


class Sweep:
    """What is looked for, and what was found.  ``with sweep.watching(...)`` looks all the while."""

    def __init__(self) -> None:
        self.hits: set[Hit] = set()
        self.looked: dict[str, int] = {}
        self.modes: set[str] = set()
        self._needles: list[tuple[str, str, bytes]] = []
        self._seen: dict[Path, tuple[int, int, int]] = {}

    def plant(self, name: str, secret: str | bytes) -> str:
        """Look for this secret too; gives it back as text."""
        value = secret.encode() if isinstance(secret, str) else secret
        self._seen.clear()
        known = {needle for _, _, needle in self._needles}
        for form, needle in forms(value).items():
            assert len(needle) >= 8, (name, form)
            if needle not in known:
                self._needles.append((name, form, needle))
        return value.decode("utf-8", "surrogateescape")

    def look(self, where: str, data: bytes) -> None:
        """Look through these bytes; ``where`` says what they are, up to the first colon its kind."""
        kind = where.partition(":")[0]
        self.looked[kind] = self.looked.get(kind, 0) + len(data)
        for name, form, needle in self._needles:
            if needle in data:
                self.hits.add(Hit(name, form, where))

    def look_at_files(self, kind: str, folder: Path) -> None:
        """Every file below a folder: its name, its bytes, and who may read it; changed ones only."""
        for path in _below(folder):
            with contextlib.suppress(FileNotFoundError, IsADirectoryError):
                found = path.lstat()
                if stat.S_IMODE(found.st_mode) & 0o077:
                    self.modes.add(f"{path} is {stat.filemode(found.st_mode)}")
                as_it_was = (found.st_ino, found.st_mtime_ns, found.st_size)
                if stat.S_ISREG(found.st_mode) and self._seen.get(path) != as_it_was:
                    self._seen[path] = as_it_was
                    self.look(f"{kind}: {path}", str(path).encode() + b"\n" + path.read_bytes())

    def look_at_rows(self, database: Path) -> None:
        """Every row of a room's database but its sealed columns, as text: one place a column."""
        with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as db:
            db.row_factory = sqlite3.Row
            tables = [row[0] for row in db.execute("SELECT name FROM sqlite_master "
                                                   "WHERE type = 'table'")]  # fmt: skip
            for table in tables:
                for row in db.execute(f'SELECT * FROM "{table}"'):
                    for column in row.keys():  # noqa: SIM118  # a sqlite3.Row is no dict
                        value = row[column]
                        if (table, column) not in SEALED and value is not None:
                            data = value if isinstance(value, bytes) else str(value).encode()
                            self.look(f"column: {table}.{column}", data)

    def look_at_processes(self, known: Iterable[int]) -> None:
        """Arguments and environment of every process that these ones have started, themselves too."""
        for pid in _descendants(set(known)):
            for what in ("cmdline", "environ"):
                with contextlib.suppress(OSError):
                    data = Path(f"/proc/{pid}/{what}").read_bytes()
                    self.look(f"{what}: {pid}", data.replace(b"\0", b"\n"))

    @contextlib.contextmanager
    def watching(self, folders: dict[str, Path], processes: set[int]) -> Iterator[None]:
        """Look at files and processes again and again: what is gone at the end is seen as well."""
        ended = threading.Event()

        def run() -> None:
            while not ended.wait(PAUSE):
                for kind, folder in folders.items():
                    self.look_at_files(kind, folder)
                self.look_at_processes(processes | {os.getpid()})

        watcher = threading.Thread(target=run, name="sweep", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            watcher.join()

    def report(self) -> str:
        """What was found, a line each."""
        return "\n".join(f"{hit.canary} as {hit.form} in {hit.where}" for hit in sorted(self.hits))


def _below(folder: Path) -> Iterator[Path]:
    """All that lies below; a directory that goes away meanwhile is passed over."""
    for top, folders, files in os.walk(folder):
        yield from (Path(top, name) for name in (*folders, *files))


def _descendants(ancestors: set[int]) -> set[int]:
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                after_name = (entry / "stat").read_text().rpartition(")")[2].split()
                parents[int(entry.name)] = int(after_name[1])
    found = set(ancestors)
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found & set(parents)

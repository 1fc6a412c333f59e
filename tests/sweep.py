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
import subprocess
import threading
import urllib.parse
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

__all__ = ["Hit", "Sweep", "forms", "holding", "sealed_columns"]

PAUSE: Final = 0.1
"""Seconds between two looks at what is running and what lies about."""

_PART: Final = 24
"""Bytes of a needle that are looked for in files at first; hundreds of whole ones cost more."""
_FILES: Final = 1000
"""Names in one command: more do not fit, and a room has a file for each message of its sink."""

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


def holding(needles: Iterable[bytes], files: Iterable[Path]) -> list[Path]:
    """Those of the files that may hold a needle: grep looks for hundreds at once, for a part of each.

    A file that is gone holds none.
    """
    paths = [str(path) for path in files]
    parts = {max(needle.split(b"\n"), key=len)[:_PART] for needle in needles}
    if not paths or not parts:
        return []
    found: list[Path] = []
    for start in range(0, len(paths), _FILES):
        done = subprocess.run(
            ["grep", "-lasZF", "-f", "-", "--", *paths[start : start + _FILES]],
            input=b"\n".join(parts), capture_output=True,
            env={"LC_ALL": "C", "PATH": os.environ["PATH"]}, check=False,
        )  # fmt: skip
        assert not done.stderr, done.stderr
        found += [Path(os.fsdecode(name)) for name in done.stdout.split(b"\0") if name]
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
        self._known: set[bytes] = set()
        self._seen: dict[object, tuple[object, int]] = {}
        self._parents: dict[int, int] = {}

    def plant(self, name: str, secret: str | bytes, dresses: dict[str, bytes] | None = None) -> str:
        """Look for this secret too, in these dresses or in all; gives it back as text."""
        value = secret.encode() if isinstance(secret, str) else secret
        found = forms(value) if dresses is None else dresses
        for form, needle in found.items():
            assert len(needle) >= 8, (name, form)
            if needle not in self._known:
                self._needles.append((name, form, needle))
        self._known.update(found.values())
        return value.decode("utf-8", "surrogateescape")

    def look(self, where: str, data: bytes, *, after: int = 0) -> None:
        """Look through these bytes; ``where`` says what they are, up to the first colon its kind.

        They were looked through for the needles before number ``after`` already.
        """
        kind = where.partition(":")[0]
        self.looked[kind] = self.looked.get(kind, 0) + len(data)
        for name, form, needle in self._needles[after:]:
            if needle in data:
                self.hits.add(Hit(name, form, where))

    def _done(self, what: object, as_it_is: object) -> int:
        """For how many needles this was looked through, as it is now; from now on for all."""
        before, done = self._seen.get(what, (None, 0))
        self._seen[what] = as_it_is, len(self._needles)
        return done if before == as_it_is else 0

    def look_at_files(self, kind: str, folder: Path) -> None:
        """Every file below a folder: its name, its bytes, and who may read it; changed ones only."""
        changed: dict[Path, int] = {}
        for path in _below(folder):
            with contextlib.suppress(FileNotFoundError):
                found = path.lstat()
                if stat.S_IMODE(found.st_mode) & 0o077:
                    self.modes.add(f"{path} is {stat.filemode(found.st_mode)}")
                if stat.S_ISREG(found.st_mode):
                    as_it_is = (found.st_ino, found.st_mtime_ns, found.st_size)
                    if (done := self._done(path, as_it_is)) < len(self._needles):
                        changed[path] = done
                        self.look(f"{kind}: {path}", str(path).encode(), after=done)
        for path in holding((needle for _, _, needle in self._needles), changed):
            with contextlib.suppress(FileNotFoundError):
                self.look(f"{kind}: {path}", path.read_bytes(), after=changed[path])

    def look_at_rows(self, database: Path) -> None:
        """Every row of a room's database but its sealed columns, as text: one place a column."""
        with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as db:
            db.row_factory = sqlite3.Row
            tables = [row[0] for row in db.execute("SELECT name FROM sqlite_master "
                                                   "WHERE type = 'table'")]  # fmt: skip
            for table in tables:
                columns: dict[str, list[bytes]] = {}
                for row in db.execute(f'SELECT * FROM "{table}"'):
                    for column in row.keys():  # noqa: SIM118  # a sqlite3.Row is no dict
                        value = row[column]
                        if (table, column) not in SEALED and value is not None:
                            data = value if isinstance(value, bytes) else str(value).encode()
                            columns.setdefault(column, []).append(data)
                for column, values in columns.items():
                    self.look(f"column: {table}.{column}", b"\n".join(values))

    def look_at_processes(self, known: Iterable[int]) -> None:
        """Arguments and environment of every process that these ones have started, themselves too."""
        for pid in self._descendants(set(known)):
            for what in ("cmdline", "environ"):
                with contextlib.suppress(OSError):
                    data = Path(f"/proc/{pid}/{what}").read_bytes()
                    if (done := self._done((pid, what), data)) < len(self._needles):
                        self.look(f"{what}: {pid}", data.replace(b"\0", b"\n"), after=done)

    def _descendants(self, ancestors: set[int]) -> set[int]:
        there = {int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()}
        self._parents = {pid: above for pid, above in self._parents.items() if pid in there}
        for pid in there - set(self._parents):
            with contextlib.suppress(OSError):
                after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                self._parents[pid] = int(after_name[1])
        found = set(ancestors)
        while more := {pid for pid, above in self._parents.items() if above in found} - found:
            found |= more
        return found & set(self._parents)

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

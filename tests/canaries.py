"""T31: every secret of every test is a canary: after each test it is looked for wherever none belongs.

Canaries are what the ground hands out and whatever this process wraps in a ``Secret``: passwords,
tokens, codes, keys.  They are looked for, in every dress of `tests.sweep`, in what was printed, in
every record of Postroom's log (at DEBUG, before anything is scrubbed from it), in the texts and facts
of its errors, in what processes that a test starts have told, and in every file below the test's
``tmp_path``, the database and its write-ahead log included.

A test that means to show one says where and why: ``@pytest.mark.bares("file", why="a recovery kit")``.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import os
import re
import stat
import subprocess
import sys
import traceback
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar, Final

import pytest
from cryptography.hazmat.primitives import serialization

from postroom.errors import PostroomError
from postroom.secret import Secret
from tests.ground.handed import HANDED_OUT
from tests.sweep import Hit, Sweep, forms, holding

__all__ = ["PLACES", "Canaries", "Watch", "told"]

PLACES: Final = ("output", "log", "error", "process", "file")
"""Where it is looked; what a test may bare them in."""

LEAST: Final = 16
"""Bytes of a canary: what is shorter may stand somewhere by chance."""

_VARIED: Final = 8  # different bytes in it, at least
_MUCH: Final = 30_000_000  # bytes times needles: what takes longer than to start grep
_BODY: Final = re.compile(rb"[a-z_]+=[^&]*&")  # a form: what is secret in it is wrapped by itself
_COMMENTS: Final = re.compile(rb"^#.*\n", re.MULTILINE)
_ARMOUR: Final = b"-----"
_AROUND: Final = 16  # bytes beside a secret in a file of its own: a header, a name
_PUBLIC: Final = b"-----BEGIN CERTIFICATE"  # whatever comes from a file is wrapped at first
_PRIVATE: Final = b"PRIVATE KEY"


class Watch:
    """One test: its canaries, and what was told while it ran."""

    def __init__(self) -> None:
        self.secrets: dict[bytes, None] = {}
        self.told: dict[str, list[str]] = {place: [] for place in PLACES}

    def tell(self, place: str, text: str) -> None:
        """This was told there."""
        if text:
            self.told[place].append(text)

    def canaries(self) -> list[bytes]:
        """What is looked for; a key in PEM by its lines."""
        found: dict[bytes, None] = {}
        for secret in self.secrets:
            if _PUBLIC in secret and _PRIVATE not in secret:
                continue
            for line in _of_a_key(secret) if _PRIVATE in secret else [secret]:
                if _tells(line) and not _BODY.match(secret):
                    found[line] = None
        return list(found)

    def leaks(self, folder: Path | None, bared: Iterable[str] = ()) -> list[Hit]:
        """Look everywhere but in what is bared; gives what was found."""
        canaries = self.canaries()
        if not canaries:
            return []
        needles = {needle for each in canaries for needle in forms(each).values()}
        found = Sweep()
        suspects = self._suspects(needles, bared)
        files = [] if folder is None or "file" in bared else _holding(needles, _files(folder))
        if not suspects and not files:
            return []
        for number, canary in enumerate(canaries):
            found.plant(f"secret {number} ({len(canary)} bytes)", canary)
        for place, text in suspects:
            data = text.encode("utf-8", "surrogateescape")
            found.look(f"{place}: {_masked(data, needles)[:300]!r}", data)
        for path, data in _contents(files):
            if not _is_given(path, data, needles):
                found.look(f"file: {path}", data)
        return sorted(found.hits)

    def _suspects(self, needles: set[bytes], bared: Iterable[str]) -> list[tuple[str, str]]:
        found = []
        for place, texts in self.told.items():
            if place in bared:
                continue
            whole = "\n".join(texts).encode("utf-8", "surrogateescape")
            if any(needle in whole for needle in needles):
                found += [(place, text) for text in dict.fromkeys(texts)]
        return found


def _tells(secret: bytes) -> bool:
    return len(secret) >= LEAST and len(set(secret)) >= _VARIED


def _of_a_key(pem: bytes) -> list[bytes]:
    """The lines of a private key, without those of its public half, which a certificate shows too."""
    lines = [line for line in pem.splitlines() if _ARMOUR not in line]
    try:
        key = serialization.load_pem_private_key(pem, None)
    except (ValueError, TypeError):  # sealed by a passphrase, or no key
        return lines
    form, kind = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    public = key.public_key().public_bytes(form, kind)
    ends = {line: (base64.b64decode(line)[:16], base64.b64decode(line)[-16:]) for line in lines}
    return [line for line in lines if not any(end in public for end in ends[line])]


def _files(folder: Path) -> dict[Path, int]:
    """Regular files with their sizes; what goes meanwhile is passed over."""
    found = {}
    for top, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                about = (path := Path(top, name)).lstat()
                if stat.S_ISREG(about.st_mode) and about.st_size:
                    found[path] = about.st_size
    return found


def _contents(files: Iterable[Path]) -> Iterator[tuple[Path, bytes]]:
    for path in files:
        with contextlib.suppress(FileNotFoundError):
            yield path, path.read_bytes()


def _is_given(path: Path, data: bytes, needles: set[bytes]) -> bool:
    """A file beside the room that holds a secret and nothing else: one given to it, or its key."""
    if path.with_name("room.db").exists():
        return False
    text = _COMMENTS.sub(b"", data).strip()
    return text.startswith(_ARMOUR) or any(
        needle in text and len(needle) + _AROUND >= len(text) for needle in needles
    )


def _holding(needles: set[bytes], files: dict[Path, int]) -> list[Path]:
    if sum(files.values()) * len(needles) > _MUCH:
        return holding(needles, files)
    return [path for path, data in _contents(files) if _any(needles, data)]


def _masked(data: bytes, needles: set[bytes]) -> bytes:
    for needle in sorted(needles, key=len, reverse=True):
        data = data.replace(needle, b"<it>")
    return data


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _any(needles: set[bytes], data: bytes) -> bool:
    return any(needle in data for needle in needles)


def _replace(owner: type, name: str, function: object) -> None:
    setattr(owner, name, function)


def told(place: str, text: str) -> None:
    """This was told there, and only the test has seen it: the screen of a terminal, say."""
    for plugin in Canaries.listening:
        plugin.watch.tell(place, text)


class Canaries:
    """The plugin: it listens in the whole process, and looks when a test is over."""

    listening: ClassVar[list[Canaries]] = []

    def __init__(self) -> None:
        self.watch = Watch()
        self.listening.append(self)
        self._handed = 0
        self._listens()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """A new test."""
        self.watch = Watch()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """What was printed and not read by the test itself."""
        report = yield
        if report.when == "call":
            for title, text in report.sections:
                self.watch.tell("log" if "log" in title else "output", text)
        return report

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, None, None]:
        """Look while the room is still open; its write-ahead log goes with it."""
        watch = self.watch
        bared = {place for mark in item.iter_markers("bares") for place in mark.args}
        assert bared <= set(PLACES), bared
        self._take()
        folder = getattr(item, "funcargs", {}).get("tmp_path")
        leaks = watch.leaks(folder, bared)
        yield
        if leaks:
            plainest_last = sorted(leaks, key=lambda hit: hit.form == "raw")
            once = {(hit.canary, hit.where): hit for hit in plainest_last}
            lines = "\n".join(f"{hit.canary} as {hit.form} in {hit.where}" for hit in once.values())
            pytest.fail(f"a secret of this test can be read where none belongs:\n{lines}")

    def _take(self) -> None:
        for secret in HANDED_OUT[self._handed :]:
            self.watch.secrets[secret.encode("utf-8", "surrogateescape")] = None
        self._handed = len(HANDED_OUT)

    def _listens(self) -> None:
        self._to_secrets()
        self._to_the_log()
        self._to_errors()
        self._to_output()
        self._to_processes()

    def _to_secrets(self) -> None:
        made = Secret.__init__

        def noting(secret: Secret, value: str | bytes) -> None:
            made(secret, value)
            self.watch.secrets[secret.reveal_bytes()] = None

        _replace(Secret, "__init__", noting)

    def _to_the_log(self) -> None:
        enabled, handle = logging.Logger.isEnabledFor, logging.Logger.handle

        def always(log: logging.Logger, level: int) -> bool:
            return log.name.startswith("postroom") or enabled(log, level)

        def noting(log: logging.Logger, record: logging.LogRecord) -> None:
            about = getattr(record, "about", {})
            self.watch.tell("log", f"{record.getMessage()} {about or ''}")
            if record.exc_info and record.exc_info[1] is not None:
                self.watch.tell("log", "".join(traceback.format_exception(record.exc_info[1])))
            if enabled(log, record.levelno):
                handle(log, record)

        _replace(logging.Logger, "isEnabledFor", always)
        _replace(logging.Logger, "handle", noting)

    def _to_errors(self) -> None:
        made = PostroomError.__init__

        def noting(error: PostroomError, *args: Any, **facts: Any) -> None:
            made(error, *args, **facts)
            self.watch.tell("error", f"{error} {error.facts or ''}")

        _replace(PostroomError, "__init__", noting)

    def _to_output(self) -> None:
        read = pytest.CaptureFixture.readouterr

        def noting(fixture: pytest.CaptureFixture[Any]) -> Any:
            shown = read(fixture)
            for text in shown:
                self.watch.tell("output", text if isinstance(text, str) else _text(text))
            return shown

        _replace(pytest.CaptureFixture, "readouterr", noting)

    def _to_processes(self) -> None:
        ended, left = subprocess.Popen.communicate, asyncio.subprocess.Process.communicate

        def noting(process: subprocess.Popen[Any], *args: Any, **rest: Any) -> Any:
            shown = ended(process, *args, **rest)
            if isinstance(process.args, list) and process.args[0] == sys.executable:
                self._shown(shown)
            return shown

        async def awaiting(process: asyncio.subprocess.Process, *args: Any) -> Any:
            shown = await left(process, *args)
            self._shown(shown)
            return shown

        _replace(subprocess.Popen, "communicate", noting)
        _replace(asyncio.subprocess.Process, "communicate", awaiting)

    def _shown(self, streams: Iterable[str | bytes | None]) -> None:
        for text in streams:
            if text:
                self.watch.tell("process", text if isinstance(text, str) else _text(text))

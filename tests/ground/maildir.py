"""Messages in and out of a Maildir by its files alone, past every protocol (Maildir++)."""

from __future__ import annotations

import base64
import itertools
import os
import re
import time
from collections.abc import Iterable
from pathlib import Path

__all__ = ["arrived", "fill", "folder_path", "read"]

_LONE_LF = re.compile(rb"(?<!\r)\n")
_numbers = itertools.count(1)


def folder_path(maildir: Path, folder: str) -> Path:
    """Where Dovecot keeps that folder; names are given as people write them, `/` between levels."""
    if folder.upper() == "INBOX":
        return maildir
    return maildir / ("." + _utf7(folder).replace("/", "."))


def fill(
    maildir: Path,
    messages: Iterable[bytes],
    *,
    folder: str = "INBOX",
    flags: str = "",
    owner: tuple[int, int] | None = None,
) -> int:
    """Write the messages into the folder and say how many; 10,000 small ones take about a second.

    `flags` are Maildir's letters in order (`S` seen, `F` flagged, `R` answered, `T` deleted,
    `D` draft). With none the messages are new. `owner` is (uid, gid) for all that is written.
    """
    path = folder_path(maildir, folder)
    uid, gid = owner or (-1, -1)
    target = path / ("cur" if flags else "new")
    # A file must appear in its whole length, since Dovecot may be looking: it is renamed into
    # place, or, cheaper, the whole of a new folder is.
    fresh = not target.exists()
    staging = path / ("tmp-new" if fresh else "tmp")
    for part in (maildir, path, *(path / name for name in ("cur", "new", "tmp")), staging):
        if not part.exists() and not (fresh and part == target):
            part.mkdir(mode=0o700)
            os.chown(part, uid, gid)
    suffix = f":2,{flags}" if flags else ""
    stamp = f"{int(time.time())}.P{os.getpid()}"
    count = 0
    for message in messages:
        name = f"{stamp}Q{next(_numbers):08d}.ground,{_sizes(message)}{suffix}"
        file = os.open(f"{staging}/{name}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.write(file, message)
        os.fchown(file, uid, gid)
        os.close(file)
        if not fresh:
            (staging / name).rename(target / name)
        count += 1
    if fresh:
        staging.rename(target)
    return count


def _sizes(message: bytes) -> str:
    """S and W spare Dovecot the reading of each file; W counts a lone LF as CRLF."""
    return f"S={len(message)},W={len(message) + len(_LONE_LF.findall(message))}"


def read(maildir: Path, folder: str = "INBOX") -> list[bytes]:
    """The messages that lie in the folder now, oldest first, as stored (Dovecot stores LF)."""
    path = folder_path(maildir, folder)
    found: list[tuple[str, bytes]] = []
    for part in ("new", "cur"):
        for file in (path / part).glob("*"):
            try:
                found.append((file.name, file.read_bytes()))
            except FileNotFoundError:  # moved on between listing and reading
                continue
    return [message for _, message in sorted(found)]


def arrived(
    maildir: Path, count: int = 1, *, folder: str = "INBOX", seconds: float = 10.0
) -> list[bytes]:
    """Wait until `count` messages lie in the folder and return all; AssertionError otherwise.

    It blocks: in an asynchronous test whose own loop takes part in the delivery, call it by
    `asyncio.to_thread`.
    """
    deadline = time.monotonic() + seconds
    while len(messages := read(maildir, folder)) < count:
        if time.monotonic() > deadline:
            raise AssertionError(f"{len(messages)} of {count} messages in {folder} of {maildir}")
        time.sleep(0.02)
    return messages


def _utf7(name: str) -> str:
    """Modified UTF-7 (RFC 3501 section 5.1.3)."""
    out: list[str] = []
    for printable, run in itertools.groupby(name, key=lambda char: " " <= char <= "~"):
        text = "".join(run)
        if printable:
            out.append(text.replace("&", "&-"))
        else:
            coded = base64.b64encode(text.encode("utf-16-be")).decode().rstrip("=")
            out.append("&" + coded.replace("/", ",") + "-")
    return "".join(out)

"""The demo's mailbox: a Maildir of varied messages, made in one go, the same ones every time.

Maildir because APPEND takes a server 45 ms a message.  Names and layout are those of Maildir++ and
of Dovecot's ``dovecot-uidlist``, which pymap reads: it gives the messages their uids by date.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import random
import shutil
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

from postroom.cli.demo.letters import Desk, Letter, letters
from postroom.clock import now as present
from postroom.clock import rfc3339
from postroom.errors import Refused

__all__ = ["ADDRESS", "MailboxFacts", "fill", "kept"]

ADDRESS = "orders@demo.example"
"""Whose mailbox it is, unless the caller says otherwise."""

_DAYS = 30
_NEW = 12
"""How many of the latest lie in ``new``: no client has seen them yet."""
_MARK = "postroom-demo.json"
"""The file that says a Maildir is ours to empty; it holds the facts."""
_UIDLIST = "dovecot-uidlist"
_FLAGS = (("S", "", "RS", "FS"), (80, 8, 9, 3))
"""Maildir flags of the older messages, and how often each: seen, answered, flagged."""


@dataclass(frozen=True)
class MailboxFacts:
    """What a mailbox was filled with: numbers of messages, ``bytes`` and ``largest`` in bytes."""

    count: int
    bytes: int
    largest: int
    attachments: int
    html: int
    unseen: int
    malformed: int
    charsets: tuple[str, ...]
    first: str
    last: str
    """Dates of the oldest and the newest message (RFC 3339)."""


def kept(maildir: Path) -> MailboxFacts | None:
    """The facts of a mailbox that an earlier demo made here, or None if there is none to keep."""
    try:
        facts = json.loads((maildir / _MARK).read_text("utf-8"))
        facts["charsets"] = tuple(facts["charsets"])
        return MailboxFacts(**facts)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def fill(
    maildir: Path,
    count: int = 200,
    *,
    to: str = ADDRESS,
    now: dt.datetime | None = None,
    seed: int = 2525,
) -> MailboxFacts:
    """Make the Maildir anew with ``count`` messages to ``to``, spread over the 30 days before now.

    The same arguments give the same files.  No server may be using it.  What an earlier demo left
    is removed, and the new mailbox has another uidvalidity, so that clients start afresh.  Raises
    Refused if the directory holds something that no demo made.
    """
    validity = _clear(maildir)
    end = (now or present()).replace(microsecond=0)
    for name in ("tmp", "new", "cur"):
        (maildir / name).mkdir(parents=True, mode=0o700)
    chance = random.Random(seed)  # noqa: S311  # the same mailbox every time; no secret in it
    tally = _Tally()
    rows = []
    dated = zip(_times(chance, count, end), letters(chance, count), strict=True)
    for uid, (when, kind) in enumerate(dated, 1):
        desk = Desk(chance, when, to, uid)
        letter = kind(desk)
        data = letter.bytes_for(desk)
        fresh = uid > count - _NEW
        flags = "" if fresh else ":2," + chance.choices(*_FLAGS)[0]
        name = f"{int(when.timestamp())}.M{uid:06d}P1Q{uid}.postroom-demo"
        _write(maildir / ("new" if fresh else "cur") / (name + flags), data, when)
        tally.add(letter, data, when, seen="S" in flags)
        rows.append(_row(chance, uid, name + (flags or ":")))
    validity = max(validity + 1, int(end.timestamp()))
    head = f"3 V{validity} N{count + 1} G{chance.getrandbits(128):032x}\r\n"
    (maildir / _UIDLIST).write_text(head + "".join(rows), "ascii", newline="")
    facts = tally.facts()
    (maildir / _MARK).write_text(json.dumps(asdict(facts)), "utf-8")
    return facts


def _times(chance: random.Random, count: int, end: dt.datetime) -> list[dt.datetime]:
    """Instants in order, thirty days back to a minute ago."""
    span = _DAYS * 86400 - 120
    return [
        end - dt.timedelta(seconds=60 + ago)
        for ago in sorted((chance.randrange(span) for _ in range(count)), reverse=True)
    ]


def _clear(maildir: Path) -> int:
    """Remove what an earlier demo left; the uidvalidity it had, or 0."""
    if not maildir.exists() or not any(maildir.iterdir()):
        shutil.rmtree(maildir, ignore_errors=True)
        return 0
    if not (maildir / _MARK).is_file():
        raise Refused(
            f"{maildir} is not empty, and no demo made what is in it.",
            hint="Give the demo another directory, or move those files away.",
        )
    try:
        head = (maildir / _UIDLIST).read_text("ascii").split("\n", 1)[0]
        validity = int(head.split()[1].removeprefix("V"))
    except (OSError, ValueError, IndexError):
        validity = 0
    shutil.rmtree(maildir)
    return validity


def _write(path: Path, data: bytes, when: dt.datetime) -> None:
    path.write_bytes(data)
    os.utime(path, (when.timestamp(), when.timestamp()))


def _row(chance: random.Random, uid: int, name: str) -> str:
    email, thread = chance.getrandbits(128), chance.getrandbits(128)
    return f"{uid} EM{email:032x} TT{thread:032x} :{name}\r\n"


class _Tally:
    """Counts what is written."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.dates: list[dt.datetime] = []
        self.kinds: Counter[str] = Counter()
        self.charsets: set[str] = set()

    def add(self, letter: Letter, data: bytes, when: dt.datetime, *, seen: bool) -> None:
        self.sizes.append(len(data))
        self.dates.append(when)
        self.kinds.update(letter.facts)
        self.kinds["unseen"] += not seen
        self.charsets.add(letter.charset)

    def facts(self) -> MailboxFacts:
        return MailboxFacts(
            count=len(self.sizes),
            bytes=sum(self.sizes),
            largest=max(self.sizes, default=0),
            attachments=self.kinds["attachment"],
            html=self.kinds["html"],
            unseen=self.kinds["unseen"],
            malformed=self.kinds["malformed"],
            charsets=tuple(sorted(self.charsets)),
            first=rfc3339(self.dates[0]) if self.dates else "",
            last=rfc3339(self.dates[-1]) if self.dates else "",
        )

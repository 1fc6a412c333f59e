"""The newest checkpoint of a room, kept in a file outside of the database.

Nothing inside a database can tell that the whole of it was put back to yesterday's copy.  The newest
checkpoint vouches for all that was before it, so that one line is enough, kept where the room's key
is kept.  It is written after each checkpoint is durable, so it is never ahead of the database it
belongs to; when it names a row that is not there, the database was put back.  Then it is left as it
is, and checkpoints and ``verify`` say so, until somebody accepts it.

The line also says which vault key the last rotation made: who hides the row of a rotation for a while,
and puts it back, leaves a record that verifies, but cannot make that key forgotten.

The file is for all rooms whose keys lie in that directory; a room has a line for the place where it
lies, so that a copy of a room elsewhere is not taken for the room put back.  A line carries an HMAC
under the room's audit key.
"""

from __future__ import annotations

import contextlib
import fcntl
import hmac
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from postroom.audit.record import Mac
from postroom.clock import monotonic
from postroom.errors import RoomError, WrongUse

__all__ = ["Head", "Outside"]

WAIT_SECONDS: Final = 5.0
_LABEL: Final = "postroom audit head 1"


class Head(NamedTuple):
    """A checkpoint row: its stream, number and code, its position, when it was written (seconds).

    ``term`` and ``vault_key`` (an id) are what the last rotation of the vault key made, as far as was
    known when the head was kept; 0 where no rotation is told, empty where its row tells no id.
    """

    stream: str
    seq: int
    code: str
    position: int
    at: float
    term: int = 0
    vault_key: str = ""


class Outside:
    """The line of one room in such a file."""

    def __init__(self, path: Path, room: Path, mac: Mac) -> None:
        """``path`` is the file, ``room`` the room's directory."""
        self.path = path
        self._place = os.path.realpath(room)
        self._mac = mac

    def head(self) -> Head | None:
        """What is kept; None when nothing is.  Raises RoomError when it is not as it was written."""
        return self._head(_read(self.path).get(self._place))

    def term(self) -> tuple[int, str]:
        """The term and the id of the vault key that is kept there; 0 and empty where none can be read."""
        try:
            head = self.head()
        except RoomError:  # that is for `verify` to tell: it must not stop the room
            head = None
        return (0, "") if head is None else (head.term, head.vault_key)

    def keep(self, head: Head, *, anew: bool = False) -> None:
        """Put ``head`` in the place of what was kept, durably, in one step; ``anew`` an older one too.

        The vault key that is kept is never replaced by one of an earlier term, unless ``anew``.

        Raises RoomError when the file cannot be written.
        """
        with _own(self.path.parent) as directory:
            lines = _read(self.path)
            kept = None if anew else self._head(lines.get(self._place))
            if kept is not None and kept.position >= head.position:
                return  # another process was faster
            if kept is not None and kept.term > head.term:
                head = head._replace(term=kept.term, vault_key=kept.vault_key)
            lines[self._place] = {**head._asdict(), "mac": self._code(head)}
            _write(self.path, lines, directory)

    def write_document(self, head: Head, to: Path) -> None:
        """Write a head to a file of its own, for whoever keeps it on another machine.

        Raises WrongUse when the file is there, or cannot be written.
        """
        document = {"v": 1, "room": self._place, **head._asdict(), "mac": self._code(head)}
        try:
            _write_new(to, json.dumps(document, indent=1) + "\n")
        except OSError as error:
            raise WrongUse(f"{to} cannot be written: {error.strerror}.") from error

    def read_document(self, path: Path) -> Head:
        """The head in such a file.  Raises WrongUse, or RoomError when it is not as it was written."""
        try:
            found = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError):
            found = None
        head = self._head(found)
        if head is None:
            raise WrongUse(
                f"{path} cannot be read as a head of the audit record.",
                hint="Write one with: postroom audit heads --to FILE",
            )
        return head

    def _head(self, found: object) -> Head | None:
        if found is None:
            return None
        with contextlib.suppress(KeyError, TypeError, ValueError):
            line: Any = found
            numbers = int(line["position"]), float(line["at"])
            vault_key = int(line.get("term", 0)), str(line.get("vault_key", ""))
            row = str(line["stream"]), int(line["seq"]), str(line["code"])
            head = Head(*row, *numbers, *vault_key)
            place = str(line.get("room", self._place))
            if hmac.compare_digest(self._code(head, place), str(line["mac"])):
                return head
        raise RoomError(
            "The head of the audit record that is kept outside was edited, or is another room's.",
            hint="See what the record itself says: postroom audit verify",
        )

    def _code(self, head: Head, place: str = "") -> str:
        parts: tuple[object, ...] = (_LABEL, place or self._place, *head[:4], repr(head.at))
        if head.term:  # the heads of early releases have none
            parts += (head.term, head.vault_key)
        return self._mac(json.dumps(parts).encode()).hex()


# ------------------------------------------------------------------ the file


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        raise RoomError(
            f"The heads of audit records in {path} cannot be read.",
            hint="Look at the file; if it is lost, remove it, and new heads are kept there.",
        ) from error
    lines: dict[str, Any] = found.get("rooms", {}) if isinstance(found, dict) else {}
    return lines


@contextlib.contextmanager
def _own(directory: Path) -> Iterator[int]:
    """The directory, locked against whoever else writes heads there."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise _unwritable(directory, error) from error
    try:
        _lock(file, directory)
        yield file
    finally:
        os.close(file)


def _lock(file: int, directory: Path) -> None:
    """Others hold it for the time of one small write; who holds it longer is frozen."""
    deadline = monotonic() + WAIT_SECONDS
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if monotonic() >= deadline:
                raise _unwritable(directory, "another process holds that directory") from None
            time.sleep(0.02)


def _write(path: Path, lines: dict[str, Any], directory: int) -> None:
    text = json.dumps({"v": 1, "rooms": lines}, indent=1) + "\n"
    part = path.with_name(f"{path.name}.part")
    try:
        part.unlink(missing_ok=True)
        _write_new(part, text)
        part.replace(path)
        os.fsync(directory)
    except OSError as error:
        raise _unwritable(path, error) from error


def _write_new(path: Path, text: str) -> None:
    """A file that was not there yet, durable, for nobody else to read; none when that fails."""
    file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(file, "w", encoding="utf-8") as out:
            out.write(text)
            out.flush()
            os.fsync(file)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _unwritable(path: Path, why: OSError | str) -> RoomError:
    reason = why if isinstance(why, str) else why.strerror
    return RoomError(
        f"The head of the audit record cannot be kept at {path}: {reason}.",
        hint="Without it nothing tells when the whole database is put back to an older copy.",
    )

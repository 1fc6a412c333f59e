"""The mail server in memory: folders with messages, what was submitted, and failures on demand."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence

from postroom.errors import FolderError, SignInError, WireError
from postroom.protocols.base import Envelope, Features, Folder, Limits, Reply, SignIn

__all__ = ["MemoryFolder", "MemoryMessage", "MemoryServer", "Submitted"]

_STANDARD = (
    Folder("INBOX"),
    Folder("Archive", "\\Archive"),
    Folder("Drafts", "\\Drafts"),
    Folder("Junk", "\\Junk"),
    Folder("Sent", "\\Sent"),
    Folder("Trash", "\\Trash"),
)
_FIRST = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


@dataclasses.dataclass(slots=True)
class MemoryMessage:
    """One message in a folder."""

    uid: int
    content: bytes
    flags: set[str]
    received: dt.datetime
    modseq: int = 0


@dataclasses.dataclass(slots=True)
class MemoryFolder:
    """A folder and its messages by uid, in arrival order."""

    folder: Folder
    uidvalidity: int
    uidnext: int = 1
    messages: dict[int, MemoryMessage] = dataclasses.field(default_factory=dict)
    modseq: int = 1  # HIGHESTMODSEQ
    gone: dict[int, int] = dataclasses.field(default_factory=dict)  # uid: modseq of its end

    def touch(self, message: MemoryMessage) -> None:
        """The message is new, or was changed."""
        self.modseq += 1
        message.modseq = self.modseq

    def drop(self, uid: int) -> None:
        """The message leaves the folder."""
        self.modseq += 1
        self.gone[uid] = self.modseq
        del self.messages[uid]


@dataclasses.dataclass(frozen=True, slots=True)
class Submitted:
    """What a transport submitted: to whom it was accepted, and the bytes."""

    envelope: Envelope
    content: bytes


class MemoryServer:
    """A mail server that lives in this process; everything it does is deterministic.

    ``users`` maps names to passwords (None: anybody may sign in).  ``features`` is what its stores
    say and do.  ``replies`` maps a recipient to the reply to its RCPT.  With ``deliver`` what is
    submitted arrives in INBOX.  ``max_size`` (bytes, 0: any) and ``extensions`` are what EHLO
    would say.  ``qresync``: opening a folder tells what changed since (RFC 7162).
    """

    def __init__(
        self,
        *,
        users: Mapping[str, str] | None = None,
        features: Features | None = None,
        limits: Limits | None = None,
        replies: Mapping[str, Reply] | None = None,
        deliver: bool = True,
        max_size: int = 0,
        extensions: Iterable[str] = ("8BITMIME", "PIPELINING", "SMTPUTF8"),
        qresync: bool = True,
    ) -> None:
        self.users = users
        self.features = features or Features(arrivals=True)
        self.limits = limits or Limits()
        self.replies = dict(replies or {})
        self.deliver = deliver
        self.max_size = max_size
        self.qresync = qresync
        self.extensions = tuple(extensions)
        self.submitted: list[Submitted] = []
        self.folders: dict[str, MemoryFolder] = {}
        self._failures: defaultdict[str, deque[WireError]] = defaultdict(deque)
        self._listeners: list[Callable[[], object]] = []
        self._arrivals = 0
        for folder in _STANDARD:
            self.make(folder.name, folder.special_use)

    def make(self, name: str, special_use: str = "") -> MemoryFolder:
        """The folder of that name, made with what is above it unless it is there."""
        name = _inbox(name)
        above, slash, _ = name.rpartition("/")
        if slash:
            self.make(above)
        if name not in self.folders:
            # another uidvalidity for each, so that ids of different folders never look alike
            self.folders[name] = MemoryFolder(Folder(name, special_use), 1000 + len(self.folders))
        return self.folders[name]

    def find(self, name: str) -> MemoryFolder:
        """A folder by name or special use.  Raises FolderError(``folder_missing``)."""
        for folder in self.folders.values():
            if _inbox(name) == folder.folder.name or (name and name == folder.folder.special_use):
                return folder
        raise FolderError(f"There is no folder {name}.", code="folder_missing")

    def put(
        self,
        message: bytes,
        folder: str = "INBOX",
        *,
        flags: Sequence[str] = (),
        received: dt.datetime | None = None,
    ) -> str:
        """A message arrives, a minute after the one before unless told when; gives its id."""
        where = self.find(folder)
        self._arrivals += 1
        received = received or _FIRST + dt.timedelta(minutes=self._arrivals)
        uid, where.uidnext = where.uidnext, where.uidnext + 1
        where.messages[uid] = MemoryMessage(uid, message, set(flags), received)
        where.touch(where.messages[uid])
        self.changed()
        return f"{where.uidvalidity}-{uid}"

    def fail(self, step: str, error: WireError, times: int = 1) -> None:
        """Raise this error at the next ``times`` times that ``step`` is reached.

        Steps of a store: connect, sign-in, open, list, fetch, flag, copy, move, delete, append,
        check, close.  Of a transport: connect, sign-in, mail, rcpt, data (both leave a message
        untouched) and end-of-data (the message has arrived, its answer is lost: ambiguous), check.
        """
        self._failures[step].extend([error] * times)

    def reach(self, step: str) -> None:
        """A step is reached: raise what was asked for."""
        if self._failures[step]:
            raise self._failures[step].popleft()

    def enter(self, sign_in: SignIn) -> None:
        """A connection and its sign-in.  Raises WireError, SignInError."""
        self.reach("connect")
        self.reach("sign-in")
        if self.users is None:
            return
        secret = sign_in.secret.reveal() if sign_in.secret is not None else None
        if secret is None or self.users.get(sign_in.user) != secret:
            raise SignInError("The server refused the sign-in.", hint="Check user and password.")

    def listen(self, listener: Callable[[], object]) -> Callable[[], None]:
        """Call ``listener`` at each arrival or change; gives what ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def changed(self) -> None:
        """Tell the listeners."""
        for listener in tuple(self._listeners):
            listener()


def _inbox(name: str) -> str:
    return "INBOX" if name.upper() == "INBOX" else name

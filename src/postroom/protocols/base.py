"""The contracts of the wires: what a message store and a transport do, whatever they speak.

A *message store* is the open incoming side of a connection, a *transport* the open outgoing side.
Both are made by an ``open_...`` function of their protocol's package from a :class:`WireTarget` and
a :class:`SignIn`; both own one socket and belong to one task at a time.

What a store cannot do (folders on POP3) it says in :class:`Features` before anything is touched.
"""

from __future__ import annotations

import builtins
import dataclasses
import datetime as dt
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Literal, NamedTuple, Protocol

from postroom.secret import Secret

if TYPE_CHECKING:
    from postroom.net.dial import Route
    from postroom.net.tls import Tls
    from postroom.protocols.gate import Gate

__all__ = [
    "Changes", "Content", "Envelope", "Features", "Fetched", "Flag", "Folder", "FolderState",
    "Limits", "MessageStore", "OpenSpool", "Outcome", "Page", "Recipient", "Reply", "Security",
    "SignIn", "Since", "Spool", "Submission", "Summary", "Transport", "WireTarget",
]  # fmt: skip

Security = Literal["tls", "starttls", "none"]
Flag = Literal["seen", "answered", "flagged", "deleted", "draft"]


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """What one connection may use: bytes and seconds.  Over a limit, the connection ends.

    ``line`` bounds one line of an answer, ``literal`` one IMAP literal, POP3 message or header
    block, ``nesting`` parentheses in one IMAP answer, ``in_memory`` the part of one message kept
    in memory before it goes to a spool, ``in_flight`` the unread answers a pipeline may ask for.
    """

    line: int = 64 * 1024
    literal: int = 256 * 1024 * 1024
    nesting: int = 64
    in_memory: int = 1024 * 1024
    in_flight: int = 4 * 1024 * 1024
    connect_timeout: float = 20.0
    reply_timeout: float = 60.0
    idle_renewal: float = 25 * 60.0  # IDLE is renewed before 29 minutes, RFC 2177


@dataclasses.dataclass(frozen=True, slots=True)
class WireTarget:
    """Where to connect and how: a route to dial, the security, and the TLS settings to use.

    ``sign_in_without_tls`` permits credentials over ``none`` (loopback, or asked for in so many
    words); without it such a sign-in is refused before a byte of it is sent.  Of Graph alone:
    ``path`` is where the API begins, ``gate`` who else asks for the mailbox.
    """

    route: Route
    security: Security
    tls: Tls
    limits: Limits = Limits()
    sign_in_without_tls: bool = False
    path: str = ""
    gate: Gate | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class SignIn:
    """Who signs in.  A value, never a callback: a token is fetched before the wire is opened.

    ``method`` is ``none``, ``password`` (SASL PLAIN, LOGIN or the wire's own login) or ``token``
    (XOAUTH2, OAUTHBEARER).
    """

    method: Literal["none", "password", "token"] = "none"
    user: str = ""
    secret: Secret | None = None


# --------------------------------------------------------------------------- incoming


@dataclasses.dataclass(frozen=True, slots=True)
class Features:
    """What this store can do.  A command checks it and refuses before it touches anything."""

    folders: bool = True
    flags: bool = True
    move: bool = True
    copy: bool = True
    append: bool = True
    search: bool = True
    sizes: bool = True  # a summary says how large the message is
    push: bool = True
    exact_expunge: bool = True  # UIDPLUS, RFC 4315: delete exactly our messages
    arrivals: bool = False  # what is newer can come with its contents
    newest: bool = False  # the newest can be listed alone: newest.Newest
    snapshot: bool = False  # POP3: lists all there is each time, and deletes when it is closed


@dataclasses.dataclass(frozen=True, slots=True)
class Folder:
    """A folder as people name it (``/`` between levels) and what it is for (RFC 6154)."""

    name: str
    special_use: str = ""  # "\\Archive", "\\Drafts", "\\Junk", "\\Sent", "\\Trash" or ""
    selectable: bool = True


class Since(NamedTuple):
    """How far a folder was known when it was last left: its UIDVALIDITY then, and the cursor."""

    uidvalidity: int
    cursor: str


@dataclasses.dataclass(frozen=True, slots=True)
class Changes:
    """What became of the messages up to a cursor since it was taken.

    ``cursor`` is the one to go on from once these are dealt with.  ``gone`` are the ids that left
    the folder, None where the wire did not tell (no QRESYNC, or it has lost count); ``flags`` are
    the new flags of what was changed.  ``lost``: it will tell from ``cursor`` on, and could not
    for the time before.
    """

    cursor: str
    gone: Collection[str] | None = None
    flags: Mapping[str, frozenset[str]] = dataclasses.field(default_factory=dict)
    lost: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class FolderState:
    """An opened folder.  ``uidvalidity`` is 0 where the wire has none (POP3, Graph).

    ``next_cursor`` is the cursor after everything that is there now (``start: new``); where
    :attr:`Features.snapshot` says so, the same cursor means that nothing seems to have changed.
    ``modseq`` is HIGHESTMODSEQ (RFC 7162) or 0.  ``changes`` is there when it was asked for with
    ``since``, and the folder is still the one it was.
    """

    name: str
    uidvalidity: int
    exists: int
    next_cursor: str
    read_only: bool
    modseq: int = 0
    changes: Changes | None = None


@dataclasses.dataclass(slots=True)
class Summary:
    """What listing gives of a message.

    ``id`` is the wire's own key: ``UIDVALIDITY-UID`` on IMAP, the UIDL on POP3, the immutable id on
    Graph.  ``headers`` is the raw block of the header fields that were asked for, empty if none.
    """

    id: str
    uid: int = 0
    size: int = 0
    flags: frozenset[str] = frozenset()  # "seen", ..., and keywords as the server spells them
    received: dt.datetime | None = None
    headers: bytes = b""


@dataclasses.dataclass(slots=True)
class Page:
    """One page of a listing; ``cursor`` is where to go on once the page is dealt with."""

    summaries: list[Summary]
    cursor: str
    contents: dict[str, Content | None] = dataclasses.field(default_factory=dict)  # arrivals


class Spool(Protocol):
    """Where the bytes of one large message go while they arrive: a file handed in by the caller."""

    def write(self, data: bytes | memoryview, /) -> object: ...
    def finish(self) -> Content: ...
    def discard(self) -> None: ...


OpenSpool = Callable[[int], Spool]
"""Called with the announced size in bytes when a message is larger than ``Limits.in_memory``."""


class Content(Protocol):
    """The exact bytes of one message, in memory or in a file."""

    @property
    def size(self) -> int: ...
    def bytes(self) -> bytes: ...
    def open(self) -> IO[builtins.bytes]: ...
    def discard(self) -> None: ...


@dataclasses.dataclass(slots=True)
class Fetched:
    """One message as it was read; ``content`` is None when it was gone before it was read."""

    id: str
    content: Content | None
    summary: Summary | None = None  # where it was asked for


class MessageStore(Protocol):  # gauge: a wire's whole contract; halves were one object twice
    """The open incoming side of a connection.  All raise :class:`postroom.errors.WireError`.

    A folder is opened first; ``ids`` are ids of that folder, and an id of another UIDVALIDITY is
    refused.  Listing and reading never set \\Seen.
    """

    features: Features

    async def folders(self) -> list[Folder]:
        """Every folder that can be named, in the server's order."""

    async def create(self, folder: str) -> None:
        """Create the folder (and what is above it) unless it is there."""

    async def open(
        self, folder: str, *, read_only: bool = True, since: Mapping[str, Since] | None = None
    ) -> FolderState:
        """Open a folder (a name, or a special use such as ``\\Archive``).

        ``since`` says, by the folder's name, how far it is known already: what has changed since
        then comes with the state, in the same round trip where the wire can (QRESYNC, RFC 7162).
        Raises FolderError(``folder_missing``).
        """

    def newer(
        self, cursor: str, *, headers: Sequence[str] = (), page: int = 500
    ) -> AsyncIterator[Page]:
        """What came after ``cursor`` (empty: everything), in arrival order, page by page.

        ``headers`` names the header fields to bring along.  A store without order (POP3) gives all
        it has every time; the ledger knows which are new.
        """

    def arrivals(self, cursor: str, spool: OpenSpool) -> AsyncIterator[Page]:
        """As :meth:`newer`, with their contents by id, in as many pages as they come.

        Ends before what the server keeps back: go on with :meth:`newer`.  See Features.arrivals.
        """

    async def summaries(self, ids: Sequence[str], *, headers: Sequence[str] = ()) -> list[Summary]:
        """The summaries of these messages that are still there."""

    def fetch(self, ids: Sequence[str], spool: OpenSpool) -> AsyncIterator[list[Fetched]]:
        """The messages in the order asked, in batches as they arrive; pipelined and bounded."""

    async def read_headers(self, ids: Sequence[str]) -> dict[str, bytes]:
        """The whole header block of each message (POP3: TOP n 0)."""

    async def search(self, criteria: str) -> list[str]:
        """Ids that match; ``criteria`` is an IMAP SEARCH program (RFC 9051, 6.4.4) in ASCII."""

    async def flag(
        self, ids: Sequence[str], *, add: Sequence[str] = (), remove: Sequence[str] = ()
    ) -> None:
        """Set and clear flags (:data:`Flag`) and keywords."""

    async def copy(self, ids: Sequence[str], folder: str) -> dict[str, str]:
        """Copy; gives the new id of each where the server tells (COPYUID), else an empty dict."""

    async def move(self, ids: Sequence[str], folder: str) -> dict[str, str]:
        """Move (RFC 6851), or copy and delete exactly these; gives as :meth:`copy` does."""

    async def delete(self, ids: Sequence[str]) -> bool:
        """Delete exactly these.  False: flagged as deleted and left (no UIDPLUS)."""

    async def append(self, folder: str, message: bytes, *, flags: Sequence[str] = ()) -> str:
        """Put a message into a folder; gives its id where the server tells (APPENDUID), else ``""``."""

    async def wait(self, timeout: float) -> bool:
        """Wait for a change in the open folder: True if there was one (IDLE), False at the time-out.

        Raises WireError(``not_supported``) where :attr:`Features.push` is False.
        """

    async def check(self) -> bool:
        """One round trip: is there something new in the open folder?  Also keeps the wire alive."""

    async def close(self) -> None:
        """Say goodbye and close.  On POP3 this is what makes deletions happen (QUIT)."""

    def abandon(self) -> None:
        """Close at once, without a word; nothing pending is committed.  Never raises."""


# --------------------------------------------------------------------------- outgoing


@dataclasses.dataclass(frozen=True, slots=True)
class Envelope:
    """MAIL FROM and RCPT TO (RFC 5321): bare addresses, exactly the recipients, no duplicates."""

    sender: str
    recipients: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Reply:
    """What the other side said to one recipient or step.

    ``state`` is how it is to be read: accepted (2yz), deferred (4yz, try again), rejected (5yz).
    ``enhanced`` is the RFC 3463 code such as ``5.1.1`` or empty; ``text`` is scrubbed.
    """

    state: Literal["accepted", "deferred", "rejected"]
    code: int
    enhanced: str = ""
    text: str = ""
    step: str = ""  # "mail", "rcpt", "data", "end-of-data", ...


@dataclasses.dataclass(frozen=True, slots=True)
class Recipient:
    """One recipient and the reply that decided it."""

    address: str
    reply: Reply


@dataclasses.dataclass(slots=True)
class Submission:
    """One message to submit.  ``content`` has CRLF line ends and no dot-stuffing yet.

    ``before_data`` is awaited before the first byte of DATA of this message is written: the outbox
    makes ``submitting`` durable there.  Where a server is waited for after it, it is awaited once
    more before the final dot: what it refuses then is not sent, and the connection ends.
    """

    id: str
    envelope: Envelope
    content: Content
    before_data: Callable[[], Awaitable[None]] | None = None
    utf8: bool = False  # needs SMTPUTF8, RFC 6531
    again: bool = False  # an earlier try may have left something behind (Graph: a draft)


@dataclasses.dataclass(slots=True)
class Outcome:
    """How one submission ended.

    ``answered``: every recipient has the reply that decided it.  ``untouched``: no byte of DATA
    went out, so trying again is safe; ``error`` says why.  ``ambiguous``: DATA began and no final
    reply came (RFC 1047): it may or may not have been accepted.
    """

    id: str
    state: Literal["answered", "untouched", "ambiguous"]
    recipients: list[Recipient] = dataclasses.field(default_factory=list)
    error: Exception | None = None


class Transport(Protocol):
    """The open outgoing side of a connection."""

    max_size: int  # bytes, from SIZE (RFC 1870); 0: not said

    def submit(self, submissions: Sequence[Submission]) -> AsyncIterator[Outcome]:
        """Submit in order, pipelined; gives exactly one outcome for each, as it is known.

        Never raises for what the other side does: after a lost connection the rest is
        ``untouched``.
        """

    async def check(self) -> None:
        """One round trip (NOOP); raises WireError when the connection is gone."""

    async def close(self) -> None:
        """QUIT and close; errors while saying goodbye are nobody's business."""

    def abandon(self) -> None:
        """Close at once, without a word.  Never raises."""

"""The contract of a sink: its declared settings, and ``take`` that is durable when it returns."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal, NamedTuple, Self

from pydantic import AfterValidator

from postroom.db import Tx
from postroom.fields import Fields
from postroom.protocols.base import Content

__all__ = ["TWICE", "Attachment", "Delivery", "Directory", "Item", "Sink"]


def _named(path: str) -> str:
    if not path.strip():
        raise ValueError("is needed: name a directory")
    return path


Directory = Annotated[str, AfterValidator(_named)]
"""A path that is not empty: an empty one would be made absolute, and be whatever is current."""


@dataclasses.dataclass(frozen=True, slots=True)
class Attachment:
    """An attachment that was asked for: a safe file name and its decoded bytes."""

    name: str
    data: bytes


class Item(NamedTuple):
    """One message for a sink.

    ``key`` names it uniquely and safely in its folder: ``UIDVALIDITY-UID`` where the wire has
    those, else 24 hexadecimal characters.  ``store`` tells the mailbox of a source from others, by
    8 hexadecimal digits.  ``ledger`` is the ledger's id: the idempotency key.
    ``below`` is the relative, safe path that the message's own macros in the sink's path made.
    ``summary`` gives what a JSON summary beside the message says.  ``source`` is the source's name,
    ``id`` what the server calls the message.
    """

    ledger: int
    folder: str
    key: str
    content: Content
    store: str = ""
    received: float | None = None
    below: str = ""
    attachments: tuple[Attachment, ...] = ()
    summary: Callable[[], dict[str, object]] = dict
    source: str = ""
    id: str = ""


class Delivery(NamedTuple):
    """What became of one item: where it lies, or why it was not taken.

    ``write`` is what a sink in the room's own database still has to write: it is called in the
    transaction in which the ledger says that the message is delivered, and gives where it lies.  So
    both are there or neither.  It may run more than once, until one is committed.
    """

    ledger: int
    where: str = ""
    error: str = ""
    write: Callable[[Tx], str] | None = None

    def written(self, tx: Tx) -> Delivery:
        """With what had to be written, in that transaction."""
        return self if self.write is None else Delivery(self.ledger, where=self.write(tx))


TWICE: Final = {"same": "A message that is taken twice, after a crash, is there once."}
"""What taking a message twice does, in words.  A batch is made durable, then the ledger commits: between
the two, nobody knows."""


class Sink(Fields, abc.ABC):
    """A sink's declared settings; the same object does the work."""

    type: str
    about: ClassVar[str]
    """What it makes of a message, for people."""
    twice: ClassVar[Literal["same"]]
    """What taking a message twice does, of :data:`TWICE`."""
    answers: ClassVar[bool] = False
    """Whether what it begins may answer mail: then a source has to say where it starts."""

    @property
    def place(self) -> str:
        """The path it delivers to, macros and all; empty where it has none."""
        return ""

    @property
    def begins(self) -> str:
        """What begins with a message that it takes, in words; empty where it only lies there."""
        return ""

    def at(self, place: str) -> Self:
        """The same, delivering to another place: its own with the macros expanded."""
        return self

    def check(self, tx: Tx) -> None:
        """Raise PostroomError for what it refers to and is not there, or does not fit; asked when saved."""

    def check_room(self, tx: Tx) -> None:
        """Raise Refused(``queue_full``) while it takes nothing more; asked before messages are read."""

    @abc.abstractmethod
    def resolved(self, base: Path) -> Sink:
        """The same settings with relative paths made absolute from ``base`` (the room file's)."""

    @abc.abstractmethod
    def prepare(self) -> None:
        """Make sure it can be delivered to; raises PostroomError.  Runs off the event loop."""

    @abc.abstractmethod
    def take(self, items: Sequence[Item]) -> list[Delivery]:
        """Take a batch; durable when it returns, one delivery an item.  Runs off the event loop.

        Raises PostroomError when the sink as a whole cannot take anything (full disk).
        """

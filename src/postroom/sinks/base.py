"""The contract of a sink: its declared settings, and ``take`` that is durable when it returns."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal, NamedTuple

from pydantic import AfterValidator

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
    ``summary`` gives what a JSON summary beside the message says.
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


class Delivery(NamedTuple):
    """What became of one item: where it lies, or why it was not taken."""

    ledger: int
    where: str = ""
    error: str = ""


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

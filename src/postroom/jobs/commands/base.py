"""The contract of a built-in command: its parameters, declared once, and the one way it is done."""

from __future__ import annotations

import abc
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from pydantic import ValidationError

from postroom.fields import Fields, parse

if TYPE_CHECKING:  # the help of a verb knows its parameters without what does the work
    from pathlib import Path

    from postroom.connections.mailbox import Mailbox
    from postroom.mail import Draft
    from postroom.services.outbox import Item

__all__ = ["Bench", "Command", "ReadAgain", "Result", "any_files"]

Result = dict[str, Any]
"""What a command gives: what JSON can hold, by the names that :attr:`Command.gives` declares."""


ReadAgain = Mapping[str, Literal["directory", "path", "search"]]
"""What the text of a parameter is read as."""


class Bench(Protocol):
    """What a command works with.  It is made for a run, or for one command on its own."""

    base: Path
    """Where relative paths begin."""
    message: bytes | None
    """The message that started the run, if one did."""

    async def box(self, via: str, mailbox: str = "") -> Mailbox:
        """The mailbox of a connection or ``msgraph`` credential: opened once, and left open for what
        comes after; nobody but the bench closes it.  Raises as opening it does.
        """
        ...

    async def reads(self, via: str) -> str:
        """What ``via`` names to read from, with its noun: ``connection:acme``, ``credential:app``.

        Raises NotThere; InvalidValue where it is the name of both.
        """
        ...

    async def sender(self, via: str, mailbox: str = "") -> str | None:
        """Whom a message through ``via`` is from when nobody says."""
        ...

    async def store(
        self, via: str, draft: Draft, *, key: str = "", mailbox: str = "", once_in: float = 0.0
    ) -> str:
        """Store a message in the outbox; gives the item's id.  In a run it is held under the run.

        ``once_in``: refused where the same mailbox has answered its recipient within so many seconds.
        """
        ...

    async def send(
        self, via: str, draft: Draft, *, wait: float, key: str = "", mailbox: str = "",
        once_in: float = 0.0,
    ) -> Item:  # fmt: skip
        """Store a message and send it now; gives the item as it is after at most ``wait`` seconds."""
        ...

    async def test(self, name: str) -> Result:
        """Walk a connection or credential step by step, as ``postroom connection test`` does."""
        ...

    async def afterwards(self, act: Callable[[], Awaitable[None]]) -> None:
        """Do something that belongs to what was stored: now, or in a run once all of it was done.

        A run that fails has sent nothing, and nothing shall say otherwise.
        """
        ...

    async def begin(self, job: str, parameters: Mapping[str, Any]) -> str:
        """Begin another job; gives the id of its run.  In a run it begins in the transaction in which
        that run succeeds, and the id is empty.
        """
        ...


class Command(Fields, abc.ABC):
    """A command's declared parameters; the same object does the work."""

    name: ClassVar[str]
    """``move-email``: as a step, a page and ``--help`` call it."""
    about: ClassVar[str]
    """One sentence for people: what it does."""
    gives: ClassVar[dict[str, str]]
    """The names of its result, each with a few words about it."""
    rights: ClassVar[tuple[str, ...]]
    """What who does it on its own must be permitted, of the verbs in access/rights.py."""
    many: ClassVar[str] = ""
    """The parameter that takes several ids: what differs in it alone is done in one go.

    When some of them are not there the command raises NotThere with the fact ``ids``, before it
    touches any: it is then done again without them.
    """
    files: ClassVar[bool] = False
    """Whether it always reads or writes files of the machine it is done on."""
    read_again: ClassVar[ReadAgain] = {}
    """Parameters whose text is read as something else: what was received is made safe for them."""

    def __init__(self, **given: Any) -> None:
        """Of parameters, by their names.  Raises UnknownField with the nearest, InvalidValue."""
        try:
            super().__init__(**given)
        except ValidationError:
            parse(type(self), given)  # says it as it does of all that is declared
            raise

    # it is no other way to be made than pydantic's own: what is parsed does not come by here
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    @abc.abstractmethod
    async def run(self, bench: Bench) -> Result:
        """Do it.  Raises PostroomError; what can be refused is refused before anything is touched."""

    @abc.abstractmethod
    def plan(self) -> str:
        """What it would do, in a sentence, for a dry run."""


def any_files(kind: type[Command], parameters: Mapping[str, Any]) -> bool:
    """Whether a command with these parameters reads or writes files, as far as they say already."""
    for name, how in kind.read_again.items():
        given = parameters.get(name)
        texts = given if isinstance(given, list | tuple) else [given]
        if how != "search" and any(isinstance(text, str) and text for text in texts):
            return True
    return kind.files

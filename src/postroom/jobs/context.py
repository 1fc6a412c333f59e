"""The context of a ``python`` job: what its function is given, and everything it may ask for.

The same names are awaitable where the function is asynchronous.  All mail is done by the worker: each
call here is a built-in command (jobs/commands) with its parameters.
"""

from __future__ import annotations

import asyncio
import base64
import sys
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from postroom.secret import Secret

if TYPE_CHECKING:
    from postroom.jobs.child import Channel
    from postroom.mail import Message

__all__ = ["Connection", "Context", "Folder", "NotGranted", "Service", "context_of"]


class NotGranted(KeyError):
    """A credential, or a field of one, that the job is not handed."""

    def __str__(self) -> str:
        return str(self.args[0])


class _Granted(Mapping[str, Any]):
    """A map that says what there is, when it is asked for something else."""

    def __init__(self, values: Mapping[str, Any], missing: str) -> None:
        self._values = values
        self._missing = missing

    def __getitem__(self, name: str) -> Any:
        if name not in self._values:
            known = ", ".join(self._values) or "none"
            raise NotGranted(self._missing.format(name=name, known=known))
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


class _Done:
    """Nothing to wait for, in a shape that can be awaited."""

    def __await__(self) -> Generator[Any, None, None]:
        return
        yield


class _Log:
    """``log("text")``, and ``log.warning`` and ``log.error``: lines of the run's log."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def __call__(self, text: object, level: str = "info") -> _Done:
        self._channel.say(log=level, text=str(text))
        return _Done()

    def info(self, text: object) -> _Done:
        """As calling it."""
        return self(text)

    def warning(self, text: object) -> _Done:
        """What somebody should look at."""
        return self(text, "warning")

    def error(self, text: object) -> _Done:
        """What went wrong."""
        return self(text, "error")


class Context:
    """What the function of a ``python`` job is given.

    ``credentials["crm"]["password"]`` is a Secret where the field is sealed, else a text; ``parameters``
    are those of the run; ``state`` is a dict that is kept until the next run, of what JSON can hold;
    ``run`` has ``id``, ``job`` and ``attempt``; ``log`` writes lines of the run's log.
    """

    def __init__(
        self, channel: Channel, given: dict[str, Any], told: dict[str, Any], by_await: bool
    ) -> None:
        self._channel = channel
        self._by_await = by_await
        self._has_message: bool = told["message"]
        self.credentials: Mapping[str, Mapping[str, Any]] = _Granted(
            {
                name: _Granted(
                    {
                        field: Secret(value) if field in told["sealed"][name] else value
                        for field, value in fields.items()
                    },
                    f"The credential {name} has no field {{name!r}}, only: {{known}}.",
                )
                for name, fields in given["credentials"].items()
            },
            "This job is not granted the credential {name!r}, only: {known}. Name it in the job's "
            "credentials:",
        )
        self.parameters: dict[str, Any] = given["parameters"]
        self.state: dict[str, Any] = told["state"]
        self.run = SimpleNamespace(id=given["run"], job=given["job"], attempt=told["attempt"])
        self.log = _Log(channel)
        self._message: Message | None = None

    @property
    def message(self) -> Message | None:
        """The message that started the run, or None."""
        if self._message is None and self._has_message:
            from postroom.mail import Message

            self._message = Message(sys.stdin.buffer.read())
        return self._message

    def service(self, name: str) -> Service:
        """A service, or a connection or credential that sends."""
        return Service(self, name)

    def connection(self, name: str, *, mailbox: str = "") -> Connection:
        """A connection's incoming side."""
        return Connection(self, name, mailbox)

    def do(self, command: Any, **parameters: Any) -> Any:
        """Do a built-in command: ``do(MoveEmail(via=...))``, or ``do("move-email", via=...)``."""
        if isinstance(command, str):
            return self.ask(command, parameters)
        from postroom.fields import shown

        return self.ask(command.name, shown(command))

    def ask(
        self,
        command: str,
        parameters: dict[str, Any],
        then: Callable[[Any], Any] = lambda result: result,
    ) -> Any:
        """Have the worker do a command, and give what ``then`` makes of its result.

        Raises PostroomError as the command does.
        """
        answer = self._channel.ask(command, parameters)
        if not self._by_await:
            return then(answer.result())

        async def waited() -> Any:
            return then(await asyncio.wrap_future(answer))

        return waited()

    @property
    def by_await(self) -> bool:
        """Whether the function is asynchronous."""
        return self._by_await


class Service:
    """``context.service("orders")``: sends."""

    def __init__(self, context: Context, name: str) -> None:
        self._context = context
        self._name = name

    def send(self, *, wait: str = "60s", **draft: Any) -> Any:
        """Send now, and wait for the outcome: ``to``, ``subject``, ``text`` and what send-email takes.

        Gives the outbox item: id, state, recipients.  It is not held under the run.
        """
        return self._send(draft | {"wait": wait})

    def send_and_forget(self, **draft: Any) -> Any:
        """Store a message; gives its id.  It is sent once the run has succeeded."""
        return self._send(draft, lambda result: result["id"])

    def _send(
        self, draft: dict[str, Any], then: Callable[[Any], Any] = lambda result: result
    ) -> Any:
        return self._context.ask("send-email", {"via": self._name, **draft}, then)


class Connection:
    """``context.connection("acme")``: reads."""

    def __init__(self, context: Context, name: str, mailbox: str = "") -> None:
        self._context = context
        self._in = {"via": name, "mailbox": mailbox}

    def folders(self) -> Any:
        """The names of its folders."""
        return self._context.ask(
            "list-folders", dict(self._in), lambda result: [one["name"] for one in result["items"]]
        )

    def folder(self, name: str = "INBOX") -> Folder:
        """A folder, or ``\\\\Archive`` and the like."""
        return Folder(self._context, {**self._in, "folder": name})

    def test(self) -> Any:
        """Walk the connection step by step; gives what test-connection gives."""
        return self._context.ask("test-connection", {"via": self._in["via"]})


class Folder:
    """``context.connection("acme").folder("INBOX")``."""

    def __init__(self, context: Context, place: dict[str, Any]) -> None:
        self._context = context
        self._place = place

    def list(self, search: str = "all", *, limit: int | None = None, after: str = "") -> Any:
        """Of each message that fits: id, from, subject, received and what list-email gives.

        ``after``: those behind the message of this id.
        """
        page = {"search": search, "limit": limit, "after": after}
        return self._ask("list-email", lambda result: result["items"], **page)

    def search(self, text: str = "all", *, limit: int | None = None) -> Any:
        """The messages that fit, one after the other as they are wanted (``for``, or ``async for``)."""
        return self._each(text, limit) if self._context.by_await else self._one_by_one(text, limit)

    def read(self, id: str) -> Any:
        """A whole message; it has its ``id``."""
        return self._ask("read-email", lambda result: _message(result, id), id=id, raw=True)

    def move(self, ids: Sequence[str], to: str, *, create: bool = False) -> Any:
        """To another folder; gives the new id of each by its old one, where the server tells."""
        return self._ask("move-email", _ids, ids=_many(ids), to=to, create=create)

    def copy(self, ids: Sequence[str], to: str, *, create: bool = False) -> Any:
        """To another folder as well; gives as :meth:`move` does."""
        return self._ask("copy-email", _ids, ids=_many(ids), to=to, create=create)

    def flag(
        self, ids: Sequence[str], *, add: Sequence[str] = (), remove: Sequence[str] = ()
    ) -> Any:
        """Set flags (seen, flagged, answered ...), and take some away."""
        return self._ask("flag-email", _whole, ids=_many(ids), add=_many(add), remove=_many(remove))

    def delete(self, ids: Sequence[str]) -> Any:
        """Delete messages; gives count, and whether they are gone."""
        return self._ask("delete-email", _whole, ids=_many(ids))

    def save_attachments(self, ids: Sequence[str], to: str) -> Any:
        """Save what is attached into a directory; gives the paths."""
        return self._ask("save-attachments", lambda got: got["paths"], ids=_many(ids), to=str(to))

    def _ask(self, command: str, then: Callable[[Any], Any], **parameters: Any) -> Any:
        return self._context.ask(command, {**self._place, **parameters}, then)

    def _one_by_one(self, text: str, limit: int | None) -> Iterator[Message]:
        for one in self.list(text, limit=limit):
            yield self.read(one["id"])

    async def _each(self, text: str, limit: int | None) -> Any:
        for one in await self.list(text, limit=limit):
            yield await self.read(one["id"])


def context_of(
    channel: Channel, given: dict[str, Any], told: dict[str, Any], *, by_await: bool
) -> Context:
    """The context out of what the process was handed (``given``) and told."""
    return Context(channel, given, told, by_await)


def _whole(result: Any) -> Any:
    return result


def _ids(result: Any) -> Any:
    return result["by_id"]


def _many(names: Sequence[str]) -> list[str]:
    return [names] if isinstance(names, str) else [*names]


def _message(result: dict[str, Any], id: str) -> Message:
    from postroom.mail import Message

    found = Message(base64.b64decode(result["raw"]))
    found.id = id  # type: ignore[attr-defined]  # of this folder; a message alone has none
    return found

"""Asking: what each door takes, from the signature of its operation: by path, by query, in a body.

What calls back (``on_step``, ``progress``, ``tell``), asks a person, or names a file of the room is no
parameter.  The API reads requests by this, the remote room writes them by it.
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Final, NamedTuple

from postroom.connections.connection import Connection
from postroom.credentials.store import CredentialStore
from postroom.credentials.types import TYPES
from postroom.fields import Fields
from postroom.jobs.commands import COMMANDS
from postroom.jobs.job import Job
from postroom.notices.notification import Notify
from postroom.operations.account import Account
from postroom.operations.documents import item_of
from postroom.operations.doors import DOORS, Door
from postroom.operations.page import PAGE
from postroom.services.service import Service
from postroom.sources.source import Source

__all__ = ["CALLS_BACK", "DECLARED", "Asked", "Parameter", "all_asked", "declared_choices"]

CALLS_BACK: Final = ("on_step", "progress", "tell", "way")
"""Parameters that hear of an operation while it is done."""
_NOT_ASKED: Final = frozenset(
    {*CALLS_BACK, "ask", "paste", "prompt", "base", "heads", "also", "self"}
)
_DECLARED_IN: Final = ("data", "changes")
"""Parameters whose fields stand in the body itself."""
DECLARED: Final[Mapping[str, type[Fields]]] = {
    "accounts": Account,
    "connections": Connection,
    "notify": Notify,
    "sources": Source,
    "services": Service,
    "jobs": Job,
}
"""The declarations of what ``data`` and ``changes`` hold, by noun."""


class Parameter(NamedTuple):
    """One thing that is asked for: its name in Python and outside, its type, where it stands.

    ``place`` is ``path``, ``query``, ``body``, or ``fields`` for what the body itself is made of.
    """

    name: str
    wire: str
    annotation: Any
    default: Any
    place: str

    @property
    def needed(self) -> bool:
        """Whether it must be given."""
        return self.default is inspect.Parameter.empty


class Asked(NamedTuple):
    """A door with what it takes and gives.  ``tells`` is the parameter that hears of steps, or empty.

    What gives a list has pages, ``limit`` and ``after``: its operation's own, or, where that has none,
    of the whole list (``whole``).
    """

    door: Door
    parameters: tuple[Parameter, ...]
    returns: Any
    tells: str
    told: tuple[Any, ...]
    about: str
    owner: type
    whole: bool

    @property
    def title(self) -> str:
        """What its models are called, before In and Out: ``CredentialsCreate``."""
        return f"{self.door.noun}_{self.door.method}".title().replace("_", "")

    @property
    def pages(self) -> bool:
        """Whether it gives a list, a page at a time."""
        return self.door.http == "GET" and item_of(self.returns) is not None

    @property
    def limit(self) -> int:
        """Items of a page where nobody says how many."""
        return next((int(one.default) for one in self.parameters if one.name == "limit"), PAGE)

    def at(self, place: str) -> tuple[Parameter, ...]:
        """The parameters that stand there."""
        return tuple(one for one in self.parameters if one.place == place)


def all_asked(nouns: Mapping[str, tuple[str, str]]) -> dict[tuple[str, str], Asked]:
    """Every door by noun and method; ``nouns`` says where the operations of each are."""
    found = {}
    for door in DOORS:
        module, kind = nouns[door.noun]
        operations = getattr(import_module(f"postroom.operations.{module}"), kind)
        found[door.noun, door.method] = _asked(door, operations)
    return found


def declared_choices(noun: str, parameter: Parameter) -> tuple[type[Fields], ...]:
    """The declarations of which a map's fields are, as far as it has one."""
    if parameter.place == "fields":
        return (DECLARED[noun],)
    if parameter.name == "details":
        return TYPES
    if noun == "commands" and parameter.name == "parameters":
        return tuple(COMMANDS)
    return ()


def _asked(door: Door, owner: type) -> Asked:
    operation: Callable[..., Any] = getattr(owner, door.method)
    parameters: list[Parameter] = []
    tells, told = "", ()
    for name, one in inspect.signature(operation).parameters.items():
        if name in CALLS_BACK:
            tells, told = name, _told(operation, one.annotation)
        if one.kind is inspect.Parameter.VAR_KEYWORD:
            parameters += _changes(door)
        elif name not in _NOT_ASKED:
            annotation = _resolved(operation, one.annotation)
            place = _place(door, name)
            parameters.append(Parameter(name, name.rstrip("_"), annotation, one.default, place))
    known = {"models": import_module("postroom.operations.models")}
    returns = _resolved(operation, operation.__annotations__.get("return", "None"), known)
    about = inspect.cleandoc(operation.__doc__ or "")
    whole = all(one.name != "after" for one in parameters)
    found = Asked(door, tuple(parameters), returns, tells, told, about, owner, whole)
    return found._replace(parameters=_in_pages(found)) if found.pages else found


def _in_pages(asked: Asked) -> tuple[Parameter, ...]:
    """With ``limit`` and ``after``: from afar no list is without an end."""
    named = {one.name: one for one in asked.parameters}
    limit = named.setdefault("limit", Parameter("limit", "limit", int, None, "query"))
    named["limit"] = limit._replace(annotation=int, default=limit.default or PAGE)
    named.setdefault("after", Parameter("after", "after", str | None, None, "query"))
    return tuple(named.values())


def _place(door: Door, name: str) -> str:
    if f"{{{name}}}" in door.path:
        return "path"
    if door.http in ("GET", "DELETE") or name == "dry_run":
        return "query"
    return "fields" if name in _DECLARED_IN else "body"


def _changes(door: Door) -> list[Parameter]:
    """``**changes`` of a credential: what its store lets change."""
    signature = inspect.signature(CredentialStore.change)
    return [
        Parameter(name, name, str | None if name != "programs" else bool | None, None, "body")
        for name, one in signature.parameters.items()
        if one.kind is inspect.Parameter.KEYWORD_ONLY and name != "actor"
    ] if door.noun == "credentials" else []  # fmt: skip


def _resolved(
    operation: Callable[..., Any], annotation: Any, known: Mapping[str, Any] | None = None
) -> Any:
    """What an annotation names where its operation stands; ``known`` are names besides."""
    if not isinstance(annotation, str):
        return annotation
    holder = types.SimpleNamespace(__annotations__={"it": annotation})
    return typing.get_type_hints(holder, operation.__globals__, known, include_extras=True)["it"]


def _told(operation: Callable[..., Any], annotation: Any) -> tuple[Any, ...]:
    """The types of what a callback hears."""
    from postroom.oauth.code import Pending  # named in quotes by what most callers never load
    from postroom.oauth.device import DeviceCode

    if "Way" in str(annotation) or "Way" in operation.__annotations__.values():
        return (DeviceCode | Pending,)
    known = {"DeviceCode": DeviceCode, "Pending": Pending}
    hint = _resolved(operation, annotation, known)
    for part in (hint, *typing.get_args(hint)):
        if typing.get_origin(part) is not None and "Callable" in str(typing.get_origin(part)):
            return tuple(typing.get_args(part)[0])
    return ()

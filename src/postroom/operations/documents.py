"""Documents: what operations give, as JSON, by their declared types; read back, and described.

One rule for all of it: a record is an object of its fields, an instant is RFC 3339 in UTC, bytes are
base64, an error is its code and its sentences.  What a type says of itself in ``as_json`` beside its
fields stands there too.  What cannot leave (a secret, a function) has no place in a document.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import types
import typing
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Final, Literal

from postroom import errors
from postroom.errors import PostroomError, WireError
from postroom.fields import Fields, shown
from postroom.operations.page import Page
from postroom.secret import Secret

__all__ = [
    "WIRE_NAMES",
    "decoded",
    "document",
    "encoded",
    "error_of",
    "fields_of",
    "hints_of",
    "is_flat",
    "is_instant",
    "is_page",
    "is_record",
    "item_of",
    "parts_of",
    "read_document",
    "told_fields",
    "told_of",
]

V: Final = 1
"""The version of every document."""
_INSTANTS: Final = frozenset({"since", "at", "next_wake", "due_since", "next_due", "last_worked"})
WIRE_NAMES: Final = {"from_": "from", "sender": "from"}
_INNER: Final = frozenset({"key", "proof"})
"""Of a sign-in that was begun: what its callback is held against, and shown to nobody."""
_KINDS: Final = {
    kind.__name__: kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, PostroomError)
}
_OWN: Final = frozenset({"code", "error", "hint", "temporary", "step", "said", "kind"})


# ---------------------------------------------------------------------------- whole documents


def document(annotation: Any, value: Any) -> dict[str, Any]:
    """What an operation gave as one JSON object: a list is ``items``, a bare value is ``value``."""
    found = encoded(value)
    if isinstance(value, Page):
        beside = {name: encoded(each) for name, each in vars(value).items()}
        return {"v": V, "items": found, **beside}
    if isinstance(found, list) and not is_record(type(value)):
        return {"v": V, "items": found}
    if isinstance(found, dict) and is_flat(annotation):
        return {"v": V, **found}
    return {"v": V, "value": found}


def is_flat(annotation: Any) -> bool:
    """Whether its fields stand in the document itself; a map of free names stands under ``value``."""
    parts = [part for part in parts_of(annotation) if part is not type(None)]
    return all(
        is_record(part) or typing.get_args(part) == (str, Any) or part in (Any, dict)
        for part in parts
    )


def read_document(annotation: Any, found: Mapping[str, Any]) -> Any:
    """The value of an operation back from its document."""
    page = next((p for p in parts_of(annotation) if is_page(p)), None)
    if page is not None:
        return _page(page, found)
    if "items" in found and item_of(annotation) is not None:
        return decoded(annotation, found["items"])
    if is_flat(annotation) and not (set(found) <= {"v", "value"} and _may_be_none(annotation)):
        return decoded(annotation, {key: value for key, value in found.items() if key != "v"})
    return decoded(annotation, found.get("value"))


def _page(annotation: Any, found: Mapping[str, Any]) -> Any:
    kind = typing.get_origin(annotation) or annotation
    of = item_of(annotation)
    page = kind.__new__(kind)
    list.__init__(page, [decoded(of, each) for each in found["items"]])
    page.__dict__.update({k: v for k, v in found.items() if k not in ("v", "items")})
    page.__dict__.setdefault("next", None)
    return page


def item_of(annotation: Any) -> Any:
    """What a list, a page or a tuple of one kind has in it; None for what is no such thing."""
    for part in parts_of(annotation):
        origin = typing.get_origin(part) or part
        if isinstance(origin, type) and issubclass(origin, list | tuple) and not is_record(part):
            args = typing.get_args(part) or typing.get_args(
                next(iter(getattr(origin, "__orig_bases__", ())), None)
            )
            return args[0] if args else Any
    return None


# ---------------------------------------------------------------------------- out


def encoded(value: Any) -> Any:
    """A value as JSON can hold it."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, PostroomError):
        return told_of(value)
    if isinstance(value, Fields):
        return shown(value)
    if is_record(type(value)):
        return _record(value)
    if isinstance(value, Mapping):
        return {str(key): encoded(each) for key, each in value.items()}
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, dt.datetime | dt.date):
        return value.isoformat()
    if isinstance(value, Collection):
        return [encoded(each) for each in value]
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no place in a document")


def _record(value: Any) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for name in told_fields(type(value)):
        each = getattr(value, name)
        if not isinstance(each, Secret) and not callable(each):
            instant = isinstance(each, int | float) and is_instant(name)
            told[WIRE_NAMES.get(name, name)] = _instant(each) if instant else encoded(each)
    if hasattr(value, "as_json"):
        more = value.as_json()
        told |= {key: encoded(more[key]) for key in more.keys() - told.keys()}
    return told


def told_of(error: PostroomError) -> dict[str, Any]:
    """An error as documents have it: code, error, hint, temporary, kind, and its facts."""
    facts = {key: encoded(each) for key, each in error.facts.items() if not callable(each)}
    told = {
        "code": error.code, "error": error.sentence, "hint": error.hint,
        "temporary": error.temporary, "kind": _kind_of(error), "facts": facts,
    }  # fmt: skip
    if isinstance(error, WireError):
        told |= {"step": error.step, "said": error.said}
    return told


def _kind_of(error: PostroomError) -> str:
    return next(one.__name__ for one in type(error).__mro__ if one.__name__ in _KINDS)


def _instant(seconds: float) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat().replace("+00:00", "Z")


# ---------------------------------------------------------------------------- back


def decoded(annotation: Any, found: Any) -> Any:
    """The value of that type back from what :func:`encoded` made of it."""
    if found is None or annotation in (Any, str, bool, int, float, object):
        return found
    parts = [part for part in parts_of(annotation) if part is not type(None)]
    if not parts:
        return found
    if len(parts) > 1 and isinstance(found, Mapping):  # the one that has the most of it
        parts.sort(key=lambda part: -len(found.keys() & set(_wire_names(part))))
    return _decoded(parts[0], found)


def _wire_names(part: Any) -> list[str]:
    return [WIRE_NAMES.get(each, each) for each in fields_of(part)] if is_record(part) else []


def _decoded(part: Any, found: Any) -> Any:
    origin = typing.get_origin(part) or part
    if origin is Literal or not isinstance(origin, type):
        return found
    if is_record(origin):
        return _made(origin, found)
    if issubclass(origin, PostroomError):
        return error_of(found)
    if issubclass(origin, bytes):
        return base64.b64decode(found)
    if issubclass(origin, dt.datetime):
        return dt.datetime.fromisoformat(found)
    if issubclass(origin, dt.date):
        return dt.date.fromisoformat(found)
    args = typing.get_args(part)
    if issubclass(origin, tuple):
        if args and args[-1] is not ...:
            return tuple(decoded(of, each) for of, each in zip(args, found, strict=True))
        return tuple(decoded(args[0] if args else Any, each) for each in found)
    if issubclass(origin, Mapping) and len(args) == 2:
        return {key: decoded(args[1], each) for key, each in found.items()}
    if issubclass(origin, Collection) and args and isinstance(found, list):
        return [decoded(args[0], each) for each in found]
    return found


def _made(kind: type, found: Mapping[str, Any]) -> Any:
    given: dict[str, Any] = {}
    for name, annotation in hints_of(kind).items():
        wire = WIRE_NAMES.get(name, name)
        if name not in fields_of(kind):
            continue
        if wire not in found:  # what does not leave
            given[name] = Secret("") if annotation is Secret else _absent(kind, name)
        elif is_instant(name) and isinstance(found[wire], str):
            given[name] = dt.datetime.fromisoformat(found[wire]).timestamp()
        else:
            given[name] = decoded(annotation, found[wire])
    return kind(**given)


def _absent(kind: type, name: str) -> Any:
    default = getattr(kind, "_field_defaults", {}).get(name)
    if dataclasses.is_dataclass(kind):
        one = next(each for each in dataclasses.fields(kind) if each.name == name)
        if one.default_factory is not dataclasses.MISSING:
            return one.default_factory()
        default = None if one.default is dataclasses.MISSING else one.default
    return default


def error_of(told: Mapping[str, Any]) -> PostroomError:
    """The error back, of the same class and with the same code."""
    kind = _KINDS.get(str(told.get("kind")), PostroomError)
    error = kind.__new__(kind)
    code = str(told.get("code"))
    given: dict[str, Any] = {
        "code": code if code in errors.CODES else "refused",
        "hint": str(told.get("hint") or ""),
        "temporary": bool(told.get("temporary")),
    }
    facts = dict(told.get("facts") or {})
    sentence = str(told.get("error") or "The room refused that.")
    if isinstance(error, WireError):
        given |= {"step": str(told.get("step") or ""), "said": str(told.get("said") or "")}
        init: Callable[..., None] = WireError.__init__
    else:
        init = PostroomError.__init__
    init(error, sentence, **given, **{key: facts[key] for key in facts.keys() - _OWN})
    if isinstance(error, errors.InvalidValue):
        error.field = str(facts.get("field", ""))
    return error


# ---------------------------------------------------------------------------- types


def is_record(kind: Any) -> bool:
    return isinstance(kind, type) and (
        dataclasses.is_dataclass(kind) or (issubclass(kind, tuple) and hasattr(kind, "_fields"))
    )


def is_page(part: Any) -> bool:
    origin = typing.get_origin(part) or part
    return isinstance(origin, type) and issubclass(origin, Page)


def fields_of(kind: Any) -> tuple[str, ...]:
    if dataclasses.is_dataclass(kind):
        return tuple(one.name for one in dataclasses.fields(kind))
    return tuple(kind._fields)


def told_fields(kind: Any) -> tuple[str, ...]:
    """The fields of a record that documents have: not those that do not count when two are compared."""
    apart: set[str] = set()
    if dataclasses.is_dataclass(kind):
        apart = {one.name for one in dataclasses.fields(kind) if not one.compare}
    return tuple(name for name in fields_of(kind) if name not in _INNER | apart)


def hints_of(kind: type) -> dict[str, Any]:
    known = _HINTS.get(kind)
    if known is None:
        known = _HINTS[kind] = typing.get_type_hints(kind, include_extras=True)
    return known


_HINTS: Final[dict[type, dict[str, Any]]] = {}


def is_instant(name: str) -> bool:
    return name in _INSTANTS or name.endswith("_at")


def _may_be_none(annotation: Any) -> bool:
    return type(None) in parts_of(annotation)


def parts_of(annotation: Any) -> list[Any]:
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return [piece for part in typing.get_args(annotation) for piece in parts_of(part)]
    if typing.get_origin(annotation) is typing.Annotated:
        return parts_of(typing.get_args(annotation)[0])
    return [annotation]

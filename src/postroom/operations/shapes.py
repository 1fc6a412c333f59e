"""Shapes: what a document of an operation holds, as JSON Schema, derived from its declared type."""

from __future__ import annotations

import datetime as dt
import typing
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, Literal

from postroom.errors import PostroomError
from postroom.operations.documents import (
    WIRE_NAMES,
    fields_of,
    hints_of,
    is_flat,
    is_instant,
    is_page,
    is_record,
    item_of,
    parts_of,
)
from postroom.secret import Secret

__all__ = ["PROBLEM", "document_shape", "shape"]

Definitions = dict[str, dict[str, Any]]
"""Named shapes that others refer to."""
_PLAIN: Final[dict[Any, dict[str, Any]]] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bytes: {"type": "string", "contentEncoding": "base64"},
    dt.date: {"type": "string", "format": "date"},
    dt.datetime: {"type": "string", "format": "date-time"},
}
_INSTANT: Final = {"type": "string", "format": "date-time"}
REF: Final = "#/components/schemas/"
PROBLEM: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["type", "title", "status", "code", "hint", "temporary", "kind", "facts"],
    "properties": {
        "type": {"type": "string", "description": "urn:postroom:error:CODE"},
        "title": {"type": "string", "description": "One sentence for a person."},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "Stable: the same in JSON, exit text and log."},
        "hint": {"type": "string", "description": "What to do next."},
        "temporary": {"type": "boolean", "description": "Whether trying again makes sense."},
        "kind": {"type": "string", "description": "The class of the error in the library."},
        "facts": {"type": "object", "description": "Further details."},
        "step": {"type": "string", "description": "Of the wire: where it failed."},
        "said": {"type": "string", "description": "What the other side said, without secrets."},
    },
}
"""What is answered instead (RFC 9457)."""


def document_shape(annotation: Any, into: Definitions) -> dict[str, Any]:
    """The shape of a whole document; the named shapes it refers to are put ``into``."""
    v = {"type": "integer", "const": 1}
    page = next((part for part in parts_of(annotation) if is_page(part)), None)
    if page is not None or item_of(annotation) is not None:
        properties = {"v": v, "items": {"type": "array", "items": shape(item_of(annotation), into)}}
        if page is not None:
            properties["next"] = {"type": ["string", "integer", "null"]}
        return _object(properties, ["v", "items"])
    if annotation is Any or is_flat(annotation):
        parts = [part for part in parts_of(annotation) if part is not type(None)]
        told = (
            _record(parts[0], into) if len(parts) == 1 and is_record(parts[0]) else _object({}, [])
        )
        whole = type(None) not in parts_of(annotation)
        required = ["v", *told.get("required", ())] if whole else ["v"]
        return _object({"v": v, **told["properties"]}, required)
    return _object({"v": v, "value": shape(annotation, into)}, ["v", "value"])


def shape(annotation: Any, into: Definitions) -> dict[str, Any]:
    """The shape of a value of that type."""
    parts = parts_of(annotation)
    if len(parts) > 1:
        return {"anyOf": [shape(part, into) for part in parts]}
    part = parts[0]
    if part is type(None):
        return {"type": "null"}
    origin = typing.get_origin(part) or part
    if origin is Literal:
        return {"enum": list(typing.get_args(part))}
    if not isinstance(origin, type):
        return {}
    known = next((each for kind, each in _PLAIN.items() if origin is kind), None)
    if known is not None:
        return dict(known)
    if issubclass(origin, PostroomError):
        return {"type": "object"}
    if is_record(origin):
        if origin.__name__ not in into:
            into[origin.__name__] = {}  # it may have itself inside
            into[origin.__name__] = _record(origin, into)
        return {"$ref": REF + origin.__name__}
    args = typing.get_args(part)
    if issubclass(origin, Mapping):
        inside = shape(args[1], into) if len(args) == 2 else {}
        return {"type": "object", "additionalProperties": inside or True}
    if issubclass(origin, Collection):
        return {"type": "array", "items": shape(item_of(part) or (args[0] if args else Any), into)}
    return {}


def _record(kind: type, into: Definitions) -> dict[str, Any]:
    properties = {}
    for name, annotation in hints_of(kind).items():
        if name in fields_of(kind) and not _stays(annotation):
            properties[WIRE_NAMES.get(name, name)] = _field(name, annotation, into)
    return _object(properties, list(properties))


def _field(name: str, annotation: Any, into: Definitions) -> dict[str, Any]:
    if not is_instant(name) or not {int, float} & set(parts_of(annotation)):
        return shape(annotation, into)
    may_be_none = type(None) in parts_of(annotation)
    return {**_INSTANT, "type": ["string", "null"]} if may_be_none else dict(_INSTANT)


def _stays(annotation: Any) -> bool:
    """Whether it cannot leave: a secret, a function."""
    parts = parts_of(annotation)
    return Secret in parts or any(typing.get_origin(part) is Callable for part in parts)


def _object(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required}

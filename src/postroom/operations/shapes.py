"""Shapes: what a document of an operation holds, as JSON Schema, derived from its declared type."""

from __future__ import annotations

import datetime as dt
import types
import typing
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, Literal

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode

from postroom.errors import PostroomError
from postroom.fields import Fields
from postroom.operations.documents import (
    WIRE_NAMES,
    hints_of,
    is_flat,
    is_instant,
    is_page,
    is_record,
    item_of,
    parts_of,
    told_fields,
)
from postroom.operations.models import BESIDE, GIVEN, SELDOM, Gives, Shown
from postroom.secret import Secret

__all__ = ["PROBLEM", "REF", "declared_shape", "document_shape", "shape"]

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
_V: Final = {"type": "integer", "const": 1}
_NEXT: Final = {
    "type": ["string", "integer", "null"],
    "description": "Give it as after for the page behind this one; null: there is none.",
}
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
_ERROR: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["code", "error", "hint", "temporary", "kind", "facts"],
    "properties": {
        "error": PROBLEM["properties"]["title"],
        **{
            name: PROBLEM["properties"][name]
            for name in PROBLEM["properties"]
            if name not in ("type", "title", "status")
        },
    },
}
"""An error inside an answer: of a step that failed."""


def document_shape(annotation: Any, into: Definitions, *, paged: bool = False) -> dict[str, Any]:
    """The shape of a whole document; the named shapes it refers to are put ``into``.

    ``paged``: a list of that type comes in pages.
    """
    page = next((part for part in parts_of(annotation) if is_page(part)), None)
    if page is not None or item_of(annotation) is not None:
        items = {"type": "array", "items": shape(item_of(annotation), into)}
        beside = {"next": _NEXT} if paged else {}
        beside |= {} if page is None else _of_page(page, into)
        return _object({"v": _V, "items": items, **beside}, ["v", "items", *beside])
    if not is_flat(annotation):
        return _object({"v": _V, "value": shape(annotation, into)}, ["v", "value"])
    choices = [_flat(each, into) for each in _choices(annotation)]
    return choices[0] if len(choices) == 1 else {"anyOf": choices}


def shape(annotation: Any, into: Definitions) -> dict[str, Any]:
    """The shape of a value of that type."""
    choices = _choices(annotation)
    if len(choices) > 1:
        return {"anyOf": [shape(one, into) for one in choices]}
    one = choices[0]
    if typing.get_origin(one) is typing.Annotated:
        of, said = typing.get_args(one)[:2]
        return {**shape(of, into), "description": said}
    if one is type(None):
        return {"type": "null"}
    if _is_model(one):
        return _named(one, into)
    return _of_type(one, into)


def declared_shape(
    declared: type[Fields], into: Definitions, *, mode: JsonSchemaMode, called: str = "{model}"
) -> dict[str, Any]:
    """The JSON Schema of a declaration, as input (``validation``) or as it is shown (``serialization``).

    The declarations inside it are put ``into``, ``called`` so with their own name in it: two nouns may
    have a schedule each.  Raises TypeError where another one is called so.
    """
    if not declared.__pydantic_fields_complete__:
        declared.model_rebuild()
    found: dict[str, Any] = declared.model_json_schema(
        by_alias=True, ref_template=REF + called, schema_generator=_OfFields, mode=mode
    )
    found = _plain(found, sparse=mode == "serialization")
    for model, inner in found.pop("$defs", {}).items():
        name = called.format(model=model)
        if into.setdefault(name, inner) != inner:
            raise TypeError(f"two declarations are called {name}")
    return found


class _OfFields(GenerateJsonSchema):
    """Without a word about defaults that are declared with their unit: they are left out."""

    ignored_warning_kinds = GenerateJsonSchema.ignored_warning_kinds | {"non-serializable-default"}


def _plain(schema: Any, *, sparse: bool) -> Any:
    """Without what only the house reads; ``sparse``: what is shown leaves out what is a default."""
    if isinstance(schema, dict):
        dropped = {"postroom"} | ({"required", "default"} if sparse else set())
        return {
            key: _plain(each, sparse=sparse) for key, each in schema.items() if key not in dropped
        }
    return [_plain(each, sparse=sparse) for each in schema] if isinstance(schema, list) else schema


# ---------------------------------------------------------------------------- choices


def _choices(annotation: Any) -> list[Any]:
    """What it may be: the parts of a union, and of a dict the models that are written beside it.

    A text that is written beside a type says what it is, and stays with it.
    """
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return [one for part in typing.get_args(annotation) for one in _choices(part)]
    if typing.get_origin(annotation) is typing.Annotated:
        of, *beside = typing.get_args(annotation)
        models = [one for one in beside if _is_model(one)]
        said = next((one for one in beside if isinstance(one, str)), None)
        if models or said is None:
            return models or _choices(of)
    return [annotation]


def _is_model(one: Any) -> bool:
    """Whether it names its fields: a record, a model, a declaration as it is shown, what a command gives."""
    return isinstance(one, Shown | Gives) or typing.is_typeddict(one) or is_record(one)


def _flat(one: Any, into: Definitions) -> dict[str, Any]:
    """A document whose fields stand in it."""
    if one is type(None):
        return _object({"v": _V, "value": {"type": "null"}}, ["v", "value"])
    told = _fields(one, into) if _is_model(one) else {"properties": {}, "required": []}
    return _object({"v": _V, **told["properties"]}, ["v", *told["required"]])


def _named(one: Any, into: Definitions) -> dict[str, Any]:
    """A reference to it.  Raises TypeError where another has the same name."""
    name = _name(one)
    if _ALL.setdefault(name, one) != one:
        raise TypeError(f"two models are called {name}: {one} and {_ALL[name]}")
    if name not in into:
        into[name] = {}  # it may have itself inside
        into[name] = _fields(one, into)
    return {"$ref": REF + name}


_ALL: Final[dict[str, Any]] = {}


def _name(one: Any) -> str:
    if isinstance(one, Shown):
        return f"{one.declared.__name__}Out"
    if isinstance(one, Gives):
        return f"{one.command.__name__}Out"
    return str(one.__name__).lstrip("_")


# ---------------------------------------------------------------------------- fields


def _fields(one: Any, into: Definitions) -> dict[str, Any]:
    if isinstance(one, Shown):
        return _shown(one, into)
    if isinstance(one, Gives):
        told = {
            name: {**shape(GIVEN[name], into), "description": about}
            for name, about in one.command.gives.items()
        }
        return _object(told, [name for name in told if name not in SELDOM])
    if is_record(one):
        return _record(one, into)
    properties, required = {}, []
    for name, annotation in typing.get_type_hints(one, include_extras=True).items():
        seldom = typing.get_origin(annotation) is typing.NotRequired
        properties[name] = shape(typing.get_args(annotation)[0] if seldom else annotation, into)
        required += [] if seldom else [name]
    return _object(properties, required)


def _shown(one: Shown, into: Definitions) -> dict[str, Any]:
    declared = declared_shape(
        one.declared, into, mode="serialization", called=f"{one.declared.__name__}{{model}}Out"
    )
    beside = _object({}, []) if one.beside is None else _fields(one.beside, into)
    name = ["name"] if "name" in declared["properties"] else []
    return _object({**declared["properties"], **beside["properties"]}, name + beside["required"])


def _record(kind: type, into: Definitions) -> dict[str, Any]:
    properties = {}
    for name, annotation in hints_of(kind).items():
        if name in told_fields(kind) and not _stays(annotation):
            properties[WIRE_NAMES.get(name, name)] = _field(name, annotation, into)
    beside = _fields(BESIDE[kind], into) if kind in BESIDE else _object({}, [])
    return _object(
        {**beside["properties"], **properties},
        list(dict.fromkeys((*properties, *beside["required"]))),
    )


def _field(name: str, annotation: Any, into: Definitions) -> dict[str, Any]:
    if not is_instant(name) or not {int, float} & set(parts_of(annotation)):
        return shape(annotation, into)
    may_be_none = type(None) in parts_of(annotation)
    return {**_INSTANT, "type": ["string", "null"]} if may_be_none else dict(_INSTANT)


def _of_page(page: Any, into: Definitions) -> dict[str, Any]:
    """What a page says beside its items."""
    kind = typing.get_origin(page) or page
    beside = {name: shape(hint, into) for name, hint in typing.get_type_hints(kind).items()}
    return {**beside, "next": _NEXT}


def _stays(annotation: Any) -> bool:
    """Whether it cannot leave: a secret, a function."""
    parts = parts_of(annotation)
    return Secret in parts or any(typing.get_origin(part) is Callable for part in parts)


def _of_type(part: Any, into: Definitions) -> dict[str, Any]:
    origin = typing.get_origin(part) or part
    if origin is Literal:
        return {"enum": list(typing.get_args(part))}
    if not isinstance(origin, type):
        return {}
    known = next((each for kind, each in _PLAIN.items() if origin is kind), None)
    if known is not None:
        return dict(known)
    if issubclass(origin, PostroomError):
        into.setdefault("Error", _ERROR)
        return {"$ref": f"{REF}Error"}
    args = typing.get_args(part)
    if issubclass(origin, Mapping):
        inside = shape(args[1], into) if len(args) == 2 else {}
        return {"type": "object", "additionalProperties": inside or True}
    if issubclass(origin, Collection):
        return {"type": "array", "items": shape(item_of(part) or (args[0] if args else Any), into)}
    return {}


def _object(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required}

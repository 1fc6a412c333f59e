"""What was declared, listed: for forms, flags, docs and masks."""

from __future__ import annotations

import dataclasses
import datetime as dt
import types
import typing
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import PlainSerializer

from postroom.clock import format_duration
from postroom.fields.declare import Fields
from postroom.fields.values import Rate, format_size
from postroom.secret import Secret

__all__ = ["Described", "describe", "model_of", "sealed_in"]


@dataclasses.dataclass(frozen=True, slots=True)
class Described:
    """One declared field, for forms, flags, docs and masks.  ``name`` is the public dotted one."""

    name: str
    label: str
    help: str
    type: str
    default: Any
    needed: bool
    sealed: bool
    macro: bool
    refers_to: str
    options: tuple[str, ...]


def describe(model: type[Fields], prefix: str = "") -> list[Described]:
    """Every field of a declaration in order, those of nested declarations with dotted names."""
    found: list[Described] = []
    for name, info in model.model_fields.items():
        public = prefix + (info.alias or name)
        inner = model_of(info.annotation)
        if inner is not None and inner is not Rate:
            found.extend(describe(inner, f"{public}."))
            continue
        extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
        facts: Any = extra.get("postroom", {})
        default = None if info.is_required() else info.get_default(call_default_factory=True)
        found.append(
            Described(
                name=public,
                label=info.title or public,
                help=info.description or "",
                type=_type_name(info.annotation, info.metadata),
                default=default,
                needed=bool(facts.get("needed")) or info.is_required(),
                sealed=Secret in _parts(info.annotation),
                macro=bool(facts.get("macro")),
                refers_to=str(facts.get("refers", "")),
                options=_options(info.annotation),
            )
        )
    return found


def sealed_in(model: type[Fields], data: Mapping[str, Any]) -> bool:
    """Whether there is a value for a sealed field in this input, at any depth of it."""
    return any(
        _reaches_secret(model.model_fields[name].annotation, value)
        for name, value in data.items()
        if name in model.model_fields
    )


def _reaches_secret(annotation: Any, value: Any) -> bool:
    for part in _parts(annotation):
        if part is Secret:
            return value not in (None, "")
        if isinstance(value, Mapping):
            if typing.get_origin(part) is dict:
                of_values = typing.get_args(part)[1]
                return any(_reaches_secret(of_values, each) for each in value.values())
            if isinstance(part, type) and issubclass(part, Fields):
                return sealed_in(part, value)
    return False


def model_of(annotation: Any) -> type[Fields] | None:
    """The declaration inside an annotation such as ``Side | None``, if there is exactly one."""
    models = [
        part for part in _parts(annotation) if isinstance(part, type) and issubclass(part, Fields)
    ]
    return models[0] if len(models) == 1 else None


def _parts(annotation: Any) -> list[Any]:
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType):
        return [piece for part in typing.get_args(annotation) for piece in _parts(part)]
    if origin is Annotated:
        return _parts(typing.get_args(annotation)[0])
    return [annotation]


def _options(annotation: Any) -> tuple[str, ...]:
    return tuple(
        str(value)
        for part in _parts(annotation)
        if typing.get_origin(part) is Literal
        for value in typing.get_args(part)
    )


def _type_name(annotation: Any, metadata: list[Any]) -> str:
    marks = [*metadata, *_metadata(annotation)]
    for mark, name in ((format_duration, "duration"), (format_size, "size")):
        if any(isinstance(item, PlainSerializer) and item.func is mark for item in marks):
            return name
    named = {
        str: "text",
        int: "number",
        float: "number",
        bool: "yes or no",
        Secret: "secret",
        dt.date: "date",
        Rate: "rate",
    }
    parts = [part for part in _parts(annotation) if part is not type(None)]
    if any(typing.get_origin(part) is Literal for part in parts):
        return "choice"
    if any(typing.get_origin(part) in (list, tuple) for part in parts):
        return "list"
    if any(typing.get_origin(part) is dict for part in parts):
        return "map"
    return named.get(parts[0], "value") if parts else "value"


def _metadata(annotation: Any) -> list[Any]:
    """What stands in ``Annotated`` inside a union: pydantic lifts only the outermost."""
    if typing.get_origin(annotation) is Annotated:
        return list(typing.get_args(annotation)[1:])
    return [item for part in typing.get_args(annotation) for item in _metadata(part)]

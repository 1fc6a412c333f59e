"""What was declared, listed: for forms, flags, docs and masks."""

from __future__ import annotations

import dataclasses
import datetime as dt
import types
import typing
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import PlainSerializer
from pydantic.fields import FieldInfo

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
    flag: str = ""
    metavar: str = ""
    argument: bool = False

    @property
    def default_text(self) -> str:
        """The default as it is written in a file; ``needed`` where there is none; else empty."""
        if self.needed:
            return "needed"
        value = self.default
        if value in (None, "", [], {}, ()) or isinstance(value, Fields):
            return ""
        if self.type == "duration" and isinstance(value, float):
            return format_duration(value)
        if self.type == "size" and isinstance(value, int):
            return format_size(value)
        return str(value).lower() if isinstance(value, bool) else str(value)


def describe(model: type[Fields], prefix: str = "") -> list[Described]:
    """Every field of a declaration in order, those of nested declarations with dotted names.

    A field that takes a word or a group (``start: all`` or ``start: {since: ...}``) is listed as
    both; where there is a choice of groups (the sinks), their fields are listed together.
    """
    return _describe(model, prefix, None, optional=False)


def _describe(
    model: type[Fields], prefix: str, given: Fields | None, *, optional: bool
) -> list[Described]:
    if not model.__pydantic_fields_complete__:
        model.model_rebuild()  # it names a declaration that came after it
    found: list[Described] = []
    for name, info in model.model_fields.items():
        public = prefix + (info.alias or name)
        default = None if info.is_required() else info.get_default(call_default_factory=True)
        if given is not None:
            default = getattr(given, name)
        groups = [part for part in _groups(info.annotation) if part is not Rate]
        options = _options(info.annotation)
        if not groups or options:
            found.append(_one(public, info, default, options, optional=optional))
        inside = default if isinstance(default, Fields) else None
        maybe = optional or not info.is_required()
        found.extend(
            _together([_describe(each, f"{public}.", inside, optional=maybe) for each in groups])
        )
    return found


def _one(
    public: str, info: FieldInfo, default: Any, options: tuple[str, ...], *, optional: bool
) -> Described:
    extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    facts: Any = extra.get("postroom", {})
    needed = bool(facts.get("needed")) or info.is_required()
    return Described(
        name=public,
        label=info.title or public,
        help=info.description or "",
        type=_type_name(info.annotation, info.metadata),
        default=default,
        needed=needed and not optional,
        sealed=Secret in _parts(info.annotation),
        macro=bool(facts.get("macro")),
        refers_to=str(facts.get("refers", "")),
        options=options,
        flag=str(facts.get("flag", "")),
        metavar=str(facts.get("metavar", "")),
        argument=bool(facts.get("argument")),
    )


def _together(choices: list[list[Described]]) -> list[Described]:
    """The fields of several groups as one list: needed only if every group needs it."""
    merged: dict[str, Described] = {}
    for each in (one for group in choices for one in group):
        known = merged.get(each.name)
        options = tuple(dict.fromkeys((*known.options, *each.options))) if known else each.options
        merged[each.name] = dataclasses.replace(known or each, options=options)
    return [
        dataclasses.replace(
            one,
            needed=one.needed and all(any(o.name == name for o in group) for group in choices),
        )
        for name, one in merged.items()
    ]


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
    models = _groups(annotation)
    return models[0] if len(models) == 1 else None


def _groups(annotation: Any) -> list[type[Fields]]:
    return [
        part for part in _parts(annotation) if isinstance(part, type) and issubclass(part, Fields)
    ]


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

"""Fields: every setting is declared once; forms, flags, JSON Schema, docs and masks follow from it.

A declaration is a pydantic model derived from :class:`Fields` whose members are made by
:func:`field`.  :func:`parse` turns input into it with errors a person can use (and that never
repeat the input), :func:`describe` lists what was declared, :func:`shown` writes it back.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import difflib
import re
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
)

from postroom.clock import format_duration, parse_duration
from postroom.errors import InvalidValue, UnknownField, WrongUse
from postroom.secret import Secret

__all__ = [
    "Date",
    "Described",
    "Duration",
    "Fields",
    "Name",
    "Rate",
    "Regex",
    "Size",
    "assign",
    "check_name",
    "describe",
    "field",
    "format_size",
    "model_of",
    "nearest",
    "parse",
    "parse_size",
    "shown",
]

M = TypeVar("M", bound="Fields")


class Fields(BaseModel):
    """The base of every declaration: unknown fields refused, values frozen, input never echoed."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        validate_default=True,
        populate_by_name=True,
        arbitrary_types_allowed=True,
    )


def field(
    default: Any = ...,
    *,
    label: str,
    help: str = "",  # the word that people know
    needed: bool = False,
    macro: bool = False,
    alias: str | None = None,
    refers_to: str = "",
    default_factory: Any = None,
) -> Any:
    """Declare a field.

    ``label`` and ``help`` are for people.  ``needed`` fields may be empty while a record is being
    made; until they are given it is incomplete.  ``macro`` fields may hold ``${...}``.
    ``refers_to`` names the noun whose records may be chosen.  A field of type :class:`Secret` is
    sealed; nothing else needs saying.
    """
    facts: Any = {"label": label, "help": help, "needed": needed, "macro": macro, "refers": refers_to}
    if default_factory is not None:
        return Field(
            default_factory=default_factory,
            title=label,
            description=help or None,
            alias=alias,
            json_schema_extra={"postroom": facts},
        )
    return Field(
        default,
        title=label,
        description=help or None,
        alias=alias,
        json_schema_extra={"postroom": facts},
    )


# ------------------------------------------------------------------ types of values

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def check_name(text: str) -> str:
    """A name as every noun uses it.  Raises ValueError with the rule."""
    if not _NAME.fullmatch(text):
        reason = "has a space in it" if " " in text.strip() else "is not a name"
        raise ValueError(
            f"{reason}: use 1 to 64 letters, digits, dots, underscores and hyphens, "
            "beginning with a letter or digit"
        )
    return text


Name = Annotated[str, AfterValidator(check_name)]
"""``[A-Za-z0-9][A-Za-z0-9._-]{0,63}``, unique without regard to case within its noun."""


def _duration(value: object) -> object:
    if isinstance(value, str):
        return parse_duration(value)
    if isinstance(value, bool) or not isinstance(value, float):
        raise ValueError("give a duration with a unit, such as 90s, 15m, 1h or 5d")
    return value


Duration = Annotated[
    float, BeforeValidator(_duration), PlainSerializer(format_duration, return_type=str)
]
"""Seconds in Python, ``90s 15m 1h 5d`` everywhere else."""

_SIZES = {
    "": 1,
    "b": 1,
    "kib": 1 << 10,
    "mib": 1 << 20,
    "gib": 1 << 30,
    "kb": 1000,
    "mb": 1000_000,
    "gb": 1000_000_000,
}


def parse_size(text: str) -> int:
    """Bytes of a size such as ``2MiB``, ``500KiB`` or ``1048576``.  Raises ValueError."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", text)
    if not match or match[2].lower() not in _SIZES:
        raise ValueError("give a size such as 500KiB, 2MiB or 1GiB")
    return int(float(match[1]) * _SIZES[match[2].lower()])


def format_size(size: int) -> str:
    """The shortest exact form of a size in bytes: ``2MiB``, ``500KiB``, ``1001``."""
    for unit, factor in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= factor and size % factor == 0:
            return f"{size // factor}{unit}"
    return str(size)


def _size(value: object) -> object:
    return parse_size(value) if isinstance(value, str) else value


Size = Annotated[int, BeforeValidator(_size), PlainSerializer(format_size, return_type=str)]
"""Bytes in Python, ``2MiB`` everywhere else."""


def _date(value: object) -> object:
    if isinstance(value, str):
        try:
            return dt.date.fromisoformat(value.strip())
        except ValueError:
            raise ValueError("give a date such as 2027-01-31") from None
    return value


Date = Annotated[dt.date, BeforeValidator(_date)]
"""A calendar date, ``2027-01-31``."""


def _regex(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"is not a regular expression: {error}") from None
    return value


Regex = Annotated[str, AfterValidator(_regex)]
"""A regular expression in Python's syntax, matched anywhere, without regard to case."""


class Rate(Fields):
    """So many in so much time: ``{max: 30, per: minute}``."""

    max: int = field(label="At most", help="How many in that time", default=...)
    per: Literal["second", "minute", "hour"] = field("minute", label="Per")

    @property
    def seconds(self) -> float:
        """The length of ``per`` in seconds."""
        return {"second": 1.0, "minute": 60.0, "hour": 3600.0}[self.per]


# ------------------------------------------------------------------ input and output


def parse(model: type[M], data: Mapping[str, Any], *, where: str = "") -> M:
    """Make ``model`` from input.

    ``where`` says for people what the fields belong to (``connection acme``).  Raises UnknownField
    with the nearest declared name, or InvalidValue with the dotted field; never the value.
    """
    try:
        return model.model_validate(dict(data))
    except ValidationError as error:
        raise _translate(model, error, where) from None


def _translate(model: type[Fields], error: ValidationError, where: str) -> WrongUse:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    path = [str(part) for part in first["loc"]]
    prefix = f"{where}: " if where else ""
    if first["type"] == "extra_forbidden":
        return _unknown(model, path, prefix)
    message = _plain(first)
    dotted = ".".join(part for part in path if not _is_branch(part))
    return InvalidValue(f"{prefix}{dotted}", message)


def _plain(error: Any) -> str:
    """What is wrong, in plain words; pydantic's own where it has none of its own jargon."""
    kind = error["type"]
    for beginning, words in _WORDS.items():
        if kind.startswith(beginning):
            return words
    message: str = error["msg"]
    return message.removeprefix("Value error, ").replace("Input should be", "choose")


_WORDS = {
    "missing": "is needed and was not given",
    "int_": "give a whole number",
    "float_": "give a number",
    "bool_": "give true or false",
    "string_type": "give a text",
    "list_type": "give a list",
    "dict_type": "give a map of names to values",
    "model_type": "give a group of fields",
    "model_attributes_type": "give a group of fields",
    "union_tag_not_found": "say which type it is, such as {type: ...}",
    "union_tag_invalid": "there is no such type",
}


def _is_branch(part: str) -> bool:
    """Whether pydantic put the name of a union's branch into a path: no field of ours has one."""
    return part[:1].isupper() or "[" in part


def _unknown(model: type[Fields], path: list[str], prefix: str) -> UnknownField:
    owner: Any = model
    for part in path[:-1]:
        owner = (
            model_of(owner.model_fields[part].annotation) if part in owner.model_fields else None
        )
        if owner is None:
            break
    names = [info.alias or name for name, info in owner.model_fields.items()] if owner else []
    close = nearest(path[-1], names)
    dotted = ".".join(path)
    hint = f"Did you mean {close}?" if close else f"Fields here: {', '.join(sorted(names))}."
    return UnknownField(
        f"{prefix}there is no field {dotted!r}.", hint=hint if names else "", field=dotted
    )


def nearest(name: str, names: Iterable[str]) -> str:
    """The declared name most like ``name``, or an empty text when none is near."""
    found = difflib.get_close_matches(name, list(names), n=1, cutoff=0.6)
    return found[0] if found else ""


def shown(record: Fields, *, defaults: bool = False) -> dict[str, Any]:
    """The record as YAML and JSON show it: public names, units written out, secrets as ``****``.

    Without ``defaults`` only what was given or differs from its default is there.
    """
    return record.model_dump(mode="json", by_alias=True, exclude_defaults=not defaults)


def assign(data: dict[str, Any], dotted: str, value: Any) -> None:
    """Put ``value`` at a dotted place (``incoming.host``) of nested input; raises InvalidValue."""
    *above, last = dotted.split(".")
    place = data
    for part in above:
        inner = place.setdefault(part, {})
        if not isinstance(inner, dict):
            raise InvalidValue(dotted, f"{part} is a single value, not a group of fields")
        place = inner
    place[last] = value


# ------------------------------------------------------------------ what was declared


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
    for mark, name in ((format_duration, "duration"), (format_size, "size")):
        if any(isinstance(item, PlainSerializer) and item.func is mark for item in metadata):
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

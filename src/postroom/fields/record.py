"""Input made into declared records, with errors a person can use; and records written back."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import BeforeValidator, ValidationError
from pydantic.fields import FieldInfo

from postroom.errors import InvalidValue, UnknownField, WrongUse
from postroom.fields.declare import Fields
from postroom.fields.described import Described, describe, model_of

__all__ = ["assign", "nearest", "parse", "shown"]

M = TypeVar("M", bound="Fields")


def parse(model: type[M], data: Mapping[str, Any], *, where: str = "") -> M:
    """Make ``model`` from input.

    ``where`` says for people what the fields belong to (``connection acme``).  Raises UnknownField
    with the nearest declared name, or InvalidValue with the dotted field; never the value.
    """
    try:
        return model.model_validate(dict(data))
    except ValidationError as error:
        raise _translate(model, error, data, where) from None


def _translate(
    model: type[Fields], error: ValidationError, data: Mapping[str, Any], where: str
) -> WrongUse:
    first = _meant(error.errors(include_url=False, include_input=False))
    *above, last = [str(part) for part in first["loc"]] or [""]
    strange = first["type"] == "extra_forbidden"  # a name of theirs may look like anything
    kept = [part for part in above if not _is_branch(part)]
    path = _place([*kept, *([last] if strange or not _is_branch(last) else [])], data)
    path = [part for part in path if part or strange]
    prefix = f"{where}: " if where else ""
    if strange:
        return _unknown(model, path, prefix)
    owner = _owner(model, path)
    message = _plain(first) + (_inside(owner) if first["type"].startswith("model_") else "")
    if first["type"] == "literal_error":
        message += _or_group(_owner(model, path[:-1]), path[-1] if path else "")
    inner, colon, rest = message.partition(": ")
    if first["type"] == "value_error" and colon and _declares(owner, inner):
        path, message = [*path, inner], rest  # a rule of a whole group names the field itself
    dotted = ".".join(path)
    return InvalidValue(f"{prefix}{dotted}" if dotted else where, message)


def _meant(errors: list[Any]) -> Any:
    """Of a field that takes a word or a group, what is wrong with the one that was given.

    A field that is missing may be there under a name that nobody knows: that is told.
    """
    first, field = errors[0], errors[0]["loc"][:-1]
    if first["type"] == "missing":
        strange = (one for one in errors if one["type"] == "extra_forbidden")
        return next((one for one in strange if one["loc"][:-1] == field), first)
    if first["type"] == "literal_error" and _is_branch(str(first["loc"][-1])):
        for other in errors[1:]:
            if other["loc"][: len(field)] == field and not other["type"].startswith("model_"):
                return other
    return first


def _owner(model: type[Fields], path: list[str]) -> Any:
    """The declaration at a path, or None where there is none or a choice of several."""
    owner: Any = model
    for part in path:
        info = _fields(owner).get(part)
        owner = None if info is None else model_of(info.annotation)
    return owner


def _fields(owner: Any) -> dict[str, Any]:
    if owner is None:
        return {}
    return {info.alias or name: info for name, info in owner.model_fields.items()}


def _declares(owner: Any, dotted: str) -> bool:
    return re.fullmatch(r"[a-z_.]+", dotted) is not None and dotted.partition(".")[0] in _fields(
        owner
    )


def _or_group(owner: Any, name: str) -> str:
    """``, or {since: DATE}`` for a field that takes a group as well as a word."""
    info = _fields(owner).get(name)
    group = None if info is None else model_of(info.annotation)
    if group is None:
        return ""
    inside = ", ".join(f"{one.name}: {one.type.upper()}" for one in describe(group))
    return f", or {{{inside}}}"


def _inside(group: Any) -> str:
    """``: {max: 5, per: minute}, say`` for a field that is a group: its fields, with an example."""
    if group is None:
        return ""
    known = [one for one in describe(group) if "." not in one.name]
    example = ", ".join(f"{one.name}: {_example(one)}" for one in known[:_TOLD])
    more = f", and {len(known) - _TOLD} more" if len(known) > _TOLD else ""
    choices = [f"{one.name} is {' or '.join(one.options)}" for one in known if one.options]
    return "".join([f", such as {{{example}}}{more}", *(f"; {each}" for each in choices[:_TOLD])])


def _example(one: Described) -> str:
    if not one.needed and one.default_text:
        return one.default_text
    if one.options:
        return one.options[0]
    return {"number": "5", "duration": "1m", "size": "2MiB"}.get(one.type, one.type.upper())


_TOLD = 4
"""Fields of a group that its example names."""


def _plain(error: Any) -> str:
    """What is wrong, in plain words; pydantic's own where it has none of its own jargon."""
    kind = error["type"]
    if kind == "union_tag_invalid":
        known = re.findall(r"'([^']*)'", error["ctx"]["expected_tags"])
        close = nearest(str(error["ctx"]["tag"]), known)
        meant = f"did you mean {close}? There" if close else "there"
        return f"there is no such type; {meant} are {', '.join(known)}"
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
    "string_type": "give a text; a number or true is one in quotation marks",
    "list_type": "give a list",
    "dict_type": "give a map of names to values",
    "model_type": "give a group of fields",
    "model_attributes_type": "give a group of fields",
    "union_tag_not_found": "say which type it is, such as {type: ...}",
}


def _place(path: Iterable[str], data: Any) -> list[str]:
    """The path without the type that pydantic puts behind a field that has several (``sink``)."""
    place: list[str] = []
    for part in path:
        if isinstance(data, Mapping) and data.get("type") == part and part not in data:
            continue
        place.append(part)
        data = data.get(part) if isinstance(data, Mapping) else None
    return place


def _is_branch(part: str) -> bool:
    """Whether pydantic put the name of a union's branch into a path: no field of ours has one."""
    return part[:1].isupper() or "[" in part


def _unknown(model: type[Fields], path: list[str], prefix: str) -> UnknownField:
    owner = _owner(model, path[:-1])
    names = list(_fields(owner))
    close = nearest(path[-1], names) or _deeper(owner, path[-1])
    dotted = ".".join(path)
    hint = f"Did you mean {close}?" if close else f"Fields here: {', '.join(sorted(names))}."
    return UnknownField(
        f"{prefix}there is no field {dotted!r}.", hint=hint if names else "", field=dotted
    )


def _deeper(owner: Any, name: str) -> str:
    """The one place inside of other groups where a field has that name, or an empty text."""
    found: set[str] = set()
    for one in [] if owner is None else describe(owner):
        above, dot, _ = f".{one.name}.".partition(f".{name}.")
        found |= {f"{above}.{name}".removeprefix(".")} if dot and above else set()
    return found.pop() if len(found) == 1 else ""


def nearest(name: str, names: Iterable[str]) -> str:
    """The declared name most like ``name``, or an empty text when none is near."""
    found = difflib.get_close_matches(name, list(names), n=1, cutoff=0.6)
    return found[0] if found else ""


def shown(record: Fields, *, defaults: bool = False) -> dict[str, Any]:
    """The record as YAML and JSON show it: public names, units written out, secrets as ``****``.

    Without ``defaults`` only what was given or differs from its default is there.
    """
    dumped = record.model_dump(mode="json", by_alias=True, exclude_defaults=not defaults)
    return dumped if defaults else _given(record, dumped)


def _given(record: Fields, dumped: dict[str, Any]) -> dict[str, Any]:
    """Without what is a default all the same: pydantic compares ``60.0`` with the ``"60s"`` declared."""
    for name, info in type(record).model_fields.items():
        key, value = info.alias or name, getattr(record, name)
        if key not in dumped:
            continue
        if isinstance(value, Fields):
            _given(value, dumped[key])
        elif isinstance(info.default, str) and value == _kept(info):
            del dumped[key]
    return dumped


def _kept(info: FieldInfo) -> Any:
    """The default of a field as a record keeps it: declared with its unit, kept as a number."""
    value: Any = info.default
    for mark in info.metadata:
        if isinstance(mark, BeforeValidator):
            read: Any = mark.func
            value = read(value)
    return value


def assign(data: dict[str, Any], dotted: str, value: Any) -> dict[str, Any]:
    """Put ``value`` at a dotted place (``incoming.host``) of nested input, and give that back.

    Raises InvalidValue.
    """
    *above, last = dotted.split(".")
    place = data
    for part in above:
        inner = place.setdefault(part, {})
        if not isinstance(inner, dict):
            raise InvalidValue(dotted, f"{part} is a single value, not a group of fields")
        place = inner
    place[last] = value
    return data

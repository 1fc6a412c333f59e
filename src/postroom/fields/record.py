"""Input made into declared records, with errors a person can use; and records written back."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from postroom.errors import InvalidValue, UnknownField, WrongUse
from postroom.fields.declare import Fields
from postroom.fields.described import model_of

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
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    path = _place([str(part) for part in first["loc"]], data)
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

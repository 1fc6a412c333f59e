"""Reading a request: path, query and body into what the operation takes, by its signature, strictly."""

from __future__ import annotations

import re
import typing
from collections.abc import Collection, Mapping
from typing import Annotated, Any, Final, Literal, Union

from pydantic import ConfigDict, Field, create_model
from starlette.requests import Request

from postroom.errors import InvalidValue, UnknownField
from postroom.fields import Fields, parse
from postroom.operations.asking import Asked, Parameter
from postroom.operations.documents import fields_of, hints_of, is_record, parts_of
from postroom.operations.page import MOST
from postroom.secret import Secret

__all__ = ["Reader", "Strict"]

_BOUNDS: Final = {
    "limit": (1, MOST), "last": (1, 1000), "days": (1, 36500), "within": (0, 36500),
    "version": (0, 2**31), "expiring": (0, 3.2e9), "unused": (0, 3.2e9),
}  # fmt: skip
_LARGEST: Final = 2**53
"""Beyond it two readers of JSON may read different numbers (RFC 7493, 2.2)."""
_NUMBERS: Final = {int: re.compile(r"-?[0-9]{1,18}"), float: re.compile(r"[0-9]{1,18}(\.[0-9]+)?")}


class Strict(Fields):
    """What a request may say: exactly this."""

    model_config = ConfigDict(strict=True, protected_namespaces=())


class Reader:
    """Reads the requests of one door.  ``model`` is what its body may say, as a declaration."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.model = _model(f"{asked.title}In", asked.at("body"))
        self.query = _model(f"{asked.title}Query", (*asked.at("path"), *asked.at("query")))
        self._free = next(iter(asked.at("fields")), None)

    def read(self, request: Request, body: Mapping[str, Any]) -> dict[str, Any]:
        """The named arguments of the operation.  Raises UnknownField, InvalidValue, without a value."""
        given = parse(self.query, self._beside(request))
        inside, free = self._divided(body)
        said = parse(self.model, inside)
        found = {
            **_arguments(given, (*self.asked.at("path"), *self.asked.at("query"))),
            **_arguments(said, self.asked.at("body")),
        }
        if self._free is not None:
            found[self._free.name] = free
        return found

    def _divided(self, body: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """What the operation takes beside the record, and the fields of the record."""
        if self._free is None:
            return dict(body), {}
        own = {one.wire for one in self.asked.at("body")}
        free = {key: value for key, value in body.items() if key not in own}
        if "name" in free and "{name}" in self.asked.door.path:
            raise UnknownField("name: a name never changes; copy makes another record.")
        return {key: body[key] for key in body.keys() & own}, free

    def _beside(self, request: Request) -> dict[str, Any]:
        """What path and query say, each text as what its parameter is."""
        found: dict[str, Any] = {}
        for one in self.asked.at("path"):
            found[one.wire] = _read(one, [str(request.path_params[one.name])])
        known = {one.wire: one for one in self.asked.at("query")}
        for key in request.query_params:
            if key not in known:
                found[key] = ""  # which the declaration refuses, with the nearest
            elif key not in found:
                found[key] = _read(known[key], request.query_params.getlist(key))
        return found


def _read(one: Parameter, texts: list[str]) -> Any:
    parts = [part for part in parts_of(one.annotation) if part is not type(None)]
    origin = typing.get_origin(parts[0]) or parts[0]
    if isinstance(origin, type) and issubclass(origin, Collection) and origin is not str:
        of = typing.get_args(parts[0])[0]
        return [_one(one.wire, of, text) for text in texts]
    if len(texts) > 1:
        raise InvalidValue(one.wire, "say it once")
    return _one(one.wire, parts[0], texts[0])


def _one(name: str, kind: Any, text: str) -> Any:
    if kind is bool:
        if text not in ("true", "false"):
            raise InvalidValue(name, "say true or false")
        return text == "true"
    if kind in _NUMBERS:
        if not _NUMBERS[kind].fullmatch(text):
            raise InvalidValue(name, "give a number")
        return kind(text)
    if "\0" in text or any("\ud800" <= char <= "\udfff" for char in text):
        raise InvalidValue(name, "has half a character, or a NUL, in it")
    return text


# ---------------------------------------------------------------------------- models


def _model(name: str, parameters: Collection[Parameter]) -> type[Fields]:
    fields: dict[str, Any] = {}
    for one in parameters:
        kind = _incoming(one.annotation, one.name)
        default = ... if one.needed else _default(one.default)
        inner = f"{one.name.strip('_')}_" if hasattr(Fields, one.name.strip("_")) else one.name
        fields[inner] = (kind, Field(default, alias=one.wire))
    made: type[Fields] = create_model(name, __base__=Strict, **fields)
    return made


def _default(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _incoming(annotation: Any, name: str) -> Any:
    """The type as a request may say it."""
    if name == "rebind":
        return bool | list[Annotated[list[str], Field(min_length=2, max_length=2)]]
    parts = parts_of(annotation)
    if Secret in parts:
        return Secret | None if type(None) in parts else Secret
    made = tuple(_part(part, name) for part in parts)
    return made[0] if len(made) == 1 else Union[made]  # noqa: UP007  # of a tuple


def _part(part: Any, name: str) -> Any:
    origin = typing.get_origin(part) or part
    if part in (int, float):
        low, high = _BOUNDS.get(name, (-_LARGEST, _LARGEST))
        return Annotated[part, Field(ge=low, le=high)]
    if part in (Any, str, bool, type(None)) or origin is Literal:
        return part
    if is_record(part):
        return _of_record(part)
    if issubclass(origin, Mapping):
        return dict[str, _incoming((*typing.get_args(part), Any, Any)[1], name)]  # type: ignore[misc]
    if issubclass(origin, Collection):
        return list[_part(next(iter(typing.get_args(part)), str), name)]  # type: ignore[misc]
    raise TypeError(f"{name}: a request cannot say {part}")


def _of_record(kind: type) -> type[Fields]:
    defaults = getattr(kind, "_field_defaults", {})
    members: dict[str, Any] = {
        name: (_incoming(hints_of(kind)[name], name), Field(_default(defaults.get(name, ...))))
        for name in fields_of(kind)
    }
    made: type[Fields] = create_model(f"{kind.__name__}In", __base__=Strict, **members)
    return made


def _arguments(said: Fields, parameters: Collection[Parameter]) -> dict[str, Any]:
    """As the operation takes them: what was not said is left to it."""
    by_alias = {info.alias or name: name for name, info in type(said).model_fields.items()}
    found = {}
    for one in parameters:
        inner = by_alias[one.wire]
        if inner in said.model_fields_set:
            found[one.name] = _argument(one, getattr(said, inner))
    return found


def _argument(one: Parameter, value: Any) -> Any:
    if one.name == "rebind" and not isinstance(value, bool):
        return frozenset((name, line) for name, line in value)
    if isinstance(value, Fields):
        kind = next(part for part in parts_of(one.annotation) if is_record(part))
        given = {name: getattr(value, name) for name in type(value).model_fields}
        return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in given.items()})
    return value

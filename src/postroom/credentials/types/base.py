"""What every type of credential has in common: its fields, what is missing, and where it may go.

A field of type ``Secret`` is sealed; everything else is kept as JSON beside it.  A sealed field's
place inside the record is its *slot*: ``password``, or ``client_secrets/2026a/value``.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, ClassVar, NamedTuple, Self

from postroom.credentials.intake import Intake
from postroom.errors import InvalidValue, UnknownField
from postroom.fields import Fields, describe, model_of, nearest, parse, shown
from postroom.secret import Secret

__all__ = ["CredentialType", "Details", "Trusted", "no_trust", "placed"]

Trusted = Callable[[str], str]
"""Gives the PEM text of the ``trusted_certificate`` of that name; raises InvalidValue."""


def no_trust(name: str) -> str:
    """A :data:`Trusted` for where no store is at hand: it knows none."""
    raise InvalidValue("trust", f"there is no trusted_certificate credential {name!r}")


class Details(NamedTuple):
    """A record's fields, taken apart as they are stored: JSON, and secrets by slot."""

    plain: dict[str, Any]
    sealed: dict[str, Secret]


class CredentialType(Fields):
    """The base of all types.  Fields are declared once, with :func:`postroom.fields.field`.

    A type may override :meth:`lacks`, :meth:`check`, :meth:`own_destinations` and :meth:`present`.
    """

    type_name: ClassVar[str]
    label: ClassVar[str]
    about: ClassVar[str]
    needs_description: ClassVar[bool] = False
    """Whether a record of this type is complete only with a description."""

    # ------------------------------------------------------------------ rules of the type

    @classmethod
    def lacks(cls, plain: Mapping[str, Any], sealed: Collection[str]) -> list[str]:
        """The fields that are missing, by what is given; ``sealed`` are slots.  Opens nothing."""
        return [name for name in _needed(cls) if name not in plain and name not in sealed]

    def check(self) -> None:
        """Raise InvalidValue when fields contradict each other or a text is not what it says."""

    def own_destinations(self, trusted: Trusted = no_trust) -> set[str]:
        """The canonical lines that the record's own fields name; empty when it names no host."""
        return set()

    @classmethod
    def as_input(cls, plain: dict[str, Any]) -> dict[str, Any]:
        """What is stored of the plain fields, in the form that :meth:`take` takes."""
        return plain

    @classmethod
    def present(cls, plain: dict[str, Any]) -> dict[str, Any]:
        """The fields that are not sealed as people see them (a certificate by its fingerprint)."""
        return plain

    # ------------------------------------------------------------------ in and out of storage

    @classmethod
    def take(cls, intake: Intake, name: str, value: Any) -> None:
        """Put one submitted value in its place; ``None`` clears it.  Raises UnknownField."""
        info = cls.model_fields.get(name)
        if info is None:
            close = nearest(name, cls.model_fields)
            hint = (
                f"Did you mean {close}?"
                if close
                else (f"Fields of {cls.type_name}: {', '.join(cls.model_fields)}.")
            )
            raise UnknownField(f"There is no field {name!r}.", hint=hint, field=name)
        inner = _model_of_map(info.annotation)
        if inner is not None:
            intake.entries(name, value, inner)
        elif name in _sealed(cls):
            intake.seal(name, value)
        else:
            intake.put(name, value)

    @classmethod
    def load(cls, details: Details, *, where: str = "") -> Self:
        """The record from what is stored or was taken in; raises InvalidValue or UnknownField."""
        if not details.sealed:
            return parse(cls, details.plain, where=where)
        return parse(cls, placed(details.plain, details.sealed), where=where)

    def split(self) -> Details:
        """The record as it is stored."""
        sealed = dict(_secrets(self, ()))
        plain = shown(self)
        for slot in sealed:
            *above, last = slot.split("/")
            place = plain
            for part in above:
                place = place[part]
            place.pop(last, None)
        return Details(plain, sealed)


def placed(plain: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of ``plain`` with values put into their slots: secrets to load, masks to show."""
    data = dict(plain)
    for slot, value in values.items():
        *above, last = slot.split("/")
        if above and data.get(above[0]) is plain.get(above[0]):
            data[above[0]] = copy.deepcopy(plain.get(above[0], {}))
        place = data
        for part in above:
            place = place.setdefault(part, {})
        place[last] = value
    return data


def _model_of_map(annotation: Any) -> type[Fields] | None:
    """The declaration inside ``dict[str, X]`` where X is one, else None."""
    if getattr(annotation, "__origin__", None) is dict:
        return model_of(annotation.__args__[1])
    return None


@functools.cache
def _needed(cls: type[CredentialType]) -> tuple[str, ...]:
    return tuple(field.name for field in describe(cls) if field.needed)


@functools.cache
def _sealed(cls: type[CredentialType]) -> frozenset[str]:
    return frozenset(field.name for field in describe(cls) if field.sealed)


def _secrets(record: Fields, above: tuple[str, ...]) -> Iterable[tuple[str, Secret]]:
    for name in type(record).model_fields:
        value = getattr(record, name)
        if isinstance(value, Secret):
            yield "/".join((*above, name)), value
        elif isinstance(value, Mapping):
            for label, inner in value.items():
                if isinstance(inner, Fields):
                    yield from _secrets(inner, (*above, name, label))

"""``generic``: any named fields, each sealed unless it is declared plain."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, ClassVar, Self

from postroom.credentials.intake import Intake
from postroom.credentials.types.base import CredentialType, Details
from postroom.errors import InvalidValue, UnknownField
from postroom.fields import check_name, field, parse
from postroom.secret import Secret

__all__ = ["Generic"]


class Generic(CredentialType):
    """Input is a map by field name: a text is sealed, ``{value: TEXT, plain: true}`` is not.

    A program reads ``secrets["api_key"]`` and ``plain["url"]``.
    """

    type_name: ClassVar[str] = "generic"
    label: ClassVar[str] = "Custom fields"
    about: ClassVar[str] = "Any named values, for jobs and other integrations."

    plain: dict[str, str] = field(default_factory=dict, label="Plain values")
    secrets: dict[str, Secret] = field(default_factory=dict, label="Sealed values")

    @classmethod
    def lacks(cls, plain: Mapping[str, Any], sealed: Collection[str]) -> list[str]:
        """One field at least, of any name."""
        return [] if plain or sealed else ["fields"]

    @classmethod
    def as_input(cls, plain: dict[str, Any]) -> dict[str, Any]:
        """Plain fields say so, or they would be taken for secrets elsewhere."""
        return {name: {"value": value, "plain": True} for name, value in plain.items()}

    @classmethod
    def take(cls, intake: Intake, name: str, value: Any) -> None:
        """A field moves between sealed and plain only together with its value, or is refused."""
        try:
            check_name(name)
        except ValueError as error:
            raise InvalidValue(name, f"the field's name {error}") from None
        value, plain = _form(name, value, now_plain=name in intake.plain)
        if value is None:
            intake.put(name, None)
            intake.seal(name, None)
        elif not plain and value == "":
            return  # empty keeps, whatever is there
        elif plain:
            intake.seal(name, None)
            intake.put(name, value)
        else:
            intake.put(name, None)
            intake.seal(name, value)

    @classmethod
    def load(cls, details: Details, *, where: str = "") -> Self:
        """The record from what is stored."""
        return parse(cls, {"plain": details.plain, "secrets": details.sealed}, where=where)

    def split(self) -> Details:
        """The record as it is stored: no group between the record and its fields."""
        return Details(dict(self.plain), dict(self.secrets))


def _form(name: str, value: Any, *, now_plain: bool) -> tuple[Any, bool]:
    """The value, and whether it is plain: a field that is plain stays so for a bare text."""
    if not isinstance(value, Mapping):
        if value is not None and not isinstance(value, str | Secret):
            raise InvalidValue(name, "give a text, or {value: TEXT, plain: true}")
        return value, now_plain and not isinstance(value, Secret)
    unknown = set(value) - {"value", "plain"}
    if unknown:
        raise UnknownField(
            f"{name}: there is no {sorted(unknown)[0]!r} here.",
            field=name,
            hint="A field is a text, or {value: TEXT, plain: true}.",
        )
    plain = value.get("plain", False)
    if not isinstance(plain, bool):
        raise InvalidValue(f"{name}.plain", "say true or false")
    text = value.get("value")
    if plain and not isinstance(text, str):
        raise InvalidValue(f"{name}.value", "a plain field needs its value as a text")
    return text, plain

"""How a field is declared: the base of every declaration, and :func:`field`."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Fields", "field"]


class Fields(BaseModel):
    """The base of every declaration: unknown fields refused, values frozen, input never echoed."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        validate_default=True,
        populate_by_name=True,
        arbitrary_types_allowed=True,
        defer_build=True,  # a verb uses a few of the declarations: each is built when first used
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
    flag: str = "",
    metavar: str = "",
    argument: bool = False,
) -> Any:
    """Declare a field.

    ``label`` and ``help`` are for people.  ``needed`` fields may be empty while a record is being
    made; until they are given it is incomplete.  ``macro`` fields may hold ``${...}``.
    ``refers_to`` names the noun whose records may be chosen.  A field of type :class:`Secret` is
    sealed; nothing else needs saying.

    Of a command's parameters: ``flag`` is its flag where that is not its name, ``metavar`` what stands
    for its value in the help, and an ``argument`` is a word behind the verb, without a flag.
    """
    facts: Any = {
        "label": label,
        "help": help,
        "needed": needed,
        "macro": macro,
        "refers": refers_to,
        "flag": flag,
        "metavar": metavar,
        "argument": argument,
    }
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

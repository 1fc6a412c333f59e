"""Controls: a form is drawn from the declared fields, and read back into what operations take."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from postroom.errors import InvalidValue, PostroomError
from postroom.fields import Described, Fields, describe, format_size
from postroom.secret import Secret
from postroom.web.form import Form

__all__ = ["Control", "Options", "controls", "nested", "read"]

Options = Sequence[tuple[str, str]]
_SHOWN: Final = ".shown"
"""Behind the name of a box: it was there to be ticked, so an empty one was emptied."""
_LINES: Final = ("private_key", "certificate")
_RATE: Final = re.compile(r"(\d+)\s*(?:/|per)\s*(\w+)")
_YES_NO: Final[Options] = (("", "not said"), ("yes", "yes"), ("no", "no"))


@dataclasses.dataclass(frozen=True, slots=True)
class Control:
    """One control.  ``kind``: text, number, date, secret, area, list, map, choice or tick.

    ``stored`` is the mask of what is saved, ``inherited`` the record that the value is from, ``make``
    the noun that can be made for it; ``own``: it stands here although there is one to inherit.
    """

    name: str
    label: str
    help: str
    kind: str
    value: Any
    options: Options = ()
    needed: bool = False
    sealed: bool = False
    macro: bool = False
    stored: str = ""
    inherited: str = ""
    error: str = ""
    placeholder: str = ""
    make: str = ""
    own: bool = False

    @property
    def id(self) -> str:
        """Its id in the page."""
        return f"f-{self.name.replace('.', '-')}"


def controls(
    model: type[Fields],
    values: Mapping[str, Any],
    *,
    given: Mapping[str, str] | None = None,
    stored: Mapping[str, str] | None = None,
    offered: Mapping[str, Options] | None = None,
    makes: Mapping[str, str] | None = None,
    inherited: Mapping[str, str] | None = None,
    error: PostroomError | None = None,
    skip: Collection[str] = (),
) -> list[Control]:
    """The controls of a declaration, in its order.

    ``values`` are what is saved (groups inside groups); ``given`` instead what was typed and refused.
    ``offered``: what can be chosen, by the name of a field or by the noun that it refers to, and
    ``makes`` the noun that can be made for it, likewise.  ``error`` is shown beside its field.
    """
    wrong = _wrong(error)
    drawn = []
    for one in describe(model):
        if one.name in skip:
            continue
        value = _typed(one, given) if given is not None else _shown(one, _at(values, one.name))
        choices = _options(one, offered or {}, str(value))
        kind = _kind(one, choices)
        drawn.append(
            Control(
                one.name,
                one.label,
                _helped(one, kind),
                kind,
                value in (True, "yes", "True") if kind == "tick" else value,
                choices,
                needed=one.needed,
                sealed=one.sealed,
                macro=one.macro,
                stored=(stored or {}).get(one.name, ""),
                inherited=(inherited or {}).get(one.name, ""),
                error=wrong.get(one.name, ""),
                placeholder=one.default_text if not one.needed else "",
                make=(makes or {}).get(one.name) or (makes or {}).get(one.refers_to, ""),
            )
        )
    return drawn


def read(
    model: type[Fields], form: Form, *, skip: Collection[str] = (), only: Iterable[str] = ()
) -> dict[str, Any]:
    """What a form says of a declaration: groups inside groups, None for what was emptied.

    A sealed field that is empty is left out: it keeps its value.  What is not in the form is not in
    the answer.
    """
    wanted = set(only)
    flat: dict[str, Any] = {}
    for one in describe(model):
        there = one.name in form or f"{one.name}{_SHOWN}" in form
        if one.name in skip or not there or (wanted and one.name not in wanted):
            continue
        if one.sealed:
            secret = form.secret(one.name)
            if secret is not None:
                flat[one.name] = secret
        else:
            flat[one.name] = _read(one, form)
    return nested(flat)


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted names as groups inside groups."""
    whole: dict[str, Any] = {}
    for dotted, value in flat.items():
        *groups, last = dotted.split(".")
        inside = whole
        for group in groups:
            inside = inside.setdefault(group, {})
            if not isinstance(inside, dict):
                raise InvalidValue(dotted, "is said twice, as a word and as a group")
        inside[last] = value
    return whole


# ------------------------------------------------------------------ inside


def _helped(one: Described, kind: str) -> str:
    if kind == "choice":
        return one.help.replace("Empty: ", "As usual: ")
    return f"{one.help} Such as 30 per minute." if one.type == "rate" else one.help


def _kind(one: Described, choices: Options) -> str:
    lines = one.name.rpartition(".")[2].removeprefix("next_") in _LINES
    if lines and not one.refers_to:
        return "area"
    if one.sealed:
        return "secret"
    if choices:
        return "choice"
    known = {"yes or no": "tick", "list": "list", "map": "map", "date": "date", "number": "number"}
    return known.get(one.type, "text")


def _options(one: Described, offered: Mapping[str, Options], value: str) -> Options:
    if one.type == "yes or no":
        return _YES_NO if one.default is None else ()
    choices: list[tuple[str, str]] = [(each, each) for each in one.options]
    if one.refers_to:
        found = offered.get(one.name, offered.get(one.refers_to))
        if found is None:
            return ()
        choices = [*found]
        if value and value not in {key for key, _ in choices}:
            choices.append((value, value))
        return [("", "choose one" if one.needed else "none"), *choices]
    if choices and not one.needed and one.default in (None, ""):
        return [("", "as usual"), *choices]
    return choices


def _shown(one: Described, value: Any) -> Any:
    """A saved value as its control has it."""
    if value is None:
        value = one.default if one.default not in (None, "") and not one.needed else None
    if isinstance(value, Fields):
        value = value.model_dump(by_alias=True)
    if value is None or isinstance(value, Secret):
        return ""
    if isinstance(value, bool):
        return value if one.default is not None else ("yes" if value else "no")
    if one.type == "rate" and isinstance(value, Mapping):
        return f"{value['max']} per {value['per']}"
    if one.type == "size" and isinstance(value, int):
        return format_size(value)
    if isinstance(value, Mapping):
        return "\n".join(f"{key}: {each}" for key, each in value.items())
    if isinstance(value, list | tuple):
        return "\n".join(str(each) for each in value)
    return one.default_text if value == one.default and one.default_text else str(value)


def _typed(one: Described, given: Mapping[str, str]) -> str:
    return "" if one.sealed else given.get(one.name, "")


def _read(one: Described, form: Form) -> Any:
    text = form.raw(one.name) if one.type in ("list", "map") else form.text(one.name)
    if one.type == "yes or no":
        return text == "yes" if one.default is not None or text else None
    if one.type == "list":
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return lines or (None if one.default is None else [])
    if one.type == "map":
        return _map(one.name, text)
    if one.type == "rate" and text:
        if (rate := _RATE.fullmatch(text)) is None:
            raise InvalidValue(one.name, "write it like 30 per minute")
        return {"max": int(rate[1]), "per": rate[2]}
    if text:
        return text
    return "" if one.default == "" else None


def _map(name: str, text: str) -> dict[str, str]:
    found = {}
    for line in text.splitlines():
        if line.strip():
            key, colon, value = line.partition(":")
            if not colon:
                raise InvalidValue(name, "say each as NAME: VALUE, one a line")
            found[key.strip()] = value.strip()
    return found


def _at(values: Mapping[str, Any], dotted: str) -> Any:
    value: Any = values
    for part in dotted.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _wrong(error: PostroomError | None) -> dict[str, str]:
    """The field that an error names, and what is wrong with it."""
    field = str((error.facts if error else {}).get("field", "")).rpartition(": ")[2]
    if error is None or not field:
        return {}
    told = error.sentence.partition(f"{field}: ")[2] or error.sentence
    return {field: f"{told[:1].upper()}{told[1:]}."}

"""Macros: ``${prefix:name}``, expanded once and late.

    ${NAME}  ${var:NAME}  ${lay:NAME}   a variable of the room
    ${env:NAME}                         an environment variable the operator allowed
    ${mail:folder|from|subject|received}  facts of a message, only in names and sink paths
    ${date:FORMAT}                      an instant in UTC, in strftime's letters; only there too
    ${localhost:canonical-name}         this host
    $${                                 a literal ${

The steps of a job have more of them (STEPS): what they stand for is a value, see jobs/values.py.

Values are never looked into again, and neither is ``${${A}}``: it stays as it is written.  Nothing
that was received is ever given to :func:`expand` as its text.
"""

from __future__ import annotations

import datetime as dt
import difflib
import re
from collections.abc import Collection, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from postroom.errors import InvalidValue, WrongUse

__all__ = [
    "NAMING",
    "SETTING",
    "STEPS",
    "Expanded",
    "Reference",
    "Scope",
    "Template",
    "expand",
    "macro_at",
    "names",
    "pieces",
    "prepare",
]

SETTING: Final = frozenset({"var", "env", "date", "localhost"})
"""The prefixes of a plain setting: host, user, folder ..."""
NAMING: Final = SETTING | {"mail"}
"""The prefixes of a name template or a sink path."""
STEPS: Final = SETTING | {"param", "step", "item", "run", "message"}
"""The prefixes of a step of a job."""

_PREFIXES: Final = ("var", "env", "mail", "date", "localhost")
_ORDER: Final = (*_PREFIXES, "param", "step", "item", "run", "message")
_ALIASES: Final = {"lay": "var"}
_MAIL: Final = ("folder", "from", "subject", "received")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_OPENING = re.compile(r"\$\$\{|\$\{")
_BRACE = re.compile(r"\$\{|\}")
_LETTER = re.compile(r"%(.?)", re.DOTALL)
_DATE: Final = {
    "Y": "{0:%Y}", "y": "{0:%y}", "m": "{0:%m}", "d": "{0:%d}", "H": "{0:%H}", "M": "{0:%M}",
    "S": "{0:%S}", "j": "{0:%j}", "G": "{0:%G}", "V": "{0:%V}", "u": "{0:%u}", "%": "%",
    "F": "{0:%Y-%m-%d}", "s": "{1}",
}  # fmt: skip


@dataclass(frozen=True)
class Reference:
    """One macro of a text: ``prefix`` without aliases, and what stands behind the colon."""

    prefix: str
    name: str

    def __str__(self) -> str:
        bare = self.prefix == "item" and not self.name
        return "${item}" if bare else "${" + f"{self.prefix}:{self.name}" + "}"


@dataclass(frozen=True)
class Expanded:
    """The text with its macros replaced, and what it used."""

    text: str
    references: tuple[Reference, ...]


@dataclass(frozen=True)
class Scope:
    """Where macros look.  What a room does not hand in is not there.

    ``environment`` holds the allowed variables only; ``environment_known`` answers whether the
    process has one of that name at all, which makes the better sentence.
    """

    variables: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    environment_known: Container[str] = ()
    mail: Mapping[str, str] | None = None
    now: dt.datetime | None = None
    host: str = ""


def names(text: str) -> list[Reference]:
    """The macros of a text, in order, for the checks when it is saved.

    Raises InvalidValue for an opening without an end, an empty or impossible name, an unknown
    prefix, and a date format that is not one.
    """
    return [piece for piece in _pieces(text) if isinstance(piece, Reference)]


def pieces(
    text: str, *, known: Collection[str] = _PREFIXES, name: str = ""
) -> list[str | Reference]:
    """The literal texts and macros of a text, in order; raises as :func:`names` does.

    ``known`` are the prefixes there are (STEPS in a step of a job); ``name`` is the field, for the
    sentence.
    """
    return [piece for piece in _pieces(text, name, known) if piece != ""]


def macro_at(
    text: str, at: int, *, known: Collection[str] = _PREFIXES, name: str = ""
) -> tuple[Reference, int]:
    """The macro whose ``${`` stands at that place, and where it ends; raises as :func:`names` does."""
    end, nested = _closing(text, at + 2, name)
    if nested:
        raise InvalidValue(name, "a macro cannot stand in a macro")
    return _reference(text[at + 2 : end - 1], name, known), end


def expand(
    text: str, scope: Scope, *, allowed: Collection[str] = SETTING, name: str = ""
) -> Expanded:
    """Replace the macros of a text by their values, in one pass.

    ``allowed`` are the prefixes that may stand here (SETTING, NAMING); ``name`` is the
    field, for the sentence.  Raises WrongUse (``unknown_variable``) for a name nobody knows, and
    InvalidValue as :func:`names` does, or for a macro that may not stand here.
    """
    out: list[str] = []
    used: list[Reference] = []
    for piece in _pieces(text, name):
        if isinstance(piece, str):
            out.append(piece)
            continue
        if piece.prefix not in allowed:
            raise InvalidValue(name, f"{piece} may not stand here.{_where(piece.prefix)}")
        used.append(piece)
        out.append(_value(piece, scope, name))
    return Expanded("".join(out), tuple(used))


@dataclass(frozen=True)
class Template:
    """A text of which only what a message decides is open: ``${mail:...}`` and ``${date:...}``."""

    pieces: tuple[str | Reference, ...] = ()

    def __str__(self) -> str:
        return "".join(map(str, self.pieces))

    def fill(self, mail: Mapping[str, str], now: dt.datetime) -> str:
        """The text for one message.  What it says is put in as it is, and never looked into."""
        scope = Scope(mail=mail, now=now)
        return "".join(
            each if isinstance(each, str) else _value(each, scope, "") for each in self.pieces
        )

    def split(self) -> tuple[str, Template]:
        """For a path: the directory that is the same for every message, and what lies below it."""
        fixed = ""
        for at, piece in enumerate(self.pieces):
            if isinstance(piece, Reference):
                above, slash, rest = fixed.rpartition("/")
                return above or slash, Template((rest, *self.pieces[at:]))
            fixed += piece
        return fixed, Template()


def prepare(text: str, scope: Scope, *, name: str = "") -> Template:
    """Replace the macros that are the same for every message (NAMING); raises as :func:`expand`."""
    pieces: list[str | Reference] = []
    for piece in _pieces(text, name):
        if isinstance(piece, str) or piece.prefix == "date":
            pieces.append(piece)
        elif piece.prefix == "mail":
            _value(piece, Scope(mail=dict.fromkeys(_MAIL, "")), name)  # is there such a fact?
            pieces.append(piece)
        else:
            pieces.append(expand(str(piece), scope, name=name).text)
    return Template(tuple(piece for piece in pieces if piece != ""))


def _where(prefix: str) -> str:
    return {
        "mail": " Facts of a message stand only in a name_template and in the path of a sink.",
    }.get(prefix, "")


# ------------------------------------------------------------------ reading


def _pieces(
    text: str, name: str = "", known: Collection[str] = _PREFIXES
) -> Iterator[str | Reference]:
    """Literal texts and references, in order."""
    at = 0
    while (opening := _OPENING.search(text, at)) is not None:
        yield text[at : opening.start()]
        at = opening.end()
        if opening[0] == "$${":
            yield "${"
            continue
        end, nested = _closing(text, at, name)
        inner = text[at : end - 1]
        yield text[opening.start() : end] if nested else _reference(inner, name, known)
        at = end
    yield text[at:]


def _closing(text: str, at: int, name: str) -> tuple[int, bool]:
    """Behind the brace that ends a macro, and whether another opening stands inside."""
    depth, nested = 1, False
    while (brace := _BRACE.search(text, at)) is not None:
        at = brace.end()
        depth += -1 if brace[0] == "}" else 1
        nested = nested or brace[0] == "${"
        if depth == 0:
            return at, nested
    raise InvalidValue(name, "${ has no end; close it with }, or write $${ for a literal ${")


def _reference(inner: str, name: str, known: Collection[str]) -> Reference:
    if inner == "item" and "item" in known:
        return Reference("item", "")
    prefix, colon, rest = inner.partition(":")
    if not colon:
        prefix, rest = "var", inner
    prefix = _ALIASES.get(prefix, prefix)
    if prefix not in known:
        raise InvalidValue(name, f"${{{_shown(prefix)}:...}} {_no_kind(prefix, known)}")
    reference = Reference(prefix, rest)
    if prefix == "date":
        _check_format(rest, name)
    elif not _NAME.fullmatch(rest):
        raise InvalidValue(
            name, f"{_shown(str(reference))} has no valid name; letters, digits, . _ - are possible"
        )
    return reference


_SECRET: Final = ("sec", "secret", "cred", "credential", "credentials", "password")
"""What somebody calls a macro who wants a secret in a step."""


def _no_kind(prefix: str, known: Collection[str]) -> str:
    if prefix in STEPS - set(_PREFIXES):
        return "stands only in the steps of a job"
    if prefix in _PREFIXES:
        return "may not stand in a step; the message that started the run is ${message:...}"
    if "param" in known and prefix in _SECRET:
        return (
            "is no kind of macro: no secret is ever written into a text; a python or command job is "
            "handed those of its credentials"
        )
    near = difflib.get_close_matches(prefix, [*sorted(known), *_ALIASES], 1)
    words = [one for one in _ORDER if one in known]
    meant = f"did you mean {near[0]}:?" if near else f"there are {', '.join(words)}"
    return f"is no kind of macro; {meant}"


def _shown(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text[:60])


def _check_format(text: str, name: str) -> None:
    wrong = [each[1] for each in _LETTER.finditer(text) if each[1] not in _DATE]
    if wrong or not text:
        letters = " ".join(f"%{letter}" for letter in _DATE)
        raise InvalidValue(name, f"${{date:...}} takes {letters}, as in ${{date:%Y-%m-%d}}")


# ------------------------------------------------------------------ looking up


def _value(reference: Reference, scope: Scope, name: str) -> str:
    if reference.prefix == "date":
        return _date(reference.name, scope, name)
    value = _table(reference.prefix, scope).get(reference.name)
    if value is None:
        raise _unknown(reference, scope, name)
    return value


def _table(prefix: str, scope: Scope) -> Mapping[str, str]:
    if prefix == "var":
        return scope.variables
    if prefix == "env":
        return scope.environment
    if prefix == "mail":
        return {key: value for key, value in (scope.mail or {}).items() if key in _MAIL}
    return {"canonical-name": scope.host} if scope.host else {}


def _date(text: str, scope: Scope, name: str) -> str:
    if scope.now is None:
        raise InvalidValue(name, "${date:...} may not stand here; it has no instant")
    now = scope.now.astimezone(dt.UTC)
    return _LETTER.sub(lambda each: _DATE[each[1]].format(now, int(now.timestamp())), text)


def _nearest(wanted: str, known: Iterable[str]) -> str:
    """The known name most like ``wanted``; that they differ in case alone is the likeliest slip."""
    by_key = {name.casefold(): name for name in known}
    found = difflib.get_close_matches(wanted.casefold(), list(by_key), 1)
    return by_key[found[0]] if found else ""


def _unknown(reference: Reference, scope: Scope, field_name: str) -> WrongUse:
    """The sentence says what is nearest; the hint, how to allow what the process does have."""
    wanted = reference.name
    known = _table(reference.prefix, scope)
    what = {"var": "variable", "env": "allowed environment variable"}
    kind = what.get(reference.prefix, "macro")
    near = _nearest(wanted, known)
    meant = f"; did you mean {near}?" if near else "."
    if not near and reference.prefix in {"mail", "localhost"} and known:
        meant = f"; there is {', '.join(known)}."
    hint = ""
    if reference.prefix in {"var", "env"} and wanted in scope.environment:
        hint = f"The environment has it: write ${{env:{wanted}}}."
    elif reference.prefix in {"var", "env"} and wanted in scope.environment_known:
        hint = (
            f"The environment of this process has it: allow it with postroom variable allow-env "
            f"{wanted}, then write ${{env:{wanted}}}."
        )
    elif reference.prefix == "var" and not near:
        hint = f"Set it with: postroom variable set {wanted} VALUE"
    where = f"{field_name}: " if field_name else ""
    return WrongUse(
        f"{where}there is no {kind} {wanted!r}{meant}",
        code="unknown_variable",
        hint=hint,
        field=field_name,
        name=wanted,
    )

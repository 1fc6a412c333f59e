"""Takes submitted values into a record: keeps, replaces, clears, trims; refuses masks.  Pure.

Omitted or empty keeps a sealed field, ``None`` clears it, and a mask that was shown earlier is
refused: it would become the secret.  White space around a pasted value goes, and a note says so.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import Any, Final

from postroom.errors import InvalidValue, UnknownField, WrongUse
from postroom.fields import Fields, check_name, nearest
from postroom.secret import MASK, Secret, is_mask

__all__ = ["Intake", "mask_of"]

# what pasting from web pages, mail and spreadsheets adds besides white space: zero-width and marks
_AROUND: Final = "\u200b\u200c\u200d\u2060\ufeff\u200e\u200f"
_FINGERPRINT_MASK: Final = re.compile(r"\*{4} \([a-z]+( [0-9a-f]+)?\)")


def mask_of(hint: str) -> str:
    """How a stored secret is shown: ``****``, ``****wxyz`` or ``**** (fingerprint 0a1b2c3d)``."""
    return f"{MASK} ({hint})" if len(hint) > 4 else MASK + hint


class Intake:
    """The fields of a record while new values are put into them.

    ``plain`` and ``sealed`` begin as what is stored; ``typed`` collects the slots whose secret was
    given now, ``cleared`` those it was taken from, ``notes`` what people should be told.
    """

    def __init__(self, plain: Mapping[str, Any], sealed: Mapping[str, Secret]) -> None:
        self.plain: dict[str, Any] = copy.deepcopy(dict(plain))
        self.sealed: dict[str, Secret] = dict(sealed)
        self.typed: set[str] = set()
        self.cleared: set[str] = set()
        self.notes: list[str] = []

    def put(self, name: str, value: Any) -> None:
        """A field that is not sealed; ``None`` returns it to its default."""
        if value is None:
            self.plain.pop(name, None)
        else:
            self.plain[name] = self._trimmed(name, value)

    def seal(self, slot: str, value: Any) -> None:
        """A sealed field: a text or a Secret, ``None`` to clear it, empty to keep it."""
        shown_as = slot.replace("/", ".")
        if value is None:
            self.sealed.pop(slot, None)
            self.typed.discard(slot)
            self.cleared.add(slot)
            return
        if not isinstance(value, str | Secret):
            raise InvalidValue(shown_as, "give a text")
        text = value.reveal() if isinstance(value, Secret) else value
        if not text:
            return
        if is_mask(text) or _FINGERPRINT_MASK.fullmatch(text.strip()):
            raise WrongUse(
                f"{shown_as}: this is the mask that stands for the stored value, not a value.",
                code="masked_value_submitted",
                field=shown_as,
                hint="Leave the field out to keep what is stored, or give the new value.",
            )
        trimmed = self._trimmed(shown_as, text)
        if not trimmed:
            raise InvalidValue(shown_as, "there is nothing but white space in it")
        self.sealed[slot] = Secret(trimmed)
        self.typed.add(slot)

    def entries(self, name: str, value: Any, model: type[Fields]) -> None:
        """A map by label, whose entries have sealed fields: they are merged, ``None`` removes."""
        if value is None:
            for label in list(self.plain.get(name, {})):
                self._remove(name, label)
            return
        if not isinstance(value, Mapping):
            raise InvalidValue(
                name,
                "give a map by label, such as {2026a: {value: ...}}",
                hint=_by_flag(name, "LABEL"),
            )
        for label, entry in value.items():
            self._entry(name, str(label), entry, model)

    def clear(self, path: str) -> None:
        """Clear one entry of a map, ``client_secrets.2026a``; a field without a dot is ``None``."""
        name, _, label = path.partition(".")
        if label not in self.plain.get(name, {}):
            raise InvalidValue(path, "there is no such entry to clear")
        self._remove(name, label)

    def _entry(self, name: str, label: str, entry: Any, model: type[Fields]) -> None:
        if entry is None:
            self._remove(name, label)
            return
        dotted = f"{name}.{label}"
        if not isinstance(entry, Mapping):
            raise InvalidValue(
                dotted, "give a map with the field value", hint=_by_flag(name, label)
            )
        try:
            check_name(label)
        except ValueError as error:
            raise InvalidValue(dotted, f"the label {error}") from None
        kept = self.plain.setdefault(name, {}).setdefault(label, {})
        for key, value in entry.items():
            info = model.model_fields.get(key)
            if info is None:
                raise _unknown(f"{dotted}.{key}", key, model)
            if Secret in getattr(info.annotation, "__args__", ()):
                self.seal(f"{name}/{label}/{key}", value)
            elif isinstance(value, Secret):
                raise InvalidValue(f"{dotted}.{key}", "it is not sealed, so give it as it is")
            elif value is None:
                kept.pop(key, None)
            else:
                kept[key] = value

    def _remove(self, name: str, label: str) -> None:
        self.plain.get(name, {}).pop(label, None)
        for slot in [slot for slot in self.sealed if slot.startswith(f"{name}/{label}/")]:
            self.seal(slot, None)

    def _trimmed(self, name: str, value: Any) -> Any:
        if isinstance(value, list | tuple):
            return [self._trimmed(name, part) for part in value]
        if not isinstance(value, str):
            return value
        text = _strip(value)
        # the line break that ends a file or a PEM block is nobody's slip
        if text != value and _strip(value.rstrip("\r\n")) != value.rstrip("\r\n"):
            self.notes.append(f"{name}: white space around the value was removed.")
        elif text != value and not text.startswith("-----BEGIN"):
            self.notes.append(f"{name}: the line break at its end was removed.")
        return text


def _unknown(field: str, key: str, model: type[Fields]) -> UnknownField:
    close = nearest(key, model.model_fields)
    names = ", ".join(model.model_fields)
    hint = f"Did you mean {close}?" if close else f"Fields here: {names}."
    return UnknownField(f"There is no field {field!r}.", hint=hint, field=field)


def _by_flag(name: str, label: str) -> str:
    flag = f"--{name.replace('_', '-')}.{label}.value"
    return f"On the command line: {flag}-from-env NAME, {flag}-from-file PATH or {flag}-stdin."


def _strip(text: str) -> str:
    """The text without white space, no-break spaces and invisible marks around it."""
    while (shorter := text.strip().strip(_AROUND)) != text:
        text = shorter
    return text

"""What the room files say, merged; and the plan of what applying it does."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from postroom.errors import InvalidValue, PostroomError, UnknownField
from postroom.fields import made_absolute, nearest
from postroom.operations.moved import Moved
from postroom.operations.yamlfile import Document, secret_of
from postroom.secret import Secret

__all__ = ["NOUNS", "Lacking", "Plan", "Prompt", "Step", "Wanted"]

NOUNS: Final = (
    "variables", "credentials", "connections", "services", "jobs", "sources", "notify",
)  # fmt: skip
_CREDENTIAL: Final = (
    "name", "type", "description", "expires_at", "rotate_after", "programs", "fields",
)  # fmt: skip
Prompt = Callable[[str], Secret]
"""Asks a person for a secret; is given what it is for."""


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """One line of a plan: add, change, same or remove; ``fields`` are those that change."""

    verb: Literal["add", "change", "same", "remove"]
    noun: str
    name: str
    fields: tuple[str, ...] = ()

    def __str__(self) -> str:
        fields = f": {', '.join(self.fields)}" if self.fields else ""
        return f"{self.verb} {self.noun} {self.name}{fields}"


class Lacking(NamedTuple):
    """A credential that nothing can use afterwards, and the names of the fields it is without."""

    name: str
    type: str
    missing: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """What applying does, or did; ``notes`` are for the person who wrote the file.

    ``moved`` are the stored secrets that go elsewhere by it; ``incomplete`` the credentials of the
    files that are incomplete after it, whether it changed them or not.
    """

    steps: tuple[Step, ...]
    notes: tuple[str, ...] = ()
    moved: tuple[Moved, ...] = ()
    incomplete: tuple[Lacking, ...] = ()

    @property
    def changes(self) -> int:
        """How many records are added, changed or removed."""
        return sum(1 for step in self.steps if step.verb != "same")


class Wanted:
    """What the files say, merged, with the document and place each record came from.

    ``secrets`` are what references in them stand for, by file, record and field: looked up where the
    files are, and sent with their ``texts`` to a room that is served.
    """

    def __init__(self) -> None:
        self.paths: list[Path] = []
        self.texts: dict[str, str] = {}
        self.secrets: dict[str, Secret] = {}
        self.variables: dict[str, str] = {}
        self.records: dict[str, dict[str, dict[str, Any]]] = {noun: {} for noun in NOUNS[1:]}
        self.places: dict[tuple[str, str], tuple[Document, tuple[str | int, ...]]] = {}

    def read(self, document: Document, prompt: Prompt | None) -> None:
        """Take one file in."""
        self.paths.append(document.path)
        self.texts[self._name(document)] = document.text
        if document.data.get("postroom") != 1:
            raise InvalidValue("", f"{document.at()}: a room file begins with: postroom: 1")
        for noun, value in document.data.items():
            if noun == "postroom":
                continue
            if noun not in NOUNS:
                close = nearest(noun, NOUNS)
                raise UnknownField(
                    f"{document.at(noun)}: there is no section {noun!r}.",
                    hint=f"Did you mean {close}?" if close else f"Sections: {', '.join(NOUNS)}.",
                )
            if noun == "variables":
                self._variables(document, value)
            else:
                self._records(document, noun, value, prompt)

    def _name(self, document: Document) -> str:
        """The file as it is called here; a file that is given twice is two."""
        name = str(document.path)
        known = self.texts.get(name, document.text)
        return name if known == document.text else f"{name} {len(self.paths)}"

    def _variables(self, document: Document, value: Any) -> None:
        if not isinstance(value, Mapping):
            raise InvalidValue("", f"{document.at('variables')}: variables is a map")
        for name, text in value.items():
            if not isinstance(text, str | int | float):
                raise InvalidValue("", f"{document.at('variables', name)}: {name} is a text")
            self.variables[name] = str(text)

    def _records(self, document: Document, noun: str, value: Any, prompt: Prompt | None) -> None:
        if not isinstance(value, list):
            raise InvalidValue("", f"{document.at(noun)}: {noun} is a list")
        for index, record in enumerate(value):
            if not isinstance(record, Mapping) or not isinstance(record.get("name"), str):
                raise InvalidValue(
                    "", f"{document.at(noun, index)}: each of {noun} is a map with a name"
                )
            key = record["name"].casefold()
            self.places[noun, key] = (document, (noun, index))
            data = dict(record)
            if noun == "credentials":
                data = self._credential(document, index, data, prompt)
            if (
                noun == "sources"
                and isinstance(data.get("sink"), dict)
                and data["sink"].get("path")
            ):
                path = _sink_path(document, index, str(data["sink"]["path"]))
                data["sink"] = {**data["sink"], "path": path}
            self.records[noun][key] = _merged(self.records[noun].get(key, {}), data)

    def _credential(
        self, document: Document, index: int, record: dict[str, Any], prompt: Prompt | None
    ) -> dict[str, Any]:
        for name in record:
            if name not in _CREDENTIAL:
                close = nearest(name, _CREDENTIAL)
                raise UnknownField(
                    f"{document.at('credentials', index, name)}: there is no field {name!r}.",
                    hint=f"Did you mean {close}?"
                    if close
                    else f"Fields here: {', '.join(_CREDENTIAL)}.",
                )
        for name in ("type", "description"):
            if not isinstance(record.get(name), str | None):
                raise InvalidValue(
                    "", f"{document.at('credentials', index, name)}: {name}: give a text"
                )
        if not isinstance(record.get("programs"), bool | None):
            place_of = document.at("credentials", index, "programs")
            raise InvalidValue("", f"{place_of}: programs: say true or false")
        fields = record.get("fields")
        if not isinstance(fields, Mapping | None):
            place_of = document.at("credentials", index, "fields")
            raise InvalidValue("", f"{place_of}: fields: give a map of names to values")
        if fields is not None:
            place = ("credentials", index, "fields")
            record["fields"] = self._resolved(document, fields, place, record["name"], prompt)
        return record

    def _resolved(
        self,
        document: Document,
        fields: Mapping[str, Any],
        place: tuple[str | int, ...],
        name: str,
        prompt: Prompt | None,
    ) -> dict[str, Any]:
        """The fields with every reference to a secret replaced by the secret."""
        found: dict[str, Any] = {}
        for key, value in fields.items():
            here = (*place, key)
            if isinstance(value, Mapping) and set(value) & {"from_env", "from_file", "prompt"}:
                dotted = ".".join(str(part) for part in here[3:])
                known = f"{document.path}: {name} {dotted}"
                try:
                    if document.here:
                        self.secrets[known] = secret_of(
                            value,
                            base=document.path.parent,
                            prompt=functools.partial(prompt, f"{name} {dotted}")
                            if prompt
                            else None,
                        )
                    elif known not in self.secrets:
                        raise InvalidValue(
                            "", f"{dotted}: what the reference stands for is not there"
                        )
                    found[key] = self.secrets[known]
                except PostroomError as error:
                    raise document.placed(error, *here) from None
            elif isinstance(value, Mapping):
                found[key] = self._resolved(document, value, here, name, prompt)
            else:
                found[key] = value
        return found


def _sink_path(document: Document, index: int, path: str) -> str:
    """Where a sink writes; of a file from afar only a whole path says it."""
    if document.here:
        return made_absolute(path, document.path.parent.resolve())
    if not path.startswith(("/", "${")):
        raise InvalidValue(
            "",
            f"{document.at('sources', index, 'sink', 'path')}: path: {path} begins at the file, and the "
            "file is not where the room is",
            hint="Give the whole path, as it is on the machine of the room.",
        )
    return path


def _merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """A record of a later file over one of an earlier: field by field; a null stays a null."""
    merged = dict(old)
    for key, value in new.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merged(merged[key], value) if both and key != "auth" else value
    return merged

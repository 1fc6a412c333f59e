"""Reading room files: safe YAML, duplicate keys refused, and the line of every key remembered."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from postroom.errors import InvalidValue, PostroomError, WrongUse
from postroom.secret import Secret

__all__ = [
    "Document",
    "YamlText",
    "parsed",
    "read_document",
    "read_text",
    "read_value",
    "secret_of",
]

Place = tuple[str | int, ...]
LARGEST = 8 * 1024 * 1024
DEEPEST = 32


class Document:
    """A parsed file: its text, plain data, and where each part of it stands.

    ``here``: its path is one of this machine, and what it names lies there too.
    """

    def __init__(
        self, path: Path, text: str, data: dict[str, Any], lines: dict[Place, int], *, here: bool
    ) -> None:
        self.path = path
        self.text = text
        self.data = data
        self.here = here
        self._lines = lines

    def at(self, *place: str | int) -> str:
        """``FILE, line N`` of a place, or of the nearest place above it that is known."""
        for end in range(len(place), -1, -1):
            if place[:end] in self._lines:
                return f"{self.path}, line {self._lines[place[:end]]}"
        return str(self.path)

    def placed(self, error: PostroomError, *place: str | int) -> PostroomError:
        """The same error with file and line in front of its sentence."""
        dotted = str(error.facts.get("field", "")).rpartition(": ")[2]
        inner = tuple(dotted.split(".")) if dotted else ()
        return WrongUse(
            f"{self.at(*place, *inner)}: {error.sentence}",
            code=error.code,
            hint=error.hint,
            **error.facts,
        )


def read_document(path: Path) -> Document:
    """Read a YAML file.  Raises InvalidValue with file and line for whatever is wrong with it."""
    try:
        if path.stat().st_size > LARGEST:
            raise InvalidValue("", f"{path} is larger than {LARGEST >> 20} MiB; a room file is not")
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise InvalidValue(
            "",
            f"there is no file {path}",
            hint="Write one, or begin with what is there: postroom export --to FILE",
        ) from None
    except OSError as error:
        raise InvalidValue("", f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise InvalidValue("", f"{path} is not UTF-8 text") from None
    return parsed(path, text)


def parsed(path: Path, text: str, *, here: bool = True) -> Document:
    """The document in a text.  Raises InvalidValue as :func:`read_document`."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        raise InvalidValue("", f"{path}, {_told(error)}") from None
    except yaml.YAMLError:
        raise InvalidValue("", f"{path} holds characters that YAML does not permit") from None
    except RecursionError:
        raise InvalidValue("", f"{path} is nested too deeply") from None
    lines: dict[Place, int] = {}
    data = _Builder(path, lines).build(node, ()) if node is not None else {}
    if not isinstance(data, dict):
        raise InvalidValue(
            "", f"{path}, line 1: a room file is a map that begins with: postroom: 1"
        )
    return Document(path, text, data, lines, here=here)


class YamlText:
    """A part of a definition that somebody typed: plain data, and the line of each part of it."""

    def __init__(self, data: Any, lines: Mapping[Place, int]) -> None:
        self.data = data
        self._lines = lines

    def line_of(self, dotted: str) -> int:
        """The line of a place (``0.send-email.to``), or of the nearest place above it that is known."""
        parts = [int(part) if part.isdigit() else part for part in dotted.split(".") if part]
        while tuple(parts) not in self._lines and parts:
            parts.pop()
        return self._lines.get(tuple(parts), 1)


def read_text(text: str, field: str) -> YamlText:
    """Read YAML that was typed for a field; data None where there is none.

    Raises InvalidValue for that field, with the fact ``line``.
    """
    lines: dict[Place, int] = {}
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        data = None if node is None else _Builder(Path(field), lines).build(node, ())
    except InvalidValue as error:
        told = error.sentence.removeprefix(f"{field}, ")
    except yaml.MarkedYAMLError as error:
        told = _told(error)
    except yaml.YAMLError:
        told = "line 1: it holds characters that YAML does not permit"
    except RecursionError:
        told = "line 1: it is nested too deeply"
    else:
        return YamlText(data, lines)
    found = re.match(r"line (\d+): ", told)
    raise InvalidValue(field, told, line=int(found[1]) if found else 1)


def read_value(text: str) -> Any:
    """A single value by the rules of a file; a text that is no YAML stands for itself."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        return text if node is None else _Builder(Path(), {}).build(node, ())
    except (yaml.YAMLError, InvalidValue, RecursionError):
        return text


_WORDS: Final = (
    (r"character '\\t'", "a tab stands where only spaces may; indent with spaces"),
    (r"quoted scalar.*end of stream", "the quote that is opened here is not closed"),
    (r"node content.*<stream end>", "a bracket that was opened before is not closed"),
    (r"node content", "a bracket or a comma too many, or a value that needs quotes"),
    (
        r"flow (mapping|sequence)",
        "the bracket that is opened here is not closed, or a comma is missing",
    ),
    (
        r"found '<scalar>'",
        "a text stands behind a value that has ended; a text with quotes in it needs the other kind "
        "around it",
    ),
    (
        r"expected <block end>|block (mapping|sequence|collection)",
        "this is indented otherwise than what it belongs to; parts of one record begin in one column",
    ),
    (
        r"mapping values|expected ':'",
        "a name without its colon, a colon too many or other indentation; a text with ': ' in it "
        "needs quotes",
    ),
    (r"cannot start any token", "a text that begins with this character needs quotes"),
)
"""What the parser says (context, then problem), and what is meant."""


def _told(error: yaml.MarkedYAMLError) -> str:
    """The line, and what is wrong with it in words; the parser's own come last."""
    context, problem = error.context or "", error.problem or "this is no YAML"
    words = next((told for fits, told in _WORDS if re.search(fits, f"{context} {problem}")), "")
    opened = "opened here" in words
    mark = (error.context_mark if opened else None) or error.problem_mark
    line = mark.line + 1 if mark else 1
    said = _unquoted(problem)
    return f"line {line}: {words} (the parser: {said})" if words else f"line {line}: {said}"


def _unquoted(problem: str) -> str:
    """A parser's words without what it quotes: ``*name`` or ``!name`` may be a password."""
    return re.sub(r"'([^']*)'", _mark_alone, problem)


def _mark_alone(quoted: re.Match[str]) -> str:
    inner = quoted[1]
    return quoted[0] if len(inner.lstrip("\\")) < 2 or inner.startswith("<") else "..."


class _Builder(yaml.constructor.SafeConstructor):
    """Turns nodes into data.  Aliases are refused: nothing in a room file needs them."""

    def __init__(self, path: Path, lines: dict[Place, int]) -> None:
        super().__init__()
        self._path = path
        self._at = lines
        self._seen: set[int] = set()

    def build(self, node: yaml.Node, place: Place) -> Any:
        line = node.start_mark.line + 1
        self._at.setdefault(place, line)
        if id(node) in self._seen or len(place) > DEEPEST:
            raise InvalidValue(
                "", f"{self._path}, line {line}: anchors and deep nesting are not used"
            )
        self._seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            return self._map(node, place)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(each, (*place, index)) for index, each in enumerate(node.value)]
        if node.tag in ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:binary"):
            return node.value  # a date is a text until a field says what it is
        try:
            return self.construct_object(node)
        except (yaml.YAMLError, ValueError, LookupError):  # their words hold the value itself
            raise InvalidValue(
                "",
                f"{self._path}, line {line}: this value is not what its form or tag says; "
                "put a text in quotes",
            ) from None

    def _map(self, node: yaml.MappingNode, place: Place) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise InvalidValue("", f"{self._path}, line {line}: a name has to be a text")
            key = str(key_node.value)
            if key in data:
                raise InvalidValue("", f"{self._path}, line {line}: {key!r} is given twice")
            self._at[(*place, key)] = line
            data[key] = self.build(value_node, (*place, key))
        return data


def secret_of(
    reference: Mapping[str, Any],
    *,
    base: Path,
    environ: Mapping[str, str] | None = None,
    prompt: Callable[[], Secret] | None = None,
) -> Secret:
    """The secret that ``{from_env: NAME}``, ``{from_file: PATH}`` or ``{prompt: true}`` stands for.

    Raises InvalidValue with a sentence; the value is never in it.
    """
    if set(reference) == {"from_env"}:
        name = str(reference["from_env"])
        value = (os.environ if environ is None else environ).get(name)
        if value is None:
            raise InvalidValue(
                "",
                f"the environment variable {name} is not set",
                hint="Every apply reads it, --dry-run too, to see whether the secret changed. Set "
                "it, or leave the field out: what is stored is kept.",
            )
        return Secret(value)
    if set(reference) == {"from_file"}:
        path = base / Path(str(reference["from_file"])).expanduser()
        try:
            return Secret(path.read_bytes().removesuffix(b"\n").removesuffix(b"\r"))
        except OSError as error:
            raise InvalidValue("", f"{path} cannot be read: {error.strerror}") from error
    if reference == {"prompt": True}:
        if prompt is None:
            raise InvalidValue("", "nobody can be asked here; use from_env or from_file")
        return prompt()
    raise InvalidValue(
        "", "give the secret by reference: {from_env: NAME}, {from_file: PATH} or {prompt: true}"
    )

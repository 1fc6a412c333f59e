"""Output: aligned columns, records and sentences for people, one JSON document for programs."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import sys
import textwrap
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, TextIO

from postroom.cli.options import OPTIONS
from postroom.clock import rfc3339

__all__ = ["document", "items", "note", "plain", "record", "said", "say", "size", "stopped"]

NARROWEST: Final = 8
"""Characters below which a column does not give way."""
ONE_LINE: Final = 60
"""Characters up to which a list stands on one line."""
SMALL_GROUP: Final = 40
"""Characters up to which a group of fields stands on one line."""


def items(
    rows: Iterable[Mapping[str, Any]],
    columns: Sequence[tuple[str, str]],
    *,
    empty: str,
    give: Collection[str] = (),
    **beside: Any,
) -> None:
    """A list: ``{"v": 1, "items": [...]}``, or a table of (key, heading) columns.

    ``beside`` are facts that programs find next to the items.

    For people a column without a value in any row is left out, and on a terminal that is too
    narrow the columns of the keys in ``give`` are cut; ids, names and times never are.
    """
    found = list(rows)
    if OPTIONS.json:
        print(document({"items": found, **beside}))
        return
    if not found:
        print(said(empty))
        return
    cells = {key: [_cell(key, row.get(key)) for row in found] for key, _ in columns}
    kept = [
        (key, heading) for at, (key, heading) in enumerate(columns) if at == 0 or any(cells[key])
    ]
    table = [[heading for _, heading in kept]]
    table += [[cells[key][at] for key, _ in kept] for at in range(len(found))]
    widths = _widths(table, [at for at, (key, _) in enumerate(kept) if key in give])
    for line in table:
        fitted = [_fit(cell, width) for cell, width in zip(line, widths, strict=True)]
        print("  ".join(fitted).rstrip())


def record(data: Mapping[str, Any], people: Mapping[str, Any] | None = None) -> None:
    """One record: a JSON object with ``"v": 1``, or one line a field.

    ``people`` is what people see instead, where programs are told more.
    """
    if OPTIONS.json:
        print(document(data))
        return
    _lines(data if people is None else people, 0)


def say(sentence: str, **data: Any) -> None:
    """What was done: a sentence for people, the same as an object with ``--json``."""
    print(document(data) if OPTIONS.json else said(sentence))


def _lines(data: Mapping[str, Any], depth: int) -> None:
    shown = {key: value for key, value in data.items() if not _empty(value)}
    flat = [key for key, value in shown.items() if _inline(value)]
    width = max(map(len, flat), default=0)
    indent = "  " * depth
    for key, value in shown.items():
        if key in flat:
            print(f"{indent}{key:<{width}}  {plain(value)}")
            continue
        print(f"{indent}{key}:")
        if isinstance(value, Mapping):
            _lines(value, depth + 1)
        else:
            for each in value:
                print(f"{indent}  - {plain(each)}")


def _inline(value: Any) -> bool:
    """Whether a value stands behind its name, on one line."""
    if isinstance(value, Mapping):
        nested = any(isinstance(part, Mapping | list) and part for part in value.values())
        return not nested and len(plain(value)) <= SMALL_GROUP
    if isinstance(value, list | tuple):
        nested = any(isinstance(part, Mapping) for part in value)
        return not nested and (len(value) == 1 or len(plain(value)) <= ONE_LINE)
    return True


def document(data: Mapping[str, Any]) -> str:
    """A JSON document with ``"v": 1``; what a terminal would obey or hide stands there escaped."""
    text = json.dumps({"v": 1, **data}, default=_text, ensure_ascii=False)
    if text.isprintable():  # nearly always, and a list of ten thousand is long
        return text
    return "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in text)


def _escaped(char: str) -> str:
    """Line ends and the like are a space to people; the rest as in JSON."""
    return " " if char.isspace() else json.dumps(char)[1:-1]


def _text(value: object) -> str:
    return rfc3339(value) if isinstance(value, dt.datetime) else str(value)


def note(text: str, *, indent: int = 0) -> None:
    """Something for the person, not for a program: on standard error, and not with ``--json``.

    Where standard error is a log for programs it is a line of that.
    """
    if OPTIONS.logs:
        from postroom.cli import logged  # only the worker loads it

        logged.line(plain(text))
    elif not OPTIONS.json:
        print(said(text, indent=indent, to=sys.stderr), file=sys.stderr, flush=True)


def stopped() -> None:
    """What a signal ended says so; programs have the exit status."""
    if OPTIONS.logs:
        note("Stopped.")
    else:
        print("Stopped.", file=sys.stderr)


def said(text: str, *, indent: int = 0, to: TextIO | None = None) -> str:
    """A text as it is printed: on a terminal wrapped at words, further lines indented.

    What ends with a command to copy keeps it on a line of its own; elsewhere nothing is wrapped.
    """
    line = plain(text)
    stream = to or sys.stdout
    if not stream.isatty():
        return line
    width = shutil.get_terminal_size().columns
    if len(line) <= width:
        return line
    words, found, command = line.partition(": postroom ")
    before = textwrap.wrap(
        words + (":" if found else ""),
        max(width, 2 * indent + 20),
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
        drop_whitespace=True,
    )
    return "\n".join([*before, *([f"{' ' * indent}postroom {command}"] if found else [])])


def plain(value: Any) -> str:
    """A value as a person reads it, on one line: what a terminal would obey stands there escaped."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dt.datetime):
        return rfc3339(value)
    if isinstance(value, list | tuple):
        return ", ".join(plain(part) for part in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {plain(part)}" for key, part in value.items() if not _empty(part))
    text = str(value)
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escaped(char) for char in text)


def size(count: int) -> str:
    """Bytes as a person reads them: ``512 B``, ``2.5 KiB``, ``5.0 MiB``."""
    if count < 1024:
        return f"{count} B"
    amount = count / 1024
    for unit in ("KiB", "MiB", "GiB"):
        if amount < 1024 or unit == "GiB":
            return f"{amount:.1f} {unit}"
        amount /= 1024
    return ""


def _cell(key: str, value: Any) -> str:
    return size(value) if key == "size" and isinstance(value, int) else plain(value)


def _empty(value: Any) -> bool:
    """Whether there is nothing to show: no value, or a group of fields without one."""
    if isinstance(value, Mapping):
        return all(_empty(part) for part in value.values())
    return value is None or value in ("", [], ())


def _widths(table: Sequence[Sequence[str]], giving: Sequence[int]) -> list[int]:
    """Column widths; on a terminal the widest of those that may give way does so until all fit."""
    widths = [max(len(line[at]) for line in table) for at in range(len(table[0]))]
    if sys.stdout.isatty():
        room = shutil.get_terminal_size().columns - 2 * (len(widths) - 1)
        while sum(widths) > room and giving:
            widest = max(giving, key=lambda at: widths[at])
            if widths[widest] <= NARROWEST:
                break
            widths[widest] -= 1
    return widths


def _fit(cell: str, width: int) -> str:
    return f"{cell:<{width}}" if len(cell) <= width else cell[: width - 1] + "…"

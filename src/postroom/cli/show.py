"""Output: aligned columns and plain records for people, one JSON document for programs."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from postroom.cli.options import OPTIONS

__all__ = ["document", "items", "note", "plain", "record", "size"]


def items(
    rows: Iterable[Mapping[str, Any]], columns: Sequence[tuple[str, str]], *, empty: str
) -> None:
    """A list: ``{"v": 1, "items": [...]}``, or a table of (key, heading) columns."""
    found = list(rows)
    if OPTIONS.json:
        print(document({"items": found}))
        return
    if not found:
        print(empty)
        return
    table = [[heading for _, heading in columns]]
    table += [[plain(row.get(key)) for key, _ in columns] for row in found]
    widths = _widths(table)
    for line in table:
        cells = [_fit(cell, width) for cell, width in zip(line, widths, strict=True)]
        print("  ".join(cells).rstrip())


def record(data: Mapping[str, Any]) -> None:
    """One record: a JSON object with ``"v": 1``, or one line a field."""
    if OPTIONS.json:
        print(document(data))
        return
    _lines(data, 0)


def _lines(data: Mapping[str, Any], depth: int) -> None:
    names = [key for key, value in data.items() if not _empty(value)]
    width = max((len(name) for name in names), default=0)
    for name in names:
        value = data[name]
        if isinstance(value, Mapping):
            print(f"{'  ' * depth}{name}:")
            _lines(value, depth + 1)
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            print(f"{'  ' * depth}{name}:")
            for each in value:
                cells = ", ".join(
                    f"{key} {plain(part)}" for key, part in each.items() if not _empty(part)
                )
                print(f"{'  ' * (depth + 1)}- {cells}")
        else:
            print(f"{'  ' * depth}{name:<{width}}  {plain(value)}")


def document(data: Mapping[str, Any]) -> str:
    """A JSON document with ``"v": 1``; what a terminal would obey or hide stands there escaped."""
    text = json.dumps({"v": 1, **data}, default=str, ensure_ascii=False)
    return "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in text)


def note(text: str) -> None:
    """Something for the person, not for a program: on standard error, and not with ``--json``."""
    if not OPTIONS.json:
        print(plain(text), file=sys.stderr)


def plain(value: Any) -> str:
    """A value as a person reads it, on one line, with control characters made visible."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(plain(part) for part in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {plain(part)}" for key, part in value.items())
    return "".join(char if char.isprintable() else " " for char in str(value))


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


def _empty(value: Any) -> bool:
    return value is None or value in ("", [], {}, ())


def _widths(table: Sequence[Sequence[str]]) -> list[int]:
    """Column widths; the widest column gives way when a terminal is narrower than the table."""
    widths = [max(len(line[at]) for line in table) for at in range(len(table[0]))]
    if sys.stdout.isatty():
        room = shutil.get_terminal_size().columns - 2 * (len(widths) - 1)
        while sum(widths) > room and max(widths) > 12:
            widths[widths.index(max(widths))] -= 1
    return widths


def _fit(cell: str, width: int) -> str:
    return f"{cell:<{width}}" if len(cell) <= width else cell[: width - 1] + "…"

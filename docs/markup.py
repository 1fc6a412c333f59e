"""The shapes of a generated page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = ["page", "table"]

_NOTE = "<!-- Written by `make docs` from the code. Edits are lost. -->\n"


def page(title: str, *parts: str) -> str:
    return "\n".join(
        [_NOTE + f"# {title}\n", *(part.rstrip("\n") + "\n" for part in parts if part)]
    )


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    lines += ["| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")

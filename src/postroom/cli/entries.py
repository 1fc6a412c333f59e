"""How the ledger reads: a page of entries with the way to the next one, and everything about one."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from postroom.cli import show
from postroom.errors import NotThere

__all__ = ["check_ids", "show_page", "show_whole"]


def show_page(found: Any, name: str, wanted: Mapping[str, Any]) -> None:
    """A page of entries; ``wanted`` is what was asked for, by the names of the flags."""
    show.items(
        [one.as_json() for one in found],
        (
            ("id", "ID"),
            *(() if name else (("source", "SOURCE"),)),
            ("state", "STATE"),
            ("name", "NAME"),
            ("size", "SIZE"),
            ("reason", "REASON"),
        ),
        empty=_nothing(name, wanted),
        give=("name", "reason"),
        next=found.next,
    )
    if found:
        one = f"{found[0].source} {found[0].id}"
        show.note(f"Everything about one, and where it lies: postroom source ledger {one}")
    if found.next is not None:
        show.note(
            f"There are more than these {len(found)}. The next: {_again(found, name, wanted)}"
        )


def _nothing(name: str, wanted: Mapping[str, Any]) -> str:
    who = f"Source {name}" if name else "No source"
    verb = "remembers no message" if name else "remembers a message"
    asked = any(wanted[key] for key in ("message_id", "from_", "subject", "since", "until"))
    if asked:
        return f"{who} {verb} that fits."
    if wanted["state"]:
        return f"{who} {verb} that is {' or '.join(wanted['state'].split(','))}."
    return f"{who} {verb} yet."


def _again(found: Any, name: str, wanted: Mapping[str, Any]) -> str:
    """The command for the next page."""
    words = ["postroom", "source", "ledger", *([name] if name else [])]
    for key, value in {**wanted, "after": found.next}.items():
        flag = f"--{key.rstrip('_').replace('_', '-')}"
        if value is True:
            words.append(flag)
        elif value and (key, value) != ("limit", 50):
            words += [flag, str(value)]
    return shlex.join(words)


def check_ids(found: Any, name: str, ids: Sequence[int]) -> None:
    """Raise NotThere where one of the ids that were asked for is not among the entries."""
    missing = [str(one) for one in ids if one not in {each.id for each in found}]
    if missing:
        raise NotThere(
            f"Source {name} remembers no message with the id {' or '.join(missing)}.",
            hint=f"List them: postroom source ledger {name}",
        )


def show_whole(found: Any, ids: Sequence[int]) -> None:
    """Every fact of each entry, in the order in which they were asked for."""
    for number, one in enumerate(sorted(found, key=lambda one: ids.index(one.id))):
        if number:
            print()
        told = one.as_json()
        lies = told.pop("delivered_to")
        gone = told.pop("gone_at")
        show.record(
            {
                **told,
                "size": show.size(one.size),
                "lies_at": lies,
                "on_the_server": f"gone since {gone}"
                if gone
                else "still there, as far as is known",
            }
        )

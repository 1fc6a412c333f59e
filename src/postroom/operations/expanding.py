"""Sources as this room's variables make them, and what they may not do beside each other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from postroom.db import Tx
from postroom.errors import InvalidValue, WrongUse
from postroom.sources import store
from postroom.sources.naming import Naming
from postroom.sources.source import Folders, Source

if TYPE_CHECKING:  # the desk itself asks this room, by operations/untouched.py
    from postroom.operations.desk import Desk

__all__ = ["check_beside_others", "expanded", "naming"]


def check_beside_others(desk: Desk, tx: Tx, source: Source) -> None:
    """Raises InvalidValue for a folder or a directory that another source, or the room, has already."""
    _only_one_changes(desk, tx, source)
    _outside_the_room(desk, tx, source)
    _own_directory(desk, tx, source)


def _only_one_changes(desk: Desk, tx: Tx, source: Source) -> None:
    """Two sources may watch one folder; only one may move or delete what is in it."""
    if not _changes(source):
        return
    watched = _watched(desk, tx, source)
    for other in store.load_all(tx):
        same = other.name.casefold() == source.name.casefold()
        if not same and _changes(other) and _watched(desk, tx, other) == watched:
            raise InvalidValue(
                f"source {source.name}: after",
                f"source {other.name} already changes the messages of that folder; "
                "only one source may",
                hint=f"Use {_keeping(source)}, or let the other: "
                f"postroom source set {other.name} {_keeping(other)}",
            )


def _outside_the_room(desk: Desk, tx: Tx, source: Source) -> None:
    """Among the room's own files messages would be taken for its spool, and restored with it."""
    if not source.sink.place:
        return
    room = desk.data_dir.resolve()
    path = Path(expanded(desk, tx, source).sink.place)
    if not path.is_absolute():
        raise InvalidValue(
            f"source {source.name}: sink.path",
            f"{source.sink.place} stands for {path}, which begins nowhere",
            hint="Begin it with /, or with a variable that does.",
        )
    place = path.resolve()
    if place.is_relative_to(room):
        raise InvalidValue(
            f"source {source.name}: sink.path",
            f"{place} lies inside the room {room}",
            hint="Choose a directory outside of it; what is in the room is the room's own.",
        )


def _own_directory(desk: Desk, tx: Tx, source: Source) -> None:
    """Two mailboxes that share a directory, by whatever path, are an accident: told when saved."""
    place, watched = _place(desk, tx, source), _watched(desk, tx, source)
    for other in store.load_all(tx):
        same = other.name.casefold() == source.name.casefold()
        if same or source.sink.type != "directory" or other.sink.type != "directory":
            continue
        there = _place(desk, tx, other)
        if not place or not there or _watched(desk, tx, other) == watched:
            continue
        if place.is_relative_to(there) or there.is_relative_to(place):
            raise InvalidValue(
                f"source {source.name}: sink.path",
                f"source {other.name} writes to {there} from another mailbox or folder; each needs "
                "a directory of its own, neither inside the other",
            )


def _watched(desk: Desk, tx: Tx, source: Source) -> tuple[str, str]:
    """The mailbox and the folder that a source watches; INBOX is the same in any case."""
    expand = desk.expander(tx)
    try:
        folder = expand(source.folders.input, "folders.input")
        mailbox = desk.mailbox_of(tx, source.connection)
    except WrongUse:
        return source.name, ""  # broken: it watches nothing that another could
    return mailbox, "INBOX" if folder.upper() == "INBOX" else folder


def expanded(desk: Desk, tx: Tx, source: Source) -> Source:
    """The source with the macros of its folders expanded, and its sink's fixed directory.

    Raises WrongUse, also for an empty input folder, which a variable can make of any.
    """
    expand = desk.expander(tx)
    where = f"source {source.name}"
    folders = Folders(
        **{name: expand(value, f"{where}: folders.{name}") for name, value in source.folders}
    )
    if not folders.input.strip():
        raise InvalidValue(f"{where}: folders.input", "name a folder, such as INBOX")
    path, _ = desk.templates(tx)(source.sink.place, f"{where}: sink.path").split()
    return source.model_copy(update={"folders": folders, "sink": source.sink.at(path)})


def naming(desk: Desk, tx: Tx, source: Source) -> Naming:
    """What its messages are called: the name for people, and what lies below the sink's path."""
    prepare = desk.templates(tx)
    where = f"source {source.name}"
    _, below = prepare(source.sink.place, f"{where}: sink.path").split()
    return Naming(prepare(source.name_template, f"{where}: name_template"), below)


def _place(desk: Desk, tx: Tx, source: Source) -> Path | None:
    """The directory in which a source makes everything, links followed; None: it is broken."""
    try:
        return Path(expanded(desk, tx, source).sink.place).resolve()
    except WrongUse:
        return None


def _changes(source: Source) -> list[str]:
    """After which outcomes a source does anything to the messages on the server."""
    return [one for one in ("done", "error", "ignored") if source.action(one) != "keep"]


def _keeping(source: Source) -> str:
    """The flags with which a source does nothing to the messages on the server."""
    return " ".join(f"--set after.{outcome}=keep" for outcome in _changes(source))

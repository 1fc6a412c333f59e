"""Bugs to be seeded in what sends and collects; `mutants` says what each is and who must see it."""

from __future__ import annotations

import re
from typing import Any

from tests.faults.spots import patch

__all__ = ["cursor_before_store", "new_message_id", "retry_after_250", "skip_fsync"]


def retry_after_250() -> None:
    """A takeover of what may have been sent gives it back to be sent."""

    def new(old: Any) -> Any:
        def doubt(tx: Any, one: Any, owner: str, now: float, service: Any) -> None:
            from postroom.services import settle

            settle.put_back(tx, one, owner=owner, due_at=now, now=now)

        return doubt

    patch("postroom.services.settle:_doubt", new)


def new_message_id() -> None:
    """What is tried again has another Message-ID."""

    def new(old: Any) -> Any:
        def contents_of(tx: Any, items: Any) -> dict[str, bytes]:
            return {item: again(tx, item, content) for item, content in old(tx, items).items()}

        def again(tx: Any, item: str, content: bytes) -> bytes:
            tries = tx.value("SELECT attempts FROM outbox WHERE id = :id", id=item)
            if not tries:
                return content
            return re.sub(
                rb"(?mi)^Message-ID: <", b"Message-ID: <again%d." % tries, content, count=1
            )

        return contents_of

    patch("postroom.services.contents:contents_of", new)


def cursor_before_store() -> None:
    """The cursor moves behind a page in a transaction of its own, before the page is recorded."""

    def new(old: Any) -> Any:
        async def save(self: Any, folder: Any, seen: list[Any], cursor: str, **more: Any) -> Any:
            if seen:
                await old(self, folder, [], cursor, **more)
            return await old(self, folder, seen, cursor, **more)

        return save

    patch("postroom.sources.listing:Lister.save", new)


def skip_fsync() -> None:
    """The files of a batch are not synced before they get their names."""
    patch("postroom.sinks.files:_sync", lambda old: lambda files: None)

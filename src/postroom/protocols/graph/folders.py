"""Folders of the Graph store: naming them, making them, opening one with what changed in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from postroom.errors import FolderError, WireError
from postroom.protocols.base import Changes, Folder, FolderState, Since
from postroom.protocols.graph.cursors import Cursor, Leaf, leaf_of
from postroom.protocols.graph.described import SELECT, flags_of
from postroom.protocols.graph.refusals import SyncLost
from postroom.protocols.graph.requests import Single, id_of, quoted, rows_of
from postroom.protocols.graph.session import WELL_KNOWN, Session, known_of

__all__ = ["FolderVerbs"]

_MOST_LEAVES = 20
"""Pages of changes that are read when a folder is opened; the rest is listed, not told."""

PAGE = 500


class FolderVerbs(Session):
    """The verbs about folders."""

    _held: tuple[str, list[Leaf]] | None = None  # a cursor, and what was read from there on
    _link = ""  # where the next round of the open folder begins, once it is known

    async def folders(self) -> list[Folder]:
        """Every folder, level by level; what each is for is asked in one batch."""
        asked = [Single("GET", f"mailFolders/{name}?$select=id") for name in ("inbox", *WELL_KNOWN)]
        answers = await self._requests.batch(asked, step="folder")
        uses: dict[str, str] = {}
        for answer, use in zip(answers, ("INBOX", *WELL_KNOWN.values()), strict=True):
            if not self._left(answer, "folder"):
                uses[id_of(answer.json())] = use
        found: list[Folder] = []
        waiting: list[tuple[str, str]] = [("", "")]  # id and name of those to look below
        for above, prefix in waiting:  # grows while it is walked
            for row in await self._rows(above):
                known = known_of(row)
                use = uses.get(known.id, "")
                known.name = f"{prefix}/{known.name}" if prefix else known.name
                if use == "INBOX":
                    known.name, use = "INBOX", ""
                self._folders[known.name.lower()] = known
                found.append(Folder(known.name, use))
                if row.get("childFolderCount"):
                    waiting.append((known.id, known.name))
        return sorted(found, key=lambda folder: folder.name != "INBOX")

    async def create(self, folder: str) -> None:
        """Make the folder and what is above it unless it is there."""
        if folder.lower() == "inbox" or folder.startswith("\\"):
            return
        above, name = "", ""
        for part in folder.split("/"):
            name = f"{name}/{part}" if name else part
            try:
                known = await self._find(name, anew=True)
            except FolderError as error:
                if error.code != "folder_missing":
                    raise
                await self._make(above, part)
                known = await self._find(name, anew=True)
            above = known.id

    async def _make(self, above: str, name: str) -> None:
        path = f"mailFolders/{quoted(above)}/childFolders" if above else "mailFolders"
        try:
            await self._requests.post(path, {"displayName": name}, step="folder")
        except FolderError as error:
            if error.facts.get("graph") != "ErrorFolderExists":  # somebody else was quicker
                raise

    async def open(
        self, folder: str, *, read_only: bool = True, since: Mapping[str, Since] | None = None
    ) -> FolderState:
        """Open a folder; with ``since``, one that this store opened before costs one request.

        Its count is then as it was when it was opened first.  Raises FolderError.
        """
        known = self._folders.get(folder.lower())
        asked = (since or {}).get(known.name) if known is not None else None
        if known is None or asked is None:
            known = await self._find(folder, anew=not self._just_opened(folder))
            asked = (since or {}).get(known.name)
        self._opened, self._read_only = known, read_only
        self._held, self._link = None, ""
        changes = await self._changes(asked) if asked is not None else None
        cursor = asked.cursor if changes is not None and asked is not None else ""
        return FolderState(
            known.name, 0, known.exists, cursor or await self._newest(), read_only, changes=changes
        )

    def _just_opened(self, folder: str) -> bool:
        """Whether the folder was looked at when the connection was made, and not since."""
        fresh, self._fresh = self._fresh, ""
        return bool(fresh) and folder.lower() == fresh

    async def _newest(self) -> str:
        """The cursor behind everything that is there now."""
        query = {
            "$select": "id,receivedDateTime",
            "$orderby": "receivedDateTime desc",
            "$top": "25",
        }
        path = f"mailFolders/{quoted(self._folder().id)}/messages"
        said = await self._requests.get(self._requests.path(path, query), step="folder")
        rows = rows_of(said)
        last = str(rows[0].get("receivedDateTime", "")) if rows else ""
        same = tuple(str(row["id"]) for row in rows if row.get("receivedDateTime") == last)
        return str(Cursor(self._folder().id, "", last, same))

    async def _changes(self, since: Since) -> Changes | None:
        """What became of the folder: all of it is read before anything of it is told.

        What changed is told and listed too, since Graph does not say which of them are new.
        """
        cursor = Cursor.read(since.cursor)
        if since.uidvalidity or cursor is None:
            return None
        if cursor.folder != self._folder().id:  # another folder of the same name
            return Changes("", lost=True)
        if not cursor.link:
            return Changes(since.cursor)
        leaves: list[Leaf] = []
        try:
            link = cursor.link
            while len(leaves) < _MOST_LEAVES and (not leaves or not leaves[-1].last):
                leaves.append(await self._leaf(link, PAGE))
                link = self._requests.link(leaves[-1].link)
        except SyncLost:
            return Changes("", lost=True)
        self._held, self._link = (since.cursor, leaves), cursor.link
        gone: dict[str, None] = {}
        flags: dict[str, frozenset[str]] = {}
        for leaf in leaves:
            for row in leaf.rows:
                gone.pop(str(row["id"]), None)
                flags[str(row["id"])] = flags_of(row)
            gone |= dict.fromkeys(leaf.gone)
        told = {key: value for key, value in flags.items() if key not in gone}
        return Changes(since.cursor, list(gone), told, lost=not leaves[-1].last)

    async def _listed(self, query: dict[str, str], most: int = 0) -> list[dict[str, Any]]:
        """The messages of the open folder that a query gives, page after page; at most so many."""
        path = f"mailFolders/{quoted(self._folder().id)}/messages"
        target, followed = self._requests.path(path, query), set[str]()
        rows: list[dict[str, Any]] = []
        while target and target not in followed and not 0 < most <= len(rows):
            followed.add(target)
            said = await self._requests.get(target, step="folder")
            rows += rows_of(said)
            link = said.get("@odata.nextLink")
            target = self._requests.link(str(link)) if link else ""
        return rows[:most] if most else rows

    async def _leaf(self, target: str, page: int) -> Leaf:
        return leaf_of(await self._requests.get(target, step="folder", page=page))

    def _round(self) -> str:
        """Where a first round of the open folder begins."""
        path = f"mailFolders/{quoted(self._folder().id)}/messages/delta"
        return self._requests.path(path, {"$select": SELECT})

    async def _news(self) -> bool:
        """One request: whether anything came, went or changed in the open folder."""
        known = self._folder()
        if self._link:
            try:
                leaf = await self._leaf(self._link, PAGE)
            except SyncLost:
                return True
            return bool(leaf.rows or leaf.gone)
        query = {"$select": "id,displayName,totalItemCount,unreadItemCount"}
        target = self._requests.path(f"mailFolders/{quoted(known.id)}", query)
        now = known_of(await self._requests.get(target, step="folder"))
        changed = (now.exists, now.unread) != (known.exists, known.unread)
        known.exists, known.unread = now.exists, now.unread
        return changed

    def _no_append(self) -> WireError:
        return WireError(
            "Microsoft Graph takes a message into a folder as a draft alone, so none is put there.",
            code="not_supported",
            hint="What is sent by Microsoft 365 lies in its Sent Items by itself.",
        )

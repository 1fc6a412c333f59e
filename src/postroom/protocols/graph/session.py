"""What the verbs of the Graph store share: the mailbox, its folders by name, the open one."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Final

from postroom.errors import FolderError
from postroom.net.http_message import HttpAnswer
from postroom.protocols.graph.refusals import gone, refusal
from postroom.protocols.graph.requests import Requests, Single, id_of, quoted, rows_of, strange

__all__ = ["WELL_KNOWN", "Known", "Session", "known_of"]

WELL_KNOWN: Final = {
    "archive": "\\Archive",
    "drafts": "\\Drafts",
    "junkemail": "\\Junk",
    "sentitems": "\\Sent",
    "deleteditems": "\\Trash",
}
"""Graph's names of folders that every mailbox has, whatever its language; and RFC 6154's."""

_USES: Final = {use.lower(): name for name, use in WELL_KNOWN.items()}
_COUNTS: Final = {"$select": "id,displayName,totalItemCount,unreadItemCount"}
_PAGE: Final = "100"


@dataclasses.dataclass(slots=True)
class Known:
    """A folder as it was last seen: its name for people, its id, how many messages, how many unread."""

    name: str
    id: str
    exists: int = 0
    unread: int = 0


class Session:
    """One mailbox, one open folder."""

    def __init__(self, requests: Requests) -> None:
        self._requests = requests
        self._folders: dict[str, Known] = {}  # by the name asked for, small letters
        self._opened: Known | None = None
        self._read_only = True
        self._fresh = ""  # the folder that was looked at when the connection was made

    def begin(self, inbox: Known) -> None:
        """What opening the connection has shown already."""
        self._folders["inbox"], self._fresh = inbox, "inbox"

    # ------------------------------------------------------------------- the open folder

    def _folder(self) -> Known:
        if self._opened is None:
            raise FolderError("No folder is open.", hint="Open one first.")
        return self._opened

    def _writable(self) -> Known:
        if self._read_only:
            raise FolderError(
                "The folder was opened to read only; nothing was changed.", code="read_only"
            )
        return self._folder()

    async def _there(self, ids: Sequence[str], select: str, *, step: str) -> list[dict[str, Any]]:
        """These messages, as far as they are in the open folder: an id outlives a move."""
        folder = self._folder().id
        asked = [Single("GET", f"messages/{quoted(one)}?$select={select}") for one in ids]
        rows = []
        for answer in await self._requests.batch(asked, step=step):
            if self._left(answer, step):
                continue
            row = answer.json()
            id_of(row, step)
            if row.get("parentFolderId") == folder:
                rows.append(row)
        return rows

    def _left(self, answer: HttpAnswer, step: str) -> bool:
        """Whether the message of that answer is no longer there.  Raises what else is wrong."""
        if gone(answer):
            return True
        if not 200 <= answer.status < 300:
            raise refusal(answer, step=step, late=True)
        return False

    # ------------------------------------------------------------------- folders by name

    async def _find(self, name: str, *, anew: bool = False) -> Known:
        """The folder of a name, a path with ``/``, or a special use.

        Raises FolderError(``folder_missing``).
        """
        known = self._folders.get(name.lower())
        if known is not None and not anew:
            return known
        short = "inbox" if name.lower() == "inbox" else _USES.get(name.lower(), "")
        found = await (self._well_known(short, name) if short else self._walk(name))
        self._folders[name.lower()] = self._folders[found.name.lower()] = found
        return found

    async def _well_known(self, short: str, name: str) -> Known:
        target = self._requests.path(f"mailFolders/{short}", _COUNTS)
        answer = await self._requests.ask("GET", target, step="folder", lets=(404,))
        if answer.status == 404:
            if gone(answer):
                raise _missing(name)
            raise refusal(answer, step="folder")
        return known_of(answer.json(), "INBOX" if short == "inbox" else "")

    async def _walk(self, path: str) -> Known:
        """One request for each level: Graph has no paths."""
        above, name = "", ""
        found: Known | None = None
        for part in path.split("/"):
            name = f"{name}/{part}" if name else part
            if name.lower() == "inbox":
                found = await self._find("INBOX")
            else:
                found = next((f for f in await self._below(above, name) if f.name == name), None)
            if found is None:
                raise _missing(path)
            above = found.id
        if found is None:
            raise _missing(path)
        return found

    async def _below(self, above: str, like: str) -> list[Known]:
        """The folders below one (``""``: the topmost), named beside ``like``."""
        prefix = like.rpartition("/")[0]
        found = [known_of(row) for row in await self._rows(above)]
        for one in found if prefix else ():
            one.name = f"{prefix}/{one.name}"
        return found

    async def _rows(self, above: str) -> list[dict[str, Any]]:
        path = f"mailFolders/{quoted(above)}/childFolders" if above else "mailFolders"
        select = f"{_COUNTS['$select']},childFolderCount"
        target = self._requests.path(path, {"$top": _PAGE, "$select": select})
        rows: list[dict[str, Any]] = []
        followed: set[str] = set()
        while target and target not in followed:
            followed.add(target)
            said = await self._requests.get(target, step="folder")
            rows += rows_of(said)
            link = said.get("@odata.nextLink")
            target = self._requests.link(str(link)) if link else ""
        return rows

    async def close(self) -> None:
        """Close the connections.  Graph knows no goodbye."""
        await self._requests.close()

    def abandon(self) -> None:
        """Close at once.  Never raises."""
        self._requests.abandon()


def known_of(row: dict[str, Any], name: str = "") -> Known:
    """A folder out of Graph's description.  Raises WireError."""
    try:
        return Known(
            name or str(row["displayName"]),
            id_of(row),
            int(row.get("totalItemCount") or 0),
            int(row.get("unreadItemCount") or 0),
        )
    except (LookupError, TypeError, ValueError):
        raise strange("folder") from None


def _missing(name: str) -> FolderError:
    return FolderError(
        f"There is no folder {name}.",
        code="folder_missing",
        hint="Folders have the names that the mailbox shows, in its language; \\Archive, \\Sent and "
        "\\Trash stand for those that every mailbox has.",
    )

"""Folders: list them with their use (RFC 6154), create, open (RFC 9051, 6.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from postroom.errors import FolderError
from postroom.protocols.base import Changes, Folder, FolderState, Since
from postroom.protocols.imap import commands
from postroom.protocols.imap.names import check_name
from postroom.protocols.imap.opened import Opened
from postroom.protocols.imap.refusals import folder_refused, not_understood
from postroom.protocols.imap.responses import Event, Fetch, Listed, Status
from postroom.protocols.imap.resync import Resync, write_cursor

__all__ = ["FolderVerbs"]

_USES: Final = {
    use.lower(): use for use in ("\\Archive", "\\Drafts", "\\Junk", "\\Sent", "\\Trash")
} | {"\\spam": "\\Junk"}  # XLIST's word

# What folders are called where the server does not say what they are for.
_CUSTOMARY: Final[dict[str, tuple[str, ...]]] = {
    "\\Archive": ("Archive", "Archives"),
    "\\Drafts": ("Drafts",),
    "\\Junk": ("Junk", "Spam", "Junk Email", "Junk E-mail"),
    "\\Sent": ("Sent", "Sent Items", "Sent Messages"),
    "\\Trash": ("Trash", "Deleted Items", "Deleted Messages"),
}


class FolderVerbs(Opened):
    """folders, create, open."""

    async def folders(self) -> list[Folder]:
        """Every folder that can be named, in the server's order.  Raises WireError."""
        naming = await self._names()
        found: dict[str, Folder] = {}
        for listed in await self._list(b"*"):
            name = naming.from_wire(listed.name)
            use = next((_USES[a] for a in listed.attributes if a in _USES), "")
            selectable = not listed.attributes & {"\\noselect", "\\nonexistent"}
            found.setdefault(name, Folder(name, use, selectable))
        return list(found.values())

    async def create(self, folder: str) -> None:
        """Create the folder, and what is above it, unless it is there.  Raises FolderError."""
        name = await self._named(folder)
        raw = await self._wire_name(name)
        done = await self._session.run(commands.on_folder("CREATE", raw))
        if done.state != "OK":
            if done.code == "ALREADYEXISTS" or await self._is_there(raw):
                return
            # RFC 9051, 6.3.4: a server SHOULD make what is above it; some do not
            if "/" in name and done.code not in {"OVERQUOTA", "NOPERM"}:
                await self.create(name.rpartition("/")[0])
                done = await self._session.run(commands.on_folder("CREATE", raw))
            if done.state != "OK":
                raise folder_refused(self._session, done, folder)
        # else mail programs would not show it; a server without subscriptions may refuse
        await self._session.run(commands.on_folder("SUBSCRIBE", raw))

    async def open(
        self, folder: str, *, read_only: bool = True, since: Mapping[str, Since] | None = None
    ) -> FolderState:
        """Open a folder by name or special use; see base.MessageStore.

        Raises FolderError (``folder_missing``, ``deferred``), InvalidValue.
        """
        name = await self._named(folder)
        known = (since or {}).get(name)
        resync = Resync(known) if known is not None and known.uidvalidity else None
        told = await self._select(name, read_only, resync)
        validity = _number(told.get("UIDVALIDITY", ""))
        modseq = _number(told.get("HIGHESTMODSEQ", ""))
        changes = await self._changes(resync, validity, modseq)
        self._prefix = f"{validity}-"
        self._uidnext = _number(told.get("UIDNEXT", ""))
        next_uid = self._uidnext or await self._next_uid()
        self._state = FolderState(
            name=name,
            uidvalidity=validity,
            exists=self._session.exists,
            next_cursor=write_cursor(next_uid - 1, modseq),
            read_only=read_only or "READ-ONLY" in told,
            modseq=modseq,
            changes=changes,
        )
        return self._state

    async def _select(self, name: str, read_only: bool, resync: Resync | None) -> dict[str, str]:
        """SELECT or EXAMINE; gives the codes the server told, with their arguments."""
        raw = await self._wire_name(name)
        session = self._session
        told: dict[str, str] = {}

        def take(event: Event) -> bool:
            if isinstance(event, Status) and event.code:
                told[event.code] = event.argument
            return isinstance(event, Status) or (resync is not None and resync.take(event))

        self._state = None
        self._sizes.clear()
        session.exists = 0
        verb = "EXAMINE" if read_only else "SELECT"
        done = None
        if resync is not None and resync.possible and "QRESYNC" in session.extensions:
            done = await session.run(commands.on_folder(verb, raw, resync.parameter()), take)
            if done.state == "BAD":  # it announces what it does not know
                session.extensions.drop("QRESYNC")
                resync.refused()
                done = None
        if done is None:
            asks = session.can("CONDSTORE") and not session.can("ENABLE")  # else it is on already
            command = commands.on_folder(verb, raw, *(["(CONDSTORE)"] if asks else []))
            done = await session.run(command, take)
        if done.state != "OK":
            raise folder_refused(session, done, name, missing=True)
        session.news = False
        self._synced = True
        self._counts = session.counts
        if done.code:
            told[done.code] = done.argument
        return told

    async def _changes(self, resync: Resync | None, validity: int, modseq: int) -> Changes | None:
        """What changed since; asks for the flags where only CONDSTORE is there to tell."""
        if resync is None:
            return None
        asked = resync.changed_since(validity, modseq)
        if asked is not None:
            uids, since = asked
            done = await self._session.run(
                commands.plain("UID FETCH", uids, "(FLAGS)", since), resync.take
            )
            if done.state != "OK":
                raise not_understood(self._session, done)
        return resync.changes(validity, modseq, tells="QRESYNC" in self._session.extensions)

    async def _next_uid(self) -> int:
        """UIDNEXT where the server did not tell: one more than the last uid there is."""
        last: list[int] = [0]

        def take(event: Event) -> bool:
            if isinstance(event, Fetch):
                last.append(event.uid)
            return isinstance(event, Fetch)

        if self._session.exists:
            done = await self._session.run(commands.plain("UID FETCH", "*", "(UID)"), take)
            if done.state != "OK":
                raise not_understood(self._session, done)
        return max(last) + 1

    async def _named(self, folder: str) -> str:
        """The name of a folder given by name or by special use.  Raises FolderError."""
        check_name(folder)
        if folder.upper() == "INBOX":  # the one name without regard to case, RFC 9051, 5.1
            return "INBOX"
        if not folder.startswith("\\"):
            return folder
        use = _USES.get(folder.lower())
        there = await self.folders() if use else []
        for found in there:
            if found.special_use == use:
                return found.name
        names = {found.name.lower(): found.name for found in there}
        for customary in _CUSTOMARY.get(use or "", ()):
            if customary.lower() in names:
                return names[customary.lower()]
        raise FolderError(
            f"The server has no folder for {folder}.",
            code="folder_missing",
            hint="Name the folder instead.",
        )

    async def _list(self, pattern: bytes) -> list[Listed]:
        found: list[Listed] = []

        def take(event: Event) -> bool:
            if isinstance(event, Listed):
                found.append(event)
            return isinstance(event, Listed)

        asked = self._session.can("SPECIAL-USE") and self._session.can("LIST-EXTENDED")
        command = commands.list_folders(pattern, special_use=asked)
        await self._ok(command, "the list of folders", take)
        return found

    async def _is_there(self, raw: bytes) -> bool:
        # a name may hold the wildcards * and %, so the answer is compared
        return any(
            listed.name == raw and "\\nonexistent" not in listed.attributes
            for listed in await self._list(raw)
        )


def _number(text: str) -> int:
    word = text.strip()
    return int(word) if word.isascii() and word.isdigit() and len(word) <= 20 else 0

"""Changing: flags, copy, move, delete, append (RFC 9051, 6.3.12 and 6.4; RFC 4315; RFC 6851).

Plain EXPUNGE and CLOSE are never sent: they would take messages that somebody else has flagged.
"""

from __future__ import annotations

from collections.abc import Sequence

from postroom.errors import ProtocolError
from postroom.protocols.imap import commands
from postroom.protocols.imap.folders import FolderVerbs
from postroom.protocols.imap.refusals import folder_refused
from postroom.protocols.imap.responses import Done, Event, Status
from postroom.protocols.imap.sets import count, members, parse_set

__all__ = ["ChangeVerbs"]


class ChangeVerbs(FolderVerbs):
    """flag, copy, move, delete, append."""

    async def flag(
        self, ids: Sequence[str], *, add: Sequence[str] = (), remove: Sequence[str] = ()
    ) -> None:
        """Set and clear flags and keywords.  Raises WireError, InvalidValue."""
        uids = self._uids(ids)
        for flag in (*add, *remove):
            commands.server_flag(flag)
        if add:
            await self._store(uids, "+", add)
        if remove:
            await self._store(uids, "-", remove)

    async def copy(self, ids: Sequence[str], folder: str) -> dict[str, str]:
        """Copy; gives the new id of each where the server tells.  Raises FolderError."""
        return await self._transfer(ids, folder, move=False)

    async def move(self, ids: Sequence[str], folder: str) -> dict[str, str]:
        """Move; where the server cannot, copy and delete exactly these.

        Without MOVE and without UIDPLUS the originals are flagged as deleted and left there.
        """
        if self._session.can("MOVE"):
            return await self._transfer(ids, folder, move=True)
        self._changeable()
        copied = await self._transfer(ids, folder, move=False)
        await self.delete(ids)
        return copied

    async def delete(self, ids: Sequence[str]) -> bool:
        """Delete exactly these.  False: flagged as deleted and left, for want of UIDPLUS."""
        uids = self._uids(ids)
        await self._store(uids, "+", ["deleted"])
        if not self._session.can("UIDPLUS"):
            return False
        await self._each(uids, commands.expunge, self._opened().name)
        return True

    async def append(self, folder: str, message: bytes, *, flags: Sequence[str] = ()) -> str:
        """Put a message into a folder; gives its id where the server tells, else ``""``."""
        name = await self._named(folder)
        raw = await self._wire_name(name)
        done: Done | None = None
        if "UTF8=ACCEPT" in self._session.extensions and not _header(message).isascii():
            command = commands.append(raw, message, flags, utf8=True)
            done = await self._session.run(command)
            if done.state == "BAD":  # as RFC 9755 has it, where a plain literal does
                done = None
            elif done.state != "OK":
                raise folder_refused(self._session, done, name)
        if done is None:
            done = await self._ok(commands.append(raw, message, flags), name)
        words = done.argument.split()
        if done.code == "APPENDUID" and len(words) == 2 and all(w.isdecimal() for w in words):
            return f"{words[0]}-{words[1]}"
        return ""

    async def _store(self, uids: Sequence[int], sign: str, flags: Sequence[str]) -> None:
        name = self._changeable().name
        await self._each(uids, lambda part: commands.store(part, sign, flags), name)

    async def _transfer(self, ids: Sequence[str], folder: str, *, move: bool) -> dict[str, str]:
        uids = self._uids(ids)
        if move:
            self._changeable()
        name = await self._named(folder)
        raw = await self._wire_name(name)
        new: dict[str, str] = {}

        def take(event: Event) -> bool:
            # MOVE tells it before the reply, RFC 6851, 4.3
            if isinstance(event, Status):
                new.update(self._copied(event, len(uids)))
            return isinstance(event, Status)

        replies = await self._each(
            uids, lambda part: commands.copy(part, raw, move=move), name, take
        )
        for done in replies:
            new.update(self._copied(done, len(uids)))
        return new

    def _copied(self, status: Status, most: int) -> dict[str, str]:
        """Old ids to new ones out of COPYUID (RFC 4315, 3)."""
        words = status.argument.split()
        if status.code != "COPYUID" or len(words) != 3 or not words[0].isdecimal():
            return {}
        old, new = parse_set(words[1]), parse_set(words[2])
        if count(old) != count(new) or count(old) > most:
            raise ProtocolError("The server copied other messages than it was asked to.")
        return {
            f"{self._prefix}{before}": f"{words[0]}-{after}"
            for before, after in zip(members(old), members(new), strict=True)
        }


def _header(message: bytes) -> bytes:
    return message.partition(b"\r\n\r\n")[0]

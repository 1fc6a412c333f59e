"""pymap's Maildir, told to hand out messages as they lie on the disk.

As it comes, pymap parses a file with :mod:`email` and writes it anew: line ends become bare LF and
a broken message comes out mended.  A demo of collecting broken messages needs them broken.
"""

from __future__ import annotations

import re
from mailbox import MaildirMessage
from pathlib import Path
from typing import Any

from pymap.backend.maildir import Config, Identity, Login
from pymap.backend.maildir.layout import MaildirLayout
from pymap.backend.maildir.mailbox import Maildir
from pymap.interfaces.login import IdentityInterface

__all__ = ["WholeLogin"]

_BARE_LF = re.compile(rb"(?<!\r)\n")


class _WholeMessage(MaildirMessage):
    """A message whose bytes are those of its file, with CRLF line ends (RFC 9051, 2.2)."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self._data = _BARE_LF.sub(b"\r\n", data)

    def __bytes__(self) -> bytes:
        return self._data


class _WholeMaildir(Maildir):
    def get_message(self, key: str) -> MaildirMessage:
        return _WholeMessage(Path(self._join(self._lookup(key))).read_bytes())


class _WholeIdentity(Identity):
    def _load_maildir(self, mailbox_path: str) -> tuple[Maildir, MaildirLayout[Any]]:
        path = str(Path(self._base_dir, mailbox_path))
        layout = MaildirLayout.get(path, self.config.layout, _WholeMaildir)
        return _WholeMaildir(path, create=False), layout


class WholeLogin(Login):
    """pymap's sign-in, from which sessions on whole messages start."""

    config: Config

    async def authorize(self, authenticated: IdentityInterface, authzid: str) -> Identity:
        """The signed-in user's identity; only their own (pymap's rule)."""
        granted = await super().authorize(authenticated, authzid)
        return _WholeIdentity(self.config, self.tokens, granted.name, None, granted.roles)

"""The people of ground.test: one passwd-file and one home each, made at any time."""

from __future__ import annotations

import base64
import grp
import itertools
import os
import pwd
from dataclasses import dataclass
from pathlib import Path

from tests.ground.handed import hand_out, unique

__all__ = ["DOMAIN", "Account", "User", "Users", "service_account"]

DOMAIN = "ground.test"
WEIRD_PASSWORD = 'pä ss"w\\o{r}d%:&=+'


@dataclass(frozen=True, slots=True)
class User:
    """Somebody with a home: the address is the user name, the Maildir is made at first use."""

    address: str
    password: str
    maildir: Path


@dataclass(frozen=True, slots=True)
class Account:
    """The account of the operating system that Dovecot runs as."""

    name: str
    group: str
    uid: int
    gid: int


def service_account() -> Account:
    """Debian's `dovecot` for root (or `nobody`), otherwise ourselves."""
    if os.getuid() != 0:
        entry = pwd.getpwuid(os.getuid())
    else:
        try:
            entry = pwd.getpwnam("dovecot")
        except KeyError:
            entry = pwd.getpwnam("nobody")
    return Account(entry.pw_name, grp.getgrgid(entry.pw_gid).gr_name, entry.pw_uid, entry.pw_gid)


class Users:
    """Makes users as files that Dovecot reads at each sign-in."""

    def __init__(self, folder: Path, account: Account) -> None:
        """Make the standing users below `folder`, owned by `account`."""
        self.files = folder / "users"
        self.homes = folder / "home"
        self.account = account
        for path in (self.files, self.homes):
            path.mkdir()
            os.chown(path, account.uid, account.gid)
        self._numbers = itertools.count(1)
        self.alice = self.add("alice")
        self.bob = self.add("bob")
        self.carol = self.add("carol")
        self.quota = self.add("quota", quota_kib=100)
        self.empty = self.add("empty")
        self.weird = self.add("weird", WEIRD_PASSWORD)
        self.locked = self.add("locked", extra="nologin reason=Account_is_locked")
        self.big = self.add("big")
        self.app = self.add("app")

    def add(
        self,
        name: str | None = None,
        password: str | None = None,
        *,
        quota_kib: int | None = None,
        extra: str = "",
    ) -> User:
        """A user who can sign in at once; without a name a new one (`u1`, `u2`, ...).

        `extra` holds Dovecot's own passwd-file fields. A name that exists gets the new settings.
        """
        name = name or f"u{next(self._numbers)}"
        address = f"{name}@{DOMAIN}"
        password = hand_out(unique(f"pw-{name}") if password is None else password)
        # Base64 lets a password hold a colon, quotes and UTF-8 in a file of colons.
        secret = "{PLAIN.b64}" + base64.b64encode(password.encode()).decode()
        quota = f"userdb_quota_rule=*:storage={quota_kib}k" if quota_kib else ""
        home = self.homes / name
        if not home.exists():
            home.mkdir(mode=0o755)
            os.chown(home, self.account.uid, self.account.gid)
        fields = [address, secret, str(self.account.uid), str(self.account.gid), "", str(home), ""]
        line = ":".join([*fields, f"{quota} {extra}".strip()]) + "\n"
        draft = self.files / f".{name}"
        draft.write_text(line)
        os.chown(draft, self.account.uid, self.account.gid)
        draft.rename(self.files / address)
        return User(address, password, home / "Maildir")

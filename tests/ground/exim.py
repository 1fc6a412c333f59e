"""Exim: the second server for submission, in a jail, with users and deliveries of its own."""

from __future__ import annotations

import itertools
from pathlib import Path

from tests.ground.daemons import RunFolder, read_template, wait_for_greeting
from tests.ground.jail import Jail
from tests.ground.pki import Pki
from tests.ground.users import DOMAIN, User

__all__ = ["Exim"]

_PORTS = ("submission", "smtps", "plain")


class Exim:
    """A running Exim on 127.0.0.1; it knows nothing of Dovecot and Postfix.

    submission: STARTTLS offered, and sign-in only after it. smtps: TLS from the first byte. plain:
    sign-in without TLS. PLAIN and LOGIN, no OAuth. All stop at 1 MiB and 20 recipients.

    Recipients of ground.test: people made by `user` get it into their Maildir; unknown@ 550 5.1.1;
    policy@ 550 5.7.1; retry@ 450 4.2.0. `X-Ground: refuse` is refused at the end of DATA (550
    5.7.1). Mail for any other domain is thrown away.
    """

    def __init__(self, run: RunFolder, pki: Pki) -> None:
        """Start it (about 0.1 s).

        Raises Unavailable without root or without the unpacked package.
        """
        self._jail = Jail(run, "Exim", "usr/sbin/exim4", ("Debian-exim",))
        self._users: dict[str, User] = {}
        self._numbers = itertools.count(1)
        self.host = "127.0.0.1"
        ports = run.ports(_PORTS, self.host)
        self.submission, self.smtps, self.plain = (ports[name] for name in _PORTS)
        for folder in ("spool", "log"):
            self._jail.folder(folder, 0o750)
        self._jail.file("cert.pem", pki.pairs["good"].cert.read_text())
        self._jail.file("key.pem", pki.pairs["good"].key.read_text(), secret=True)
        values = {
            "host": self.host,
            "domain": DOMAIN,
            "user": self._jail.account.name,
            "group": self._jail.account.group,
            **ports,
        }
        self._jail.file("etc/exim4/exim4.conf", read_template("exim.conf", values))
        self._tell()
        self._jail.start(["/usr/sbin/exim4", "-bdf"], "stderr")
        wait_for_greeting(run, self.host, self.submission)

    @property
    def log(self) -> Path:
        """Its main log."""
        return self._jail.root / "log/main"

    def user(self, password: str | None = None) -> User:
        """A fresh person who can sign in, send and receive at once."""
        name = f"e{next(self._numbers)}"
        self._users[name] = made = self._jail.person(name, password)
        self._tell()
        return made

    def _tell(self) -> None:
        people = self._users.items()
        self._jail.file(
            "users", "".join(f"{u.address}: {u.password}\n" for _, u in people), secret=True
        )
        self._jail.file("homes", "".join(f"{name}: {name}\n" for name, _ in people))

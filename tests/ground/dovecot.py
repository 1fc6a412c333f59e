"""Dovecot: one good instance and small ones with something wrong, each started when asked for."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tests.ground import maildir
from tests.ground.daemons import RunFolder, read_template, unavailable, wait_for_greeting
from tests.ground.oauth import AuthorizationServer
from tests.ground.pki import Pki
from tests.ground.users import DOMAIN, User, Users, service_account

__all__ = ["TOKENS", "Dovecot", "Instance"]

_PORTS = ("imap", "imaps", "pop3", "pop3s", "lmtp")
TOKENS = "oauth"
"""The name of the instance that takes tokens; Postfix knows its socket by it."""

_BARE_CAPABILITY = "IMAP4rev1 LITERAL+ SASL-IR"


@dataclass(frozen=True, slots=True)
class Instance:
    """A running Dovecot. `imap` and `pop3` offer STARTTLS, `imaps` and `pop3s` begin with TLS."""

    name: str
    host: str
    imap: int
    imaps: int
    pop3: int
    pop3s: int
    lmtp: int
    auth_socket: Path
    log: Path


class Dovecot:
    """All instances share one set of users and one set of mail homes.

    The instance `main` runs from the beginning and its ports are attributes here too.
    """

    def __init__(self, run: RunFolder, pki: Pki) -> None:
        """Start `main` (about 0.1 s).

        Raises Unavailable without Dovecot.
        """
        path = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"
        program = shutil.which("dovecot", path=path)
        if program is None or not Path("/usr/lib/dovecot/pop3").exists():
            raise unavailable(
                "Dovecot is missing: apt-get install dovecot-imapd dovecot-pop3d dovecot-lmtpd"
            )
        self._program, self._run, self._pki = program, run, pki
        self._account = service_account()
        for pair in pki.pairs.values():
            os.chown(pair.key, self._account.uid, self._account.gid)
        self.users = Users(run.path, self._account)
        self.main = self._start("main")

    @cached_property
    def wronghost(self) -> Instance:
        """Its certificate is for another host."""
        return self._start("wronghost", variant="wronghost")

    @cached_property
    def expired(self) -> Instance:
        """Its certificate ended yesterday."""
        return self._start("expired", variant="expired")

    @cached_property
    def selfsigned(self) -> Instance:
        """Its certificate is signed by itself."""
        return self._start("selfsigned", variant="selfsigned")

    @cached_property
    def bare(self) -> Instance:
        """It announces plain IMAP4rev1: no UIDPLUS, MOVE, IDLE, CONDSTORE, QRESYNC, ESEARCH.

        Dovecot would still obey their commands: assert with a proxy's transcript that none came.
        """
        return self._start("bare", capability=_BARE_CAPABILITY)

    @cached_property
    def condstore(self) -> Instance:
        """It announces CONDSTORE and ENABLE, and no QRESYNC."""
        return self._start("condstore", capability=f"{_BARE_CAPABILITY} ENABLE CONDSTORE UIDPLUS")

    @cached_property
    def strict(self) -> Instance:
        """LOGINDISABLED without TLS. It listens on 127.0.0.2: only peers of the same address as
        its own count as secure for Dovecot, and ours come from 127.0.0.1.
        """
        return self._start("strict", host="127.0.0.2", plaintext=False)

    @cached_property
    def loginonly(self) -> Instance:
        """It offers SASL LOGIN and no PLAIN, as some Exchange servers and old appliances do."""
        return self._start("loginonly", mechanisms="login")

    @cached_property
    def mutual(self) -> Instance:
        """It wants a certificate of the test CA from its clients, such as `pki.client`."""
        return self._start("mutual", client_ca=self._pki.ca)

    def with_tokens(self, server: AuthorizationServer) -> Instance:
        """One that asks that server about tokens (RFC 7662); its users sign in by password too."""
        values = {
            "port": server.port,
            "client": server.introspector.id,
            "secret": server.introspector.secret,
            "introspection": server.endpoint("introspect").partition("/localhost:")[2],
            "issuer": server.issuer,
            "ca": self._pki.ca,
        }
        file = self._run.path / "oauth2.conf"
        file.write_text(read_template("oauth2.conf", values))
        file.chmod(0o600)
        os.chown(file, self._account.uid, self._account.gid)
        passdb = (
            "passdb {\n  driver = oauth2\n  mechanisms = xoauth2 oauthbearer\n"
            f"  args = {file}\n}}\n"
        )
        return self._start(TOKENS, mechanisms="plain login xoauth2 oauthbearer", passdb=passdb)

    @property
    def host(self) -> str:
        """The address of `main`."""
        return self.main.host

    @property
    def imap(self) -> int:
        """IMAP port of `main`, STARTTLS offered."""
        return self.main.imap

    @property
    def imaps(self) -> int:
        """IMAP over TLS port of `main`."""
        return self.main.imaps

    @property
    def pop3(self) -> int:
        """POP3 port of `main`, STLS offered."""
        return self.main.pop3

    @property
    def pop3s(self) -> int:
        """POP3 over TLS port of `main`."""
        return self.main.pop3s

    def user(
        self, password: str | None = None, *, name: str | None = None, quota_kib: int | None = None
    ) -> User:
        """A fresh user who can sign in, send and receive at once."""
        return self.users.add(name, password, quota_kib=quota_kib)

    def fill(
        self, user: User, messages: Iterable[bytes], folder: str = "INBOX", flags: str = ""
    ) -> int:
        """Write messages into the user's folder as files; see maildir.fill."""
        owner = (self._account.uid, self._account.gid)
        return maildir.fill(user.maildir, messages, folder=folder, flags=flags, owner=owner)

    def _start(
        self,
        name: str,
        *,
        variant: str = "good",
        host: str = "127.0.0.1",
        plaintext: bool = True,
        capability: str = "",
        mechanisms: str = "plain login",
        client_ca: Path | None = None,
        passdb: str = "",
    ) -> Instance:
        folder = self._run.path / f"d-{name}"
        folder.mkdir(mode=0o711)
        os.chown(folder, self._account.uid, self._account.gid)
        ports = self._run.ports(_PORTS, host)
        values = {
            "name": f"ground-{name}",
            "folder": folder,
            "host": host,
            "user": self._account.name,
            "group": self._account.group,
            "users": self.users.files,
            "domain": DOMAIN,
            "cert": self._pki.pairs[variant].cert,
            "key": self._pki.pairs[variant].key,
            "disable_plaintext_auth": "no" if plaintext else "yes",
            "imap_capability": capability,
            "mechanisms": mechanisms,
            "passdb": passdb,
            "client_ca": f"<{client_ca}" if client_ca else "",
            "want_client": "yes" if client_ca else "no",
            **ports,
        }
        conf = folder / "dovecot.conf"
        conf.write_text(read_template("dovecot.conf", values))
        as_user = self._account.name if os.getuid() == 0 else None
        log = folder / "log"
        self._run.start([self._program, "-F", "-c", str(conf)], folder / "stderr", as_user)
        wait_for_greeting(self._run, host, ports["imap"])
        return Instance(name, host, **ports, auth_socket=folder / "run/auth-postfix", log=log)

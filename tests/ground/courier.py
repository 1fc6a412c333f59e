"""Courier: the second server for IMAP and POP3, in a jail, with people of its own."""

from __future__ import annotations

import base64
import hashlib
import itertools
from collections.abc import Iterable

from tests.ground import maildir
from tests.ground.daemons import RunFolder, wait_for_greeting
from tests.ground.jail import Jail
from tests.ground.pki import Pki
from tests.ground.users import User

__all__ = ["Courier"]

_PORTS = ("imap", "imaps", "pop3", "pop3s")
_LIBRARY = "/usr/lib/courier/courier"
_CAPABILITY = (
    "IMAP4rev1 UIDPLUS CHILDREN NAMESPACE THREAD=ORDEREDSUBJECT THREAD=REFERENCES SORT QUOTA IDLE"
)
# What Debian's /etc/courier says, but for the pace of IDLE (60 s there) and POP3's mechanisms
# (none there).
_SETTINGS = {
    "COURIERTLS": "/usr/bin/couriertls",
    "TLS_CERTFILE": "/server.pem",
    "TLS_VERIFYPEER": "NONE",
    "IMAP_CAPABILITY": _CAPABILITY,
    "IMAP_CAPABILITY_TLS": f"{_CAPABILITY} AUTH=PLAIN",
    "IMAP_KEYWORDS": "1",
    "IMAP_ACL": "1",
    "IMAP_IDLE_TIMEOUT": "1",
    "IMAP_MAILBOX_SANITY_CHECK": "1",
    "IMAP_USELOCKS": "1",
    "IMAP_TRASHFOLDERNAME": "Trash",
    "IMAP_EMPTYTRASH": "Trash:7",
    "IMAP_STARTTLS": "YES",
    "IMAP_TLS_REQUIRED": "0",
    "IMAPDSTARTTLS": "YES",
    "POP3AUTH": "",
    "POP3AUTH_TLS": "LOGIN PLAIN",
    "POP3_STARTTLS": "YES",
    "POP3_TLS_REQUIRED": "0",
    "MAILDIRPATH": "Maildir",
}


class Courier:
    """A running Courier on 127.0.0.1; it knows nothing of Dovecot.

    imap and pop3 offer STARTTLS, and sign-in with and without it; imaps and pop3s begin with TLS.
    PLAIN and LOGIN, no OAuth. Its folders lie below INBOX (`INBOX.Done`); IDLE looks every second.
    """

    def __init__(self, run: RunFolder, pki: Pki) -> None:
        """Start it (about 0.2 s).

        Raises Unavailable without root or without the unpacked package.
        """
        self._jail = jail = Jail(run, "Courier", "usr/bin/imapd", ("courier",))
        self._users: dict[str, User] = {}
        self._numbers = itertools.count(1)
        self.host = "127.0.0.1"
        ports = run.ports(_PORTS, self.host)
        self.imap, self.imaps, self.pop3, self.pop3s = (ports[name] for name in _PORTS)
        jail.folder("run/courier/authdaemon")
        pair = pki.pairs["good"]
        jail.file("server.pem", pair.key.read_text() + pair.cert.read_text(), secret=True)
        jail.file(
            "etc/courier/authdaemonrc",
            'authmodulelist="authuserdb"\nauthmodulelistorig="authuserdb"\ndaemons=2\n'
            'authdaemonvar=/run/courier/authdaemon\nDEBUG_LOGIN=0\nDEFAULTOPTIONS=""\n',
        )
        self._tell()
        jail.start(["/usr/lib/courier/courier-authlib/authdaemond"], "auth.log")
        for name, port in ports.items():
            self._listen(name, port)
        for name in ("imap", "pop3"):
            wait_for_greeting(run, self.host, ports[name])

    def user(self, password: str | None = None) -> User:
        """A fresh person who can sign in at once, with the folders that mail programs make."""
        name = f"c{next(self._numbers)}"
        self._users[name] = made = self._jail.person(name, password)
        for folder in ("INBOX", "Archive", "Drafts", "Sent", "Trash"):
            self.fill(made, [], folder)
        self._tell()
        return made

    def fill(
        self, user: User, messages: Iterable[bytes], folder: str = "INBOX", flags: str = ""
    ) -> int:
        """Write messages into the user's folder as files, with LF as it expects them there (it
        would send CRLF as CR CR LF); see maildir.fill.
        """
        owner = (self._jail.account.uid, self._jail.account.gid)
        stored = (message.replace(b"\r\n", b"\n") for message in messages)
        return maildir.fill(user.maildir, stored, folder=folder, flags=flags, owner=owner)

    def _listen(self, name: str, port: int) -> None:
        protocol = name.removesuffix("s")
        login, server = {
            "imap": (f"{_LIBRARY}/imaplogin", "/usr/bin/imapd"),
            "pop3": (f"{_LIBRARY}/courierpop3login", f"{_LIBRARY}/courierpop3d"),
        }[protocol]
        tls = ["/usr/bin/couriertls", "-server", "-tcpd", "-user=courier"] * name.endswith("s")
        settings = _SETTINGS | ({f"{protocol.upper()}_TLS": "1"} if tls else {})
        listener = ["/usr/sbin/couriertcpd", f"-address={self.host}", "-nodnslookup"]
        limits = ["-maxprocs=40", "-maxperip=20" if protocol == "imap" else "-maxperip=4"]
        options = ["-noidentlookup", *limits, str(port)]
        argv = [*listener, *options, *tls, login, server, "Maildir"]
        self._jail.start(argv, f"{name}.log", settings)

    def _tell(self) -> None:
        """Its database of people, written anew."""
        account = self._jail.account
        for name, field in (("userdb", _place), ("userdbshadow", _secret)):
            lines = [
                f"{user.address}\t{field(who, user, account.uid, account.gid)}\n"
                for who, user in self._users.items()
            ]
            self._jail.run(
                ["/usr/lib/courier/courier-authlib/makedatprog", "-", f"/etc/courier/{name}.tmp",
                 f"/etc/courier/{name}.dat"],
                "".join(lines) + ".\n",
            )  # fmt: skip


def _place(name: str, _user: User, uid: int, gid: int) -> str:
    return f"uid={uid}|gid={gid}|home=/home/{name}|mail=/home/{name}/Maildir"


def _secret(_name: str, user: User, _uid: int, _gid: int) -> str:
    digest = hashlib.sha256(user.password.encode()).digest()
    return "systempw={SHA256}" + base64.b64encode(digest).decode()

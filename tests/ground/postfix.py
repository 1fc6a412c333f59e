"""Postfix: a private instance that relays, submits, refuses, and delivers into Dovecot."""

from __future__ import annotations

import os
import pwd
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from tests.ground.daemons import RunFolder, read_template, unavailable, wait_for_greeting
from tests.ground.dovecot import TOKENS, Dovecot
from tests.ground.pki import VARIANTS, Pki
from tests.ground.users import DOMAIN

__all__ = ["Postfix", "start_postfix"]

_DAEMONS = Path("/usr/lib/postfix/sbin")
_PORTS = (
    "relay",
    "submission",
    "smtps",
    "plain",
    "loginonly",
    "big",
    "tokens",
    "tokens_tls",
    "wronghost_submission",
    "wronghost_smtps",
    "expired_submission",
    "expired_smtps",
    "selfsigned_submission",
    "selfsigned_smtps",
)
# Name, mode, group: what `postfix check` would make.
_QUEUE = (
    *((name, 0o700, None) for name in ("active", "bounce", "corrupt", "defer", "deferred")),
    *((name, 0o700, None) for name in ("flush", "hold", "incoming", "private", "saved", "trace")),
    ("maildrop", 0o1730, "postdrop"),
    ("public", 0o2710, "postdrop"),
)
_MAPS = {
    "mailboxes": "if !/^unknown/\n/@{domain}$/ here\nendif\n",
    "senders": "/^(.+@{domain})$/ $1\n",
    "transport": "bounce.test lmtp:inet:127.0.0.1:{lmtp}\nstuck.test lmtp:inet:127.0.0.1:{dead}\n",
    "rcpt_access": (
        "retry@{domain} 450 4.2.0 Try again later\n"
        "refused@{domain} 550 5.1.1 Nobody of that name here\n"
        "full@{domain} 452 4.2.2 Mailbox full\n"
        "overquota@{domain} 552 5.2.2 Mailbox is over its quota\n"
        "policy@{domain} 554 5.7.1 Refused by policy\n"
    ),
    "header_checks": "/^X-Ground: refuse/ REJECT 5.7.1 Refused after its content\n",
}


@dataclass(frozen=True, slots=True)
class Postfix:
    """A running Postfix: its ports on 127.0.0.1 and its log.

    relay: no sign-in, takes mail for ground.test alone, STARTTLS offered. submission: STARTTLS
    required. smtps: TLS from the first byte. plain: sign-in without TLS. loginonly: the same, by
    AUTH LOGIN alone. tokens: XOAUTH2 and OAUTHBEARER too, STARTTLS required, and the line limit
    of 2,048 that Postfix comes with; tokens_tls: the same, TLS from the first byte, 20,480 (both
    by `Ground.oauth_postfix` alone). big: no sign-in, takes everything up to 50 MB. The others stop
    at 1 MiB (552) and 20 recipients (452). With a bad certificate: wronghost_, expired_ and selfsigned_
    submission and smtps.

    Recipients of ground.test: any user is delivered to Dovecot; unknown@ 550 5.1.1; refused@ 550
    5.1.1; policy@ 554 5.7.1; retry@ 450 4.2.0; full@ 452 4.2.2;
    overquota@ 552 5.2.2. A message with the header
    `X-Ground: refuse` is refused at the end of DATA (550 5.7.1). Accepted, then: x@bounce.test a
    DSN at once; x@stuck.test deferred, a DSN after about 78 s; any other domain is thrown away.
    """

    host: str
    relay: int
    submission: int
    smtps: int
    plain: int
    loginonly: int
    big: int
    tokens: int
    tokens_tls: int
    wronghost_submission: int
    wronghost_smtps: int
    expired_submission: int
    expired_smtps: int
    selfsigned_submission: int
    selfsigned_smtps: int
    log: Path

    def idle(self, seconds: float = 30.0) -> None:
        """Wait until nothing is in the queue: what was accepted has arrived (it blocks).

        AssertionError after that many seconds.  Mail for stuck.test stays for longer.
        """
        spool = self.log.parent / "spool"
        places = [spool / name for name in ("maildrop", "incoming", "active", "deferred")]
        deadline = time.monotonic() + seconds
        while left := [file for place in places for file in place.rglob("*") if file.is_file()]:
            assert time.monotonic() < deadline, f"{len(left)} messages are still in the queue"
            time.sleep(0.02)


def start_postfix(run: RunFolder, pki: Pki, dovecot: Dovecot) -> Postfix:
    """Start it beside that Dovecot (about 0.1 s).

    Raises Unavailable without root or without Postfix.
    """
    if os.getuid() != 0:
        raise unavailable("Postfix's master program runs only as root: run these tests as root")
    if not (_DAEMONS / "master").exists():
        raise unavailable("Postfix is missing: apt-get install postfix")
    folder = run.path / "postfix"
    folder.mkdir(mode=0o711)
    _make_queue(folder)
    # Held and never listened on: that is where stuck.test points.
    ports = run.ports((*_PORTS, "dead"))
    dead = ports.pop("dead")
    for name, text in _MAPS.items():
        filled = text.format(domain=DOMAIN, lmtp=dovecot.main.lmtp, dead=dead)
        _write_old(folder / name, filled)
    values: dict[str, object] = {
        "folder": folder,
        "daemons": _DAEMONS,
        "domain": DOMAIN,
        "lmtp": dovecot.main.lmtp,
        "auth_socket": dovecot.main.auth_socket,
        "tokens_socket": run.path / f"d-{TOKENS}" / "run/auth-postfix",
        **ports,
    }
    for variant in VARIANTS:
        values[f"{variant}_cert"] = pki.pairs[variant].cert
        values[f"{variant}_key"] = pki.pairs[variant].key
    for name in ("main.cf", "master.cf"):
        _write_old(folder / name, read_template(name, values))
    run.start([str(_DAEMONS / "master"), "-c", str(folder), "-d"], folder / "stderr")
    wait_for_greeting(run, "127.0.0.1", ports["relay"])
    return Postfix("127.0.0.1", **ports, log=folder / "log")


def _write_old(path: Path, text: str) -> None:
    path.write_text(text)
    # Postfix waits for a file younger than 2 s to settle, in each process: 2 s saved.
    os.utime(path, (1_000_000_000, 1_000_000_000))


def _make_queue(folder: Path) -> None:
    spool, data = folder / "spool", folder / "data"
    spool.mkdir(mode=0o755)
    (spool / "pid").mkdir(mode=0o755)
    data.mkdir(mode=0o700)
    shutil.chown(data, "postfix")
    for name, mode, group in _QUEUE:
        (spool / name).mkdir()
        shutil.chown(spool / name, pwd.getpwnam("postfix").pw_uid, group)
        # After chown, which clears the set-group bit.
        (spool / name).chmod(mode)

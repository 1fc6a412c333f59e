"""`python -m tests.ground`: the servers for trying things by hand, until Ctrl-C."""

from __future__ import annotations

import signal
import sys
from dataclasses import fields

from tests.ground import Ground, Unavailable
from tests.ground.dovecot import Instance
from tests.ground.users import User

__all__ = ["main"]


def _dovecot_rows(instance: Instance) -> list[tuple[str, str]]:
    ports = (("imap", "STARTTLS"), ("imaps", "TLS"), ("pop3", "STLS"), ("pop3s", "TLS"))
    return [
        (f"{instance.name} {name} ({security})", f"{instance.host}:{getattr(instance, name)}")
        for name, security in ports
    ]


def _user_rows(ground: Ground) -> list[tuple[str, str]]:
    users = vars(ground.dovecot.users).values()
    return [(user.address, user.password) for user in users if isinstance(user, User)]


def _oauth_rows(ground: Ground) -> list[tuple[str, str]]:
    """A registered app, and where its tokens are taken; Postfix takes them on its ports `tokens`."""
    server = ground.oauth
    client = server.client("postroom", public=True, redirect_uris=["http://localhost/callback"])
    tokens = ground.oauth_dovecot
    return [
        ("authority", server.authority()),
        ("client id", client.id),
        ("client secret", client.secret),
        ("mailbox of its own tokens", ground.dovecot.users.app.address),
        ("who signs in at its page", "any address of the users below"),
        *_dovecot_rows(tokens),
    ]


def _show(title: str, rows: list[tuple[str, str]]) -> None:
    print(f"\n{title}")
    for name, value in rows:
        print(f"  {name:34} {value}")


def main() -> int:
    """Start everything, print where it is, wait; 1 with a sentence if it cannot run."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with Ground() as ground:
        try:
            dovecot = ground.dovecot
        except Unavailable as missing:
            print(missing, file=sys.stderr)
            return 1
        instances = ("main", "wronghost", "expired", "selfsigned", "bare", "strict")
        for name in instances:
            _show(f"Dovecot {name}", _dovecot_rows(getattr(dovecot, name)))
        try:
            postfix = ground.postfix
            ports = [f.name for f in fields(postfix) if f.type == "int"]
            rows = [(name, f"{postfix.host}:{getattr(postfix, name)}") for name in ports]
            _show("Postfix", rows)
        except Unavailable as missing:
            print(f"\nNo Postfix: {missing}")
        try:
            _show("Sign-in by OAuth", _oauth_rows(ground))
        except Unavailable as missing:
            print(f"\nNo authorization server: {missing}")
        _show("Users and passwords", _user_rows(ground))
        _show("Files", [("CA to trust", str(ground.pki.ca)), ("mail and logs", str(ground.folder))])
        print("\nCtrl-C ends all of it.", flush=True)
        try:
            signal.pause()
        except KeyboardInterrupt:
            print()
    return 0


if __name__ == "__main__":
    sys.exit(main())

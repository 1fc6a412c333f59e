"""What else is wrong with a certificate that nobody here has signed: what trusting it would not mend."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Protocol

from postroom.clock import now

__all__ = ["Shown", "amiss"]


class Shown(Protocol):
    """A certificate that a server showed; instants are UTC."""

    @property
    def names(self) -> Sequence[str]: ...
    @property
    def not_before(self) -> dt.datetime: ...
    @property
    def not_after(self) -> dt.datetime: ...


def amiss(certificate: Shown, where: str) -> str:
    """A sentence for a server's own certificate that is out of its time, or of another host than the
    one at ``where`` (``HOST:PORT``); empty where trusting it is enough."""
    if certificate.not_after < now():
        ended = f"{certificate.not_after:%Y-%m-%d}"
        return f"It ended on {ended}. Trusting it does not help: its administrator has to renew it."
    if certificate.not_before > now():
        begins = f"{certificate.not_before:%Y-%m-%d}"
        return f"It begins on {begins} only: look whether the clocks on both machines are right."
    host = where.rpartition(":")[0].strip("[]").casefold()
    if host and not any(_is_of(name.casefold(), host) for name in certificate.names):
        names = ", ".join(certificate.names) or "no host at all"
        return (
            f"It is for {names}, and not for {host}. Trusting it does not help: give the server's host "
            "as the certificate has it."
        )
    return ""


def _is_of(name: str, host: str) -> bool:
    """Whether a name of a certificate is this host's; a star stands for its first label (RFC 6125)."""
    if name.startswith("*."):
        return name[2:] == host.partition(".")[2]
    return name == host

"""What went wrong on the way to a host, as a sentence for a person and what to do about it."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Mapping

from postroom.errors import DialError
from postroom.net.names import host_and_port

__all__ = ["reason", "refused_address", "timed_out", "unreached", "unresolved"]

_USUAL = (
    "Usual ports: IMAP 993 (tls) or 143 (starttls), POP3 995 or 110, SMTP 465 (tls) or 587 "
    "(starttls)."
)
_BLOCKED_25 = (
    "Most networks block port 25 for everyone but mail servers; try port 587 with starttls."
)
_UNREACHABLE = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN}
_NO_SUCH_NAME = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}


def reason(error: BaseException) -> str:
    """An operating system's error in its own words, without the number."""
    if isinstance(error, OSError) and error.errno and not isinstance(error, socket.gaierror):
        return os.strerror(error.errno)
    return str(error) or type(error).__name__


def unresolved(host: str, error: BaseException | None) -> DialError:
    """No address for the name: permanent when it does not exist, temporary when nobody answered."""
    number = getattr(error, "errno", None)
    if error is None or number in _NO_SUCH_NAME or isinstance(error, UnicodeError):
        return DialError(
            f"There is no host called {host}.",
            code="host_unknown",
            hint="Check how it is spelled; a name inside a private network needs its name server.",
            step="resolve",
            host=host,
        )
    return DialError(
        f"The name server gave no answer for {host} ({reason(error)}).",
        code="host_unknown",
        hint="Check the network of this machine and its name servers (/etc/resolv.conf).",
        temporary=True,
        step="resolve",
        host=host,
    )


def refused_address(host: str, port: int, address: str, why: str, *, mixed: bool) -> DialError:
    """An address the policy does not permit; with ``mixed``, one of several."""
    leads = address if address == host else f"{host} leads to {address}, which"
    also = " One such address is enough to refuse the name." if mixed else ""
    return DialError(
        f"Port {port} is not dialled: {leads} is not permitted here ({why}).{also}",
        code="address_refused",
        hint="Use a host with a permitted address, or, where it is your own network, change "
        "POSTROOM_PUBLIC_ONLY. Link-local, metadata and multicast addresses are never dialled.",
        step="resolve",
        host=host,
        port=port,
        address=address,
    )


def unreached(host: str, port: int, failed: Mapping[str, OSError]) -> DialError:
    """Every address failed; the error most worth acting on decides the sentence."""
    where = host_and_port(host, port)
    numbers = {error.errno for error in failed.values()}
    tried = "; ".join(f"{address}: {reason(error)}" for address, error in failed.items())
    code, hint = "connect_failed", "Check the network of this machine and any firewall between."
    if errno.ECONNREFUSED in numbers:
        code, what = "connect_refused", "refused the connection"
        hint = f"Check the port, and that the server runs. {_USUAL}"
    elif errno.ETIMEDOUT in numbers:
        code, what = "timed_out", "did not answer when connecting"
        hint = _time_out_hint(port)
    elif numbers <= _UNREACHABLE:
        what = "cannot be reached from this machine"
    else:
        what = "could not be connected to"
    return DialError(
        f"{where} {what} ({tried}).",
        code=code,
        hint=hint,
        temporary=True,
        step="connect",
        host=host,
        port=port,
    )


_STEPS = {
    "resolve": "The name server did not answer for {where} within {seconds:g} s.",
    "connect": "{where} did not answer within {seconds:g} s when connecting.",
    "proxy": "The proxy did not open a way to {where} within {seconds:g} s.",
}


def timed_out(host: str, port: int, step: str, seconds: float) -> DialError:
    """Nothing came within the time given to ``step``."""
    return DialError(
        _STEPS[step].format(where=host_and_port(host, port), seconds=seconds),
        code="timed_out",
        hint=_time_out_hint(port) if step == "connect" else "Check the network, then try again.",
        temporary=True,
        step=step,
        host=host,
        port=port,
    )


def _time_out_hint(port: int) -> str:
    if port == 25:
        return _BLOCKED_25
    return f"A firewall may drop the packets, or host or port is wrong. {_USUAL}"

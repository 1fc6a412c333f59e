"""The origin of a web server (RFC 6454): where it is, how it is reached, how it is verified."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, NamedTuple

from postroom.errors import InvalidValue, Refused, WrongUse
from postroom.net.destination import http_line, https_line
from postroom.net.dial import Policy
from postroom.net.names import canonical_host, check_port, host_and_port, is_loopback
from postroom.net.tls import Tls

__all__ = ["Origin", "Url", "origin_of", "split_url"]

# The parts of RFC 3986 we dial: no user information, no fragment, and no backslash, which some
# readers of addresses take for a slash and so find another host than we do.
_URL = re.compile(
    r"(?P<scheme>https?)://"
    r"(?P<host>\[[^\[\]]*\]|[^\[\]:/?#@\\\s]+)(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<target>[/?][\x21\x22\x24-\x5b\x5d-\x7e]*)?",
    re.IGNORECASE,
)
_SYSTEM: Final = Tls()
_USUAL: Final = Policy()
_HOW = "write it like https://login.example.com/path: no user name, no # and no space in it."


class Url(NamedTuple):
    """An address in its parts: ``host`` is canonical, ``target`` is the path with its query.

    ``hidden``: there is a secret in the target, so that nobody is shown it.
    """

    secure: bool
    host: str
    port: int
    target: str
    hidden: bool = False

    @property
    def path(self) -> str:
        """The path alone: what logs and errors may show, since a query may hold a token."""
        return "/****" if self.hidden else self.target.partition("?")[0]

    @property
    def where(self) -> str:
        """``https://host:port``, the port only where it is not the usual one."""
        return f"http{'s' * self.secure}://{self.authority}"

    @property
    def authority(self) -> str:
        """``host``, or ``host:port`` where the port is not the usual one; what Host: says."""
        usual = self.port == (443 if self.secure else 80)
        bare = f"[{self.host}]" if ":" in self.host else self.host
        return bare if usual else host_and_port(self.host, self.port)


def split_url(text: str, *, field: str = "url") -> Url:
    """An absolute http or https address in its parts.  The error never repeats what was given."""
    found = _URL.fullmatch(text)
    if found is None:
        raise InvalidValue(field, f"this is no address that can be asked; {_HOW}")
    secure = found["scheme"].lower() == "https"
    port = check_port(int(found["port"] or (443 if secure else 80)), field=field)
    target = found["target"] or "/"
    return Url(
        secure,
        canonical_host(found["host"], field=field),
        port,
        target if target.startswith("/") else f"/{target}",
    )


@dataclass(frozen=True, slots=True)
class Origin:
    """One server, and the only way to it.

    ``tls`` says how it is verified: always by its name too.  With ``secure=False`` it is asked in
    the clear, which only this machine itself may be, and never by a proxy.
    """

    host: str
    port: int = 443
    tls: Tls = _SYSTEM
    proxy: tuple[str, int] | None = None
    policy: Policy = _USUAL
    secure: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "host", canonical_host(self.host))
        if not self.tls.check_name or self.tls.look_only:
            raise InvalidValue("tls", "a web server's name is always checked.")
        if not self.secure and (self.proxy is not None or not is_loopback(self.host)):
            raise _clear()

    @property
    def line(self) -> str:
        """The destination: the canonical line a client secret, key or refresh token is bound to."""
        if self.secure:
            return https_line(self.host, self.port, self.tls, self.proxy)
        return http_line(self.host, self.port)

    @property
    def bearer_line(self) -> str:
        """The destination line of an access token that is presented here."""
        return f"bearer+{self.line}"

    @property
    def where(self) -> str:
        """``https://host:port``, for people."""
        return Url(self.secure, self.host, self.port, "/").where

    def url(self, text: str) -> Url:
        """An address on this origin in its parts.

        Raises InvalidValue for what is none, Refused(``destination_not_bound``) for another origin.
        """
        url = split_url(text)
        if (url.secure, url.host, url.port) != (self.secure, self.host, self.port):
            raise Refused(
                f"{url.where} is not asked: what is sent here is for {self.where} alone.",
                code="destination_not_bound",
                hint="If the server gave that address, it is broken or somebody is in between; "
                "if it is right, it has to be set as an address of its own.",
                origin=self.where,
                asked=url.where,
            )
        return url


def origin_of(
    url: str,
    *,
    tls: Tls | None = None,
    proxy: tuple[str, int] | None = None,
    policy: Policy | None = None,
    cleartext: bool = False,
    field: str = "url",
) -> Origin:
    """The origin of an address.  ``cleartext`` permits ``http://`` to this machine itself.

    Raises InvalidValue, WrongUse(``cleartext_sign_in``).
    """
    parts = split_url(url, field=field)
    if not parts.secure and not cleartext:
        raise _clear()
    return Origin(
        parts.host,
        parts.port,
        tls or _SYSTEM,
        proxy,
        policy or _USUAL,
        secure=parts.secure,
    )


def _clear() -> WrongUse:
    return WrongUse(
        "An address that begins with http:// is not asked: anybody on the way could read it.",
        code="cleartext_sign_in",
        hint="Use https://. Only this machine itself may be asked in the clear, without a proxy, "
        "where cleartext_sign_in is permitted.",
    )

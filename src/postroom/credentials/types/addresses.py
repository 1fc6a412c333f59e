"""The small checks that several types share: addresses, senders, proxies and https origins."""

from __future__ import annotations

import re
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator

from postroom.errors import InvalidValue
from postroom.net.names import canonical_host, host_and_port, parse_port, parse_proxy

__all__ = ["Address", "Host", "HttpsUrl", "Port", "Proxy", "Senders", "origin", "proxy_of"]

_PARTS = re.compile(r"[^\s@,;<>()\x00-\x1f]+@[^\s@,;<>()\x00-\x1f]+")


def _address(text: str) -> str:
    if text and not _PARTS.fullmatch(text):
        raise ValueError("write one address like orders@example.com")
    return text


def _senders(value: Any) -> Any:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
        return value
    return [part.strip() for text in texts for part in re.split(r"[,;\n]", text) if part.strip()]


def _pattern(text: str) -> str:
    if not _PARTS.fullmatch(text):
        raise ValueError("write addresses like orders@example.com, or *@example.com for a domain")
    return text.lower() if text.startswith("*@") else text


def _host(text: str) -> str:
    try:
        return canonical_host(text, field="") if text else ""
    except InvalidValue as error:
        raise ValueError(error.sentence) from None


def _port(value: Any) -> Any:
    if value == "":
        return None
    try:
        if value is not None:
            parse_port(str(value).strip(), field="")
    except InvalidValue as error:
        raise ValueError(error.sentence) from None
    return value


def _proxy(text: str) -> str:
    found = proxy_of(text)
    return "" if found is None else host_and_port(*found)


def _https(text: str) -> str:
    if text:
        origin(text)
    return text.rstrip("/")


Address = Annotated[str, AfterValidator(_address)]
"""One email address, or empty."""
Senders = Annotated[tuple[Annotated[str, AfterValidator(_pattern)], ...], BeforeValidator(_senders)]
"""Addresses and ``*@DOMAIN``; a text is split at commas, semicolons and lines."""
Host = Annotated[str, AfterValidator(_host)]
"""A host name or address in its canonical form, or empty."""
Port = Annotated[int | None, BeforeValidator(_port)]
"""A port, or None; an empty text is None."""
Proxy = Annotated[str, AfterValidator(_proxy)]
"""``HOST:PORT`` of an HTTP proxy (CONNECT), or empty."""
HttpsUrl = Annotated[str, AfterValidator(_https)]
"""An ``https://`` URL without user, query and fragment, or empty."""


def proxy_of(text: str) -> tuple[str, int] | None:
    """``HOST:PORT`` as host and port; None when empty.  Raises ValueError."""
    if not text:
        return None
    try:
        return parse_proxy(text, field="")
    except InvalidValue as error:
        raise ValueError(error.sentence) from None


def origin(url: str) -> tuple[str, int]:
    """Host and port of an https URL.  Raises ValueError for anything else."""
    try:
        parts = urlsplit(url)
        port = parts.port or 443
    except ValueError:
        raise ValueError("this is no URL; write it like https://login.example.com/tenant") from None
    if parts.scheme != "https" or not parts.hostname:
        raise ValueError("write it as an https:// URL; tokens are not sent unencrypted")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("leave user name, query and fragment out of the URL")
    return _host(parts.hostname), port

"""The canonical line of where a secret may be presented, and the digest of a list of such lines."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from postroom.net.names import canonical_host, host_and_port
from postroom.net.tls import Tls

__all__ = ["digest", "http_line", "https_line", "wire_line"]

Proxy = tuple[str, int] | None


def wire_line(protocol: str, host: str, port: int, security: str, tls: Tls, proxy: Proxy) -> str:
    """``imap://imap.example.com:993;security=tls;trust=system;name=checked;proxy=none``.

    Two spellings of one destination give one line.  Raises InvalidValue for a host or a trusted
    certificate that cannot be read.
    """
    name = "checked" if tls.check_name else "unchecked"
    return (
        f"{protocol}://{host_and_port(canonical_host(host), port)};security={security}"
        f";trust={tls.trust_id};name={name};proxy={_proxy(proxy)}"
    )


def https_line(host: str, port: int, tls: Tls, proxy: Proxy) -> str:
    """``https://login.example.com:443;trust=system;proxy=none``."""
    where = host_and_port(canonical_host(host), port)
    return f"https://{where};trust={tls.trust_id};proxy={_proxy(proxy)}"


def http_line(host: str, port: int) -> str:
    """``http://localhost:8080;trust=none;proxy=none``: this machine itself, in the clear."""
    return f"http://{host_and_port(canonical_host(host), port)};trust=none;proxy=none"


def digest(lines: Iterable[str]) -> bytes:
    """SHA-256 over the lines, sorted, each once, each behind its length (4 bytes, big-endian), so
    that no two lists run together into the same bytes.
    """
    hashed = hashlib.sha256()
    for line in sorted({line.encode("utf-8") for line in lines}):
        hashed.update(len(line).to_bytes(4, "big") + line)
    return hashed.digest()


def _proxy(proxy: Proxy) -> str:
    return "none" if proxy is None else host_and_port(canonical_host(proxy[0]), proxy[1])

"""What only some rooms may do, room by room, each with its reason.

A new entry is a decision: it belongs in the change that needs it, with its reason beside it.
"""

from __future__ import annotations

__all__ = [
    "LIGHT",
    "MAY_BUILD_SQL",
    "MAY_DIAL",
    "MAY_IMPORT",
    "MAY_REVEAL",
    "NO_NAMES",
    "SAME_RELEASE",
    "WEB",
]

MAY_DIAL = {
    "net": "the one way out: dial, tls, http",
}
"""Where sockets are opened and TLS contexts are made."""

MAY_IMPORT = {
    "aiosmtpd": ("cli.demo",),
    "pymap": ("cli.demo",),
}
"""Libraries that one room only may know: third-party name -> rooms."""

MAY_BUILD_SQL = {
    "db.claims": "one set of claim statements a table; names and conditions are constants, checked",
}
"""Modules that put SQL together, from constants of the code only."""

SAME_RELEASE = {
    "pydantic-core": "pydantic",
}
"""Distributions that come with another, which pins them to one version: declaring that one is
enough."""

MAY_REVEAL = {
    "protocols.sasl": "the answer to the server's challenge is made of it",
}
"""Modules that may call ``Secret.reveal()``: where bytes leave for the wire or the seal."""

NO_NAMES = {
    "common", "core", "helper", "helpers", "manager", "managers", "misc", "util", "utils",
}  # fmt: skip
"""Names that say nothing of a module's job."""

LIGHT = (
    "cryptography", "httpcore2", "httpx2", "nh3", "pydantic", "rich", "sqlite3", "typer", "yaml",
)  # fmt: skip
"""What ``import postroom`` must not load."""

WEB = (
    "aiosmtpd", "authlib", "fastapi", "jinja2", "prometheus_client", "pymap", "starlette",
    "structlog", "uvicorn",
)  # fmt: skip
"""What no hot verb may load: the web page's libraries and the demo's servers."""

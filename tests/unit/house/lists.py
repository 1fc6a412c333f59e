"""What only some rooms may do, room by room, each with its reason.

A new entry is a decision: it belongs in the change that needs it, with its reason beside it.
"""

from __future__ import annotations

__all__ = [
    "EXTRAS",
    "FOR_OTHERS",
    "LIGHT",
    "MAY_BUILD_SQL",
    "MAY_DIAL",
    "MAY_IMPORT",
    "MAY_REVEAL",
    "NOT_TO_COLLECT",
    "NOT_TO_EXEC",
    "NOT_TO_STORE",
    "NO_NAMES",
    "SAME_RELEASE",
    "WEB",
]

MAY_DIAL = {
    "net": "the one way out: dial, tls, http; and the one way in: listening",
    "serving.control": "the control socket of this machine: nothing comes from outside, or goes there",
}
"""Where sockets are opened and TLS contexts are made."""

MAY_IMPORT = {
    "aiosmtpd": ("cli.demo",),
    "fastapi": ("api",),
    "jinja2": ("web",),
    "joserfc": ("operations",),
    "nh3": ("web",),
    "opentelemetry": ("tracing",),
    "prometheus_client": ("operations",),
    "pymap": ("cli.demo",),
    "starlette": ("api", "serving", "web"),
    "uvicorn": ("serving",),
}
"""Libraries that one room only may know: third-party name -> rooms."""

EXTRAS = {
    "demo": ("cli.demo",),
    "otel": ("tracing",),
    "server": ("api", "operations.idtoken", "operations.metrics", "serving", "web"),
}
"""The rooms that an optional dependency is for: extra -> rooms."""

FOR_OTHERS = {
    "python-multipart": "starlette reads forms with it",
}
"""Optional dependencies that we do not import, and who does."""

MAY_BUILD_SQL = {
    "db.claims": "one set of claim statements a table; names and conditions are constants, checked",
    "db.snapshot": "the rows of every table are counted; the names come out of the schema, quoted",
}
"""Modules that put SQL together, from constants of the code only."""

SAME_RELEASE = {
    # they share one package name, and whichever is found first stands for all
    "opentelemetry-sdk": "opentelemetry-api",
    "opentelemetry-semantic-conventions": "opentelemetry-api",
    "pydantic-core": "pydantic",
}
"""Distributions that come with another, which pins them to one version: declaring that one is
enough."""

MAY_REVEAL = {
    "operations.idtoken": "the signature of an id token is checked, and its claims are read",
    "access.codes": "the hash by which a cookie, a token or a one-time address is looked up",
    "access.passwords": "the hash that is kept, or compared with it, is derived from it",
    "serving.control": "the passphrase of the room's key goes to the process that serves it, over its socket",
    "cli.flags": "a plain field (a certificate) may be given by file too; it is no secret",
    "credentials.intake": "what was typed is trimmed, and a mask refused, before it is sealed",
    "credentials.types.client_secrets": "a client secret that is the Secret ID is refused",
    "credentials.versions": "the hint, its last four characters, is sealed beside it",
    "operations.roomapply": "a plain field (a certificate) may be given by reference; it is no secret",
    "protocols.memory.server": "the in-memory twin compares the password, as a server does",
    "jobs.handing": "a program that was granted it receives it: by descriptor, files or environment",
    "notices.webhook": "the secret part of an address and the signature are made of it",
    "library.wire": "what was typed to be kept leaves for the room that keeps it, over its own connection",
    "net.http_request": "header fields and bodies are made of it as they are written",
    "net.http_message": "the value of Authorization, or a form, is made of it",
    "net.tls": "the client's key goes into the TLS context",
    "credentials.types.oneline": "a password of several lines, or with a NUL, is refused",
    "credentials.types.pem": "a private key is read to see that it is one",
    "protocols.imap.commands": "LOGIN is made of it",
    "protocols.pop3.opening": "PASS is made of it",
    "web.cookies": "a session's cookie goes to the browser of whoever signed in",
    "vault.hints": "the fingerprint of a PEM or JSON secret is sealed beside it",
    "vault.kek": "the id of a key is derived from it",
    "vault.kit": "the recovery kit is the one file that a key is written to for people",
    "vault.codes": "a code is made with it, or a key derived from it",
    "vault.keyring": "it is sealed",
    "vault.terms": "the key that wraps vault keys is derived from it",
    "vault.passphrase": "the key is derived from it",
    "protocols.sasl": "the answer to the server's challenge is made of it",
}
"""Modules that may call ``Secret.reveal()``: where bytes leave for the wire or the seal."""

NO_NAMES = {
    "common", "core", "helper", "helpers", "manager", "managers", "misc", "util", "utils",
}  # fmt: skip
"""Names that say nothing of a module's job."""

LIGHT = (
    "anyio", "cryptography", "h11", "httpcore2", "httpx2", "nh3", "pydantic", "rich", "sqlite3",
    "typer", "yaml",
)  # fmt: skip
"""What ``import postroom`` must not load."""

WEB = (
    "aiosmtpd", "anyio", "authlib", "fastapi", "h11", "httpcore2", "httpx2", "jinja2", "joserfc",
    "nh3", "prometheus_client", "pymap", "starlette", "uvicorn",
    "aiosmtpd", "anyio", "authlib", "fastapi", "h11", "httpcore2", "httpx2", "jinja2",
    "nh3", "opentelemetry", "prometheus_client", "pymap", "starlette", "uvicorn",
)  # fmt: skip
"""What no hot verb may load: the web page's libraries, the demo's servers, and what asks over HTTP,
which is loaded when somebody is asked."""

NOT_TO_COLLECT = (
    "cryptography.x509", "httpcore2", "postroom.operations.roomfile",
    "postroom.protocols.pop3", "postroom.protocols.smtp", "postroom.services.dispatcher", "yaml",
)  # fmt: skip
"""What a command that collects may not load: the other wires, the room file, X.509."""

NOT_TO_EXEC = (
    "cryptography.x509", "httpcore2", "postroom.connections.open", "postroom.jobs.commands",
    "postroom.jobs.job", "postroom.mail", "postroom.oauth", "postroom.operations.credentials",
    "postroom.operations.roomfile", "postroom.operations.usage", "postroom.protocols",
    "postroom.services", "postroom.sinks", "postroom.sources", "yaml",
)  # fmt: skip
"""What a command that hands a program a credential may not load: anything of mail, and what only jobs
and settings want."""

NOT_TO_STORE = (
    "cryptography.x509", "httpcore2", "postroom.connections.doctor", "postroom.jobs.commands.reading",
    "postroom.jobs.job", "postroom.oauth",
    "postroom.operations.roomfile", "postroom.operations.usage", "postroom.protocols.imap",
    "postroom.protocols.pop3", "postroom.protocols.smtp", "postroom.services.dispatcher",
    "postroom.sinks", "postroom.sources", "yaml",
)  # fmt: skip
"""What a command that only leaves a message in the outbox, or looks there, may not load."""

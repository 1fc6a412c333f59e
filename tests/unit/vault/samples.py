"""One complete record of every credential type, each with a secret in every sealed field."""

from __future__ import annotations

from typing import Any

from postroom.credentials.types.pem import generate_pair
from postroom.secret import Secret

__all__ = ["SAMPLES"]

_KEY, _CERTIFICATE = generate_pair("sample")

SAMPLES: dict[str, dict[str, Any]] = {
    "smtp": {"host": "smtp.example.com", "tls": True, "user_name": "orders",
             "password": Secret("a password of smtp")},
    "msgraph": {"tenant_id": "example.com", "client_id": "c", "client_secrets": {
        "a": {"value": Secret("a client secret, the first")},
        "b": {"value": Secret("a client secret, the second")}}},
    "oauth_client": {"authority": "https://login.example.com", "client_id": "c",
                     "private_key": _KEY, "certificate": _CERTIFICATE},
    "password": {"user_name": "orders@example.com", "password": Secret("a password of its own")},
    "secret": {"value": Secret("a value of its own")},
    "generic": {"one": Secret("a field that is sealed"), "two": {"value": "open", "plain": True}},
    "certificate": {"certificate": _CERTIFICATE, "private_key": _KEY},
    "trusted_certificate": {"certificate": _CERTIFICATE},
}  # fmt: skip

"""A webhook: a notice is posted as JSON, signed as Standard Webhooks says (standardwebhooks.com, v1)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Final
from urllib.parse import quote

from postroom.errors import InvalidValue, Refused
from postroom.net.http import HttpClient
from postroom.net.http_message import HttpAnswer, HttpLimits
from postroom.net.origin import Origin
from postroom.notices.notification import SECRET_PART, Notify
from postroom.secret import Secret

__all__ = ["ask", "signature"]

LIMITS: Final = HttpLimits(body=64 * 1024, connect_timeout=10.0, reply_timeout=15.0, total=30.0)
_PREFIX: Final = b"whsec_"
_AS_IT_IS: Final = "/-._~!$&'()*+,;=:@?%"
"""What an address may hold unescaped (RFC 3986): a secret part may be several steps of a path."""


async def ask(
    one: Notify,
    where: Origin,
    *,
    id: str,  # as the signed header calls it
    at: int,
    body: bytes = b"",
    part: Secret | None = None,
    key: Secret | None = None,
) -> HttpAnswer:
    """Ask the address of a webhook or a ping once.  ``part`` is its secret part, ``key`` signs.

    Gives an answer of status 2xx.  Raises Refused for any other, and what
    :meth:`postroom.net.http.HttpClient.ask` raises.
    """
    url: str | Secret = one.url
    if part is not None:
        url = Secret(one.url.replace(SECRET_PART, quote(part.reveal(), safe=_AS_IT_IS)))
    headers: dict[str, str | Secret] = {}
    if one.method == "POST":
        headers = {
            "Content-Type": "application/json",
            "Webhook-Id": id,
            "Webhook-Timestamp": str(at),
        }
        if key is not None:
            headers["Webhook-Signature"] = signature(key, id, at, body)
    line = where.line if part is not None or key is not None else ""
    async with HttpClient(where, limits=LIMITS, most=1) as client:
        answer = await client.ask(
            one.method,
            url,
            headers=headers,
            content=body if one.method == "POST" else None,
            line=line,
            step="webhook",
        )
    if not 200 <= answer.status < 300:
        raise _refused(where, answer)
    return answer


def signature(key: Secret, id: str, at: int, body: bytes) -> str:
    """``v1,`` and the HMAC-SHA-256 of id, time and body.

    A key that begins with ``whsec_`` is base64 behind it, any other its own bytes.  Raises InvalidValue.
    """
    raw = key.reveal_bytes()
    if raw.startswith(_PREFIX):
        try:
            raw = base64.b64decode(raw.removeprefix(_PREFIX), validate=True)
        except binascii.Error:
            raise InvalidValue("signing", "what stands behind whsec_ is not base64") from None
    signed = f"{id}.{at}.".encode() + body
    return f"v1,{base64.b64encode(hmac.digest(raw, signed, hashlib.sha256)).decode()}"


def _refused(where: Origin, answer: HttpAnswer) -> Refused:
    temporary = answer.status >= 500 or answer.status in (408, 425, 429)
    return Refused(
        f"{where.where} did not take the notice: it answered {answer.status}.",
        hint="Check the address and its secret; the server's own log says more.",
        temporary=temporary,
        status=answer.status,
    )

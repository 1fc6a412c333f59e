"""Pages of a served room, as somebody who is signed in has them: how soon each comes, how much it is."""

from __future__ import annotations

import http.client
import re
from urllib.parse import urlencode

from tests.bench.reads import spent

__all__ = ["PAGES", "signed_in", "weight"]

PAGES = {
    "the overview": "/",
    "credentials": "/credentials",
    "credentials, some looked for": "/credentials?type=smtp&q=c0999",
    "the ledger": "/ledger",
    "the outbox": "/outbox",
    "audit": "/audit",
}
_CSRF = re.compile(rb'name="csrf" value="([^"]+)"')
_PARTS = re.compile(rb'(?:href|src)="(/static/[^"]+)"')


def signed_in(line: http.client.HTTPConnection, name: str, password: str) -> dict[str, str]:
    """The header of a browser after the door: its cookie."""
    line.request("GET", "/sign-in")
    answer = line.getresponse()
    guest = str(answer.headers["Set-Cookie"]).partition(";")[0]
    token = _CSRF.search(answer.read())
    if token is None:
        raise RuntimeError("the door has no form")
    form = urlencode({"csrf": token[1].decode(), "name": name, "password": password})
    kind = "application/x-www-form-urlencoded"
    origin = f"http://{line.host}:{line.port}"
    head = {"Cookie": guest, "Origin": origin, "Content-Type": kind}
    line.request("POST", "/sign-in", form, head)
    answer = line.getresponse()
    answer.read()
    cookies = [one.partition(";")[0] for one in answer.headers.get_all("Set-Cookie") or ()]
    session = next((one for one in cookies if one.startswith("postroom=")), "")
    if not session:
        raise RuntimeError(f"nobody came in: {answer.status}")
    return {"Cookie": session}


def weight(line: http.client.HTTPConnection, inside: dict[str, str]) -> float:
    """Kilobytes of the overview with all that it asks for."""
    _, body = spent(line, "/", inside)
    parts = set(_PARTS.findall(body))
    return (len(body) + sum(len(spent(line, one.decode())[1]) for one in parts)) / 1e3

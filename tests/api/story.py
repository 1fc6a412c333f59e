"""Every door asked so that it succeeds: one story of a room, over real mail servers, told by HTTP.

``Teller.ask`` is one request; what is asked stands in ``story``.  The story is told in one room for one
role: whoever has the right does each thing, else an administrator does, so that it goes on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from postroom.app import Room
from tests.api.asking import Answer, Client
from tests.ground import Ground, User
from tests.sweep import forms

__all__ = ["CANARY", "MAY", "Teller", "story", "wanted"]

CANARY: Final = "canary-9Wd4hTq2Zs8BnYf6"
_GOOD: Final = frozenset({200, 201, 204})

MAY: Final[Mapping[str | None, frozenset[str]]] = {
    "admin": frozenset(
        {
            "view", "create", "replace", "rebind", "destroy", "use", "edit", "read", "send", "keys",
            "users", "audit",
        }
    ),
    "editor": frozenset(["view", "create", "replace", "destroy", "use", "edit", "read", "send"]),
    "operator": frozenset(["view", "use", "read", "send"]),
    "viewer": frozenset({"view"}),
    "auditor": frozenset({"view", "audit"}),
    None: frozenset(),
}  # fmt: skip
"""What each role may, as the design says it: not taken from what is tested."""

_OWN: Final = {"keys": "keys", "users": "users", "grants": "users", "audit": "audit"}
"""Nouns that want a right of their own, whatever is asked about them; by their place in the path."""
_TEXT: Final = ("/outbox/{item}/content", "/sources/{name}/preview")
"""What gives the text of messages."""
_DONE: Final = frozenset(
    {
        "test", "restart", "run", "begin", "runs", "plan", "reset", "prove", "sign-in", "cancel", "hold",
        "release",
    }
)  # fmt: skip
"""What is done with a definition, and leaves it as it is: the last part of the path."""
_TYPED: Final = frozenset(["fields", "generate", "trust", "restore", "secrets"])
"""What puts another secret into a credential, or says whom its secrets are sent to."""
_APART: Final[Mapping[str, tuple[str, ...]]] = {
    "POST /accounts/recognise": ("view",),  # an address stands in no path: nothing is changed
    "POST /tokens": ("users",),  # one's own in a session; a token makes none for who sees to nobody
    "DELETE /tokens/{id}": ("view",),  # one's own
    "POST /accounts/test": ("edit",),  # of what nobody has saved: a place that somebody names
    "POST /accounts": ("edit", "create"),  # a connection, with a credential
    "POST /erasures": ("destroy",),
    "POST /erasures/plan": ("destroy",),  # whose mail lies where
    "POST /credentials/{name}/restrict": ("users",),
    "POST /credentials/{name}/open": ("users",),
}
"""What no rule says, and why."""
_COMMANDS: Final[Mapping[str, tuple[str, ...]]] = {
    "send-email": ("send",), "reply-email": ("read", "send"), "forward-email": ("read", "send"),
    "list-email": ("read",), "read-email": ("read",), "list-folders": ("read",),
    "move-email": ("use",), "copy-email": ("use",), "flag-email": ("use",), "delete-email": ("use",),
    "test-connection": ("use",), "run-job": ("use",),
}  # fmt: skip


def wanted(door: str, name: str = "") -> frozenset[str]:
    """The rights that a door wants, by what it does: ``POST /credentials/{name}/copy``."""
    method, _, path = door.partition(" ")
    parts = path.strip("/").split("/")
    if door in _APART:
        return frozenset(_APART[door])
    if own := next((_OWN[part] for part in parts if part in _OWN), None):
        return frozenset({own})
    if path == "/commands/{name}":
        return frozenset(_COMMANDS[name])
    if method == "GET":
        return frozenset({"read" if path in _TEXT else "view"})
    if parts[-1] in _DONE and parts[0] not in ("outbox", "services"):
        return frozenset({"use"})
    if parts[0] == "outbox" or (parts[0] == "services" and parts[-1] in ("hold", "release")):
        return frozenset({"send"})
    if parts[0] != "credentials":
        return frozenset({"edit"})
    if method == "DELETE":
        return frozenset({"destroy"})
    if parts[-1] in _TYPED:
        return frozenset({"replace"})
    return frozenset({"create" if method == "POST" else "edit"})


class Teller:
    """Asks for one role, and searches every answer.  ``succeeded`` are the doors that did something."""

    def __init__(self, client: Client, role: str | None, secrets: list[str]) -> None:
        self._client = client
        self.role = role
        self.succeeded: set[str] = set()
        self.searched = 0
        self.wrong: list[tuple[object, ...]] = []
        self._needles = {
            needle: (secret[:6], dress)
            for secret in secrets
            for dress, needle in forms(secret.encode()).items()
            if dress not in ("beginning", "end")
        }

    async def ask(
        self,
        door: str,
        body: Any = None,
        *,
        well: frozenset[int] = _GOOD,
        query: str = "",
        also: tuple[str, ...] = (),
        **path: str,
    ) -> Any:
        """Ask as the role; where it may not, as an administrator then.  Gives the document.

        ``well`` are the statuses of who may; ``also`` the rights that what is saved wants besides.
        """
        method, _, template = door.partition(" ")
        address = re.sub(r"\{(\w+)\}", lambda found: path[found[1]], template) + query
        may = wanted(door, path.get("name", "")) | set(also) <= MAY[self.role]
        if not may:
            answer = await self._asked(door, method, address, body, self.role)
            if answer.status_code != (401 if self.role is None else 403):
                self.wrong.append((door, path, "is not refused to", self.role, answer.status_code))
        answer = await self._asked(door, method, address, body, self.role if may else "admin")
        if answer.status_code not in well:
            self.wrong.append((door, path, answer.status_code, answer.text[:600]))
        elif answer.status_code in _GOOD:
            self.succeeded.add(door)
        kind = answer.headers.get("content-type", "")
        return json.loads(answer.content) if "json" in kind and answer.content else answer.content

    async def heard(self, door: str, body: Any = None, **path: str) -> None:
        """Ask for a stream, as whoever may; it is searched as far as it comes in a second."""
        method, _, template = door.partition(" ")
        address = re.sub(r"\{(\w+)\}", lambda found: path[found[1]], template)
        role = self.role if wanted(door) <= MAY[self.role] else "admin"
        stream = {"accept": "text/event-stream"}
        answer = await self._client.ask(
            method, address, json=body, headers=stream, as_=role, seconds=1.0
        )
        self._search(door, answer)
        if answer.status_code != 200:
            self.wrong.append((door, "no stream", answer.status_code, answer.text[:300]))
        else:
            self.succeeded.add(door)

    async def _asked(
        self, door: str, method: str, address: str, body: Any, role: str | None
    ) -> Answer:
        if isinstance(body, dict) and body:  # and as somebody who mistypes: what is told of it
            wrong = await self._client.ask(
                method, address, json={**body, "nosuchfield": CANARY}, as_=role
            )
            self._search(door, wrong)
            if not 400 <= wrong.status_code < 500:
                self.wrong.append((door, "takes any field", wrong.status_code))
        answer = await self._client.ask(method, address, json=body, as_=role)
        self._search(door, answer)
        return answer

    def _search(self, door: str, answer: Answer) -> None:
        self.searched += 1
        said = answer.content + json.dumps(answer.headers).encode()
        for needle, (which, dress) in self._needles.items():
            if needle in said:
                self.wrong.append((door, "has", which, "as", dress, "in its answer"))


_LETTER: Final = (
    "From: Ada <ada@partner.example>\r\nSubject: {}\r\nMessage-ID: <{}@p.example>\r\n\r\nx\r\n"
)


async def story(teller: Teller, room: Room, ground: Ground, user: User, key: str) -> None:
    """Everything there is to ask.  ``key`` is a private key in PEM."""
    ground.dovecot.fill(
        user, [_LETTER.format(one, one).encode() for one in ("one", "two", "three")]
    )
    await _credentials(teller, ground, user, key)
    await _connections(teller, ground, user)
    await _mail(teller, user)
    await _services(teller, room, user)
    await _sources(teller, user)
    await _jobs(teller)
    await _around(teller, user)
    await _people(teller)
    await _reads(teller)
    await _ends(teller)


async def _credentials(teller: Teller, ground: Ground, user: User, key: str) -> None:
    ask = teller.ask
    login = {"user_name": user.address, "password": user.password}
    for name, kind, details in (
        ("acme", "password", login),
        ("ca", "trusted_certificate", {"certificate": ground.pki.ca.read_text()}),
        ("key", "secret", {"value": CANARY}),
        ("other", "generic", {"a": {"value": "b", "plain": True}, "one": CANARY}),
        ("mailer", "smtp", {"host": "127.0.0.1", "port": str(ground.postfix.selfsigned_submission),
                            "user_name": user.address, "password": user.password, "tls": True}),
        ("app", "oauth_client", {"authority": "https://127.0.0.1:1", "client_id": "x",
                                 "client_secrets": {"one": {"value": CANARY}}}),
        ("graph", "msgraph", {"tenant_id": "00000000-0000-0000-0000-000000000001", "client_id": "x",
                              "client_secrets": {"one": {"value": CANARY}}}),
        ("pair", "certificate", {"private_key": key}),
    ):  # fmt: skip
        await ask(
            "POST /credentials",
            {"name": name, "type": kind, "details": details, "description": "x"},
        )
    await ask("PATCH /credentials/{name}/fields", {"details": {"value": CANARY + "2"}}, name="key")
    await ask("PATCH /credentials/{name}", {"description": "a key"}, name="key")
    await ask("POST /credentials/{name}/copy", {"new_name": "copied"}, name="acme")
    await ask(
        "PATCH /credentials/{name}/fields", {"details": {"password": user.password}}, name="copied"
    )
    await ask("POST /credentials/{name}/generate", {"days": 30}, name="app")
    await ask("POST /credentials/{name}/secrets", {"value": CANARY, "label": "two"}, name="app")
    await ask("POST /credentials/{name}/secrets", {"value": CANARY, "label": "gone"}, name="graph")
    await ask("DELETE /credentials/{name}/secrets/{label}", name="graph", label="gone")
    await ask("GET /credentials/{name}/secrets", name="app")
    await ask("POST /credentials/{name}/secrets/prove", {"label": "two"}, name="app")
    shown = {"fingerprint": fingerprint(ground)}
    await ask("POST /credentials/{name}/trust", shown, name="mailer")
    await ask("POST /credentials/{name}/test", {}, name="mailer")
    await ask("GET /credentials/{name}/versions", name="key")
    restore = "POST /credentials/{name}/versions/{version}/restore"
    await ask(restore, {}, name="key", version="1")
    await ask("DELETE /credentials/{name}/versions/{version}", name="key", version="2")


def fingerprint(ground: Ground) -> str:
    """SHA-256 of the certificate that is signed by itself."""
    pem = ground.pki.pairs["selfsigned"].cert.read_bytes()
    return x509.load_pem_x509_certificate(pem).fingerprint(hashes.SHA256()).hex()


def _side(protocol: str, port: int, credential: str = "acme", **more: Any) -> dict[str, Any]:
    auth = {"type": "secret", "credential": credential}
    return {
        "protocol": protocol, "host": "127.0.0.1", "port": str(port), "auth": auth, "trust": "ca",
        "security": "starttls" if protocol == "smtp" else "tls", **more,
    }  # fmt: skip


async def _connections(teller: Teller, ground: Ground, user: User) -> None:
    ask = teller.ask
    imap, smtp = ground.dovecot.imaps, ground.postfix.submission
    both = {"incoming": _side("imap", imap), "outgoing": _side("smtp", smtp)}
    await ask("POST /connections", {"name": "acme", **both})
    await ask("POST /connections", {"name": "dead", "outgoing": _side("smtp", 1, "copied")})
    odd = _side("imap", ground.dovecot.selfsigned.imaps, "copied", trust=None)
    await ask("POST /connections", {"name": "odd", "incoming": odd})
    far = {"protocol": "imap", "host": "imap.gmail.com", "auth": {"type": "none"}}
    await ask("POST /connections", {"name": "far", "incoming": far})
    shown = {"place": "incoming", "fingerprint": fingerprint(ground)}
    await ask("POST /connections/{name}/trust", shown, name="odd")
    await ask("PATCH /connections/{name}", {"description": "x"}, name="acme")
    await ask("POST /connections/{name}/copy", {"new_name": "second"}, name="acme")
    await ask("POST /connections/{name}/test", {"send_to": user.address}, name="acme")
    await teller.heard("POST /connections/{name}/test", {}, name="acme")
    await ask("POST /connections/{name}/restart", {}, name="acme")
    how = {"asked": {"auth": "secret", "credential": "copied"}}
    await ask("POST /connections/{name}/convert", how, name="second")
    # nobody signs in at a provider in this story: test_connecting and test_signing_in do
    refused = frozenset({404, 406, 409, 422})
    await ask("POST /connections/{name}/sign-in", {"how": "device"}, name="acme", well=refused)
    await ask("DELETE /connections/{name}/sign-in", name="acme", well=refused)
    data = {
        "name": "box", "address": user.address, "password": user.password, "collect": False,
        "send": False, "outgoing": {"protocol": "none"},
        "incoming": {"protocol": "imap", "host": "127.0.0.1",
                     "port": str(ground.dovecot.selfsigned.imaps), "security": "tls"},
    }  # fmt: skip
    data["trust_incoming"] = fingerprint(ground)
    await ask("POST /accounts/recognise", {"address": user.address})
    await ask("POST /accounts/test", data)
    await ask("POST /accounts", data)


async def _mail(teller: Teller, user: User) -> None:
    async def do(name: str, **parameters: Any) -> Any:
        body = {"parameters": {"via": "acme", **parameters}}
        return await teller.ask("POST /commands/{name}", body, name=name)

    ids = [one["id"] for one in (await do("list-email"))["items"]]
    await do("list-folders")
    await do("read-email", id=ids[0])
    await do("flag-email", ids=[ids[0]], add=["flagged"])
    await do("copy-email", ids=[ids[0]], to="Kept", create=True)
    await do("move-email", ids=[ids[1]], to="Kept")
    await do("delete-email", ids=[ids[2]])
    await do("test-connection")


async def _services(teller: Teller, room: Room, user: User) -> None:
    ask = teller.ask
    service = {"allowed_senders": [user.address], "from": user.address}
    await ask("POST /services", {"name": "out", "connection": "acme", **service})
    await ask("POST /services", {"name": "lost", "connection": "dead", **service})
    await ask("PATCH /services/{name}", {"queue_size": 70}, name="out")
    await ask("POST /services/{name}/copy", {"new_name": "out-too"}, name="out")
    await ask("POST /services/{name}/hold", {}, name="out-too")
    await ask("POST /services/{name}/release", {}, name="out-too")

    async def send(via: str, to: str) -> str:
        body = {"parameters": {"via": f"service:{via}", "to": [to], "text": "x"}}
        return str((await ask("POST /commands/{name}", body, name="send-email"))["id"])

    sent, failed, lost = (
        await send("out", user.address), await send("out", "unknown@ground.test"),
        await send("lost", user.address),
    )  # fmt: skip
    await room.email.dispatch(within=30.0)
    queued, held = await send("out-too", user.address), await send("out-too", user.address)
    for verb in ("hold", "release", "cancel"):
        await ask(f"POST /outbox/{{item}}/{verb}", {}, item=queued)
    await ask("POST /outbox/{item}/retry", {}, item=lost)
    await ask("POST /outbox/settle", {"items": [failed]})
    await ask("POST /outbox/settle-all", {"service": "out"})
    for verb in ("release", "cancel"):
        await ask("POST /outbox/{item}/hold", {}, item=held)
        await ask(f"POST /outbox/{verb}-held", {"service": "out-too"})
    for part in ("", "/attempts", "/content"):
        await ask(f"GET /outbox/{{item}}{part}", item=sent)
        await ask(f"GET /outbox/{{item}}{part}", item=failed)
    body = {"parameters": {"via": "acme", "send_via": "service:out-too", "text": "x"}}
    [first, *_] = (
        await ask("POST /commands/{name}", {"parameters": {"via": "acme"}}, name="list-email")
    )["items"]
    body["parameters"]["id"] = first["id"]
    await ask("POST /commands/{name}", body, name="reply-email")
    body["parameters"] = {**body["parameters"], "to": [user.address]}  # type: ignore[dict-item]
    await ask("POST /commands/{name}", body, name="forward-email")


async def _jobs(teller: Teller) -> None:
    ask = teller.ask
    steps = [{"list-email": {"via": "acme"}}]
    await ask("POST /jobs", {"name": "look", "steps": steps})
    await ask("PATCH /jobs/{name}", {"description": "x"}, name="look")
    await ask("POST /jobs/{name}/copy", {"new_name": "look-too"}, name="look")
    await ask("POST /jobs/{name}/hold", {}, name="look")
    await ask("POST /jobs/{name}/release", {}, name="look")
    await ask("POST /jobs/{name}/plan", {}, name="look")
    run = (await ask("POST /jobs/{name}/runs", {}, name="look"))["value"]
    await ask("POST /commands/{name}", {"parameters": {"job": "look"}}, name="run-job")
    await ask("GET /runs/{run}", run=run)
    await ask("GET /runs/{run}/log", run=run)
    await ask("POST /runs/{run}/cancel", {}, run=run)
    await teller.heard("GET /runs/{run}/log", run=run)


async def _sources(teller: Teller, user: User) -> None:
    ask = teller.ask
    await ask("POST /jobs", {"name": "got", "steps": [{"test-connection": {"via": "acme"}}]})
    sink = {"type": "job", "job": "got"}
    data = {"name": "in", "connection": "acme", "start": "all", "sink": sink}
    await ask("POST /sources", data, also=("read", "use"))
    await ask("PATCH /sources/{name}", {"description": "x"}, name="in")
    await ask("POST /sources/{name}/copy", {"new_name": "in-too"}, name="in")
    await ask("GET /sources/{name}/preview", name="in")
    await ask("POST /sources/{name}/run", {}, name="in")
    await ask("GET /sources/{name}/counts", name="in")
    await ask("POST /sources/{name}/release", {}, name="in")
    await ask("POST /sources/{name}/reset", {}, name="in")


async def _around(teller: Teller, user: User) -> None:
    ask = teller.ask
    await ask("POST /variables", {"name": "A", "value": "a"})
    await ask("PUT /variables/{name}", {"value": "b"}, name="A")
    await ask("GET /variables/{name}", name="A")
    one = {"name": "tell", "service": "out-too", "to": [user.address]}
    await ask("POST /notify", one, also=("send",))
    hook = {"name": "hook", "url": "https://127.0.0.1:1/{secret}", "credential": "key"}
    await ask("POST /notify", hook)
    await ask("PATCH /notify/{name}", {"description": "x"}, name="tell")
    await ask("POST /notify/{name}/copy", {"new_name": "tell-too"}, name="tell")
    await ask("POST /notify/{name}/test", {}, name="tell")
    await ask("POST /notify/{name}/test", {}, name="hook")
    text = (
        "postroom: 1\ncredentials: [{name: filed, type: secret, fields: {value: {from_env: X}}}]\n"
    )
    filed = {"files": {"room.yaml": text}, "secrets": {"room.yaml: filed value": CANARY}}
    await ask("POST /room-file", filed, also=("create",))
    await ask("POST /room-file", filed, also=("create",), query="?dry_run=true")


async def _people(teller: Teller) -> None:
    ask = teller.ask
    await ask("POST /users", {"name": "ann", "role": "viewer", "password": CANARY})
    await ask("PATCH /users/{name}", {"password": CANARY + "3"}, name="ann")
    await ask("GET /users/{name}", name="ann")
    await ask("POST /users/{name}/invitation", {}, name="ann")
    await ask("GET /users/{name}/sessions", name="ann")
    await ask("DELETE /users/{name}/sessions", name="ann")
    whose = {"user": teller.role or "admin"}
    made = await ask("POST /tokens", {"name": "deploy", **whose})
    await ask("DELETE /tokens/{id}", id=made["id"])
    await ask("POST /credentials/{name}/restrict", {}, name="other")
    await ask("POST /credentials/{name}/grants", {"grantee": "user:ann"}, name="other")
    await ask("DELETE /credentials/{name}/grants/{grantee}", name="other", grantee="user:ann")
    await ask("POST /credentials/{name}/open", {}, name="other")
    await ask("POST /keys/rotate", {})
    await ask("POST /audit/verify", {})
    await ask("POST /erasures/plan", {"address": "nobody@example.com"})
    await ask("POST /erasures", {"address": "nobody@example.com"})


_READ: Final = {
    "credentials": ("", "/record", "/usage", "/versions", "/secrets"), "connections": ("", "/usage", "/log"),
    "services": ("", "/usage"), "sources": ("", "/usage"), "jobs": ("", "/usage"), "notify": ("",),
    "variables": ("/usage",),
}  # fmt: skip


async def _reads(teller: Teller) -> None:
    """Every list, and what is shown of every record that the story made."""
    ask = teller.ask
    for noun, parts in _READ.items():
        found = await ask(f"GET /{noun}")
        names = [one["name"] for one in found["items"]] if noun != "variables" else ["A"]
        for part in parts:
            for name in names:
                known = frozenset({409}) if part == "/secrets" else frozenset()
                await ask(f"GET /{noun}/{{name}}{part}", name=name, well=_GOOD | known)
    for path in (
        "/census", "/sign-ins", "/ledger", "/outbox", "/outbox/unattended", "/outbox/waiting",
        "/commands", "/runs", "/environment", "/used-variables", "/notices", "/needs", "/health",
        "/counts", "/room-file", "/keys", "/keys/doctor", "/keys/damaged", "/audit", "/audit/kept",
        "/users", "/tokens", "/grants",
    ):  # fmt: skip
        await ask(f"GET {path}")
    await ask("GET /audit", query="?limit=500")
    await ask("GET /guides/{name}", name="far")
    await teller.heard("GET /events")


async def _ends(teller: Teller) -> None:
    """What is deleted, in an order in which nothing uses it any more."""
    ask = teller.ask
    for noun, names in (
        ("notify", ("tell-too", "hook")), ("sources", ("in-too", "in")), ("services", ("out-too", "lost")),
        ("jobs", ("look-too", "look")), ("variables", ("A",)), ("connections", ("second", "odd")),
        ("credentials", ("other", "pair")), ("users", ("ann",)),
    ):  # fmt: skip
        for name in names:
            force = "?force=true" if noun in ("services", "jobs", "connections") else ""
            await ask(f"DELETE /{noun}/{{name}}", name=name, query=force)

"""A stand-in for Microsoft Graph's mail over the ground's mailboxes: HTTPS, tokens, limits, faults."""

from __future__ import annotations

import base64
import collections
import contextlib
import email.utils
import itertools
import json
import socket
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.ground.dovecot import Dovecot
from tests.ground.graphapi import UPLOAD_KEY, Answer, Api, Asked, Fault, Token, refuse
from tests.ground.graphbox import Mailbox
from tests.ground.oauth import GRAPH, AuthorizationServer
from tests.ground.pki import Pki
from tests.ground.postfix import Postfix

__all__ = ["GraphServer"]

_ALL = ("Mail.ReadWrite", "Mail.Send")
_AT_ONCE = 4  # requests of one app to one mailbox
_KEPT = 1.0  # seconds an introspection is believed


class GraphServer:
    """`https://localhost:PORT/v1.0`, in a thread of its own.

    Tokens are those of the ground's authorization server, asked for at its introspection endpoint,
    or made by `token`.  What Microsoft's description does not allow is refused with 400.  From
    documentation and not from the real service: codes, limits, and that DELETE means Deleted Items.
    """

    def __init__(self, pki: Pki, dovecot: Dovecot, postfix: Postfix | None = None) -> None:
        """Start it (a few ms).  Without Postfix, sent messages go straight into the Maildirs."""
        self._dovecot = dovecot
        self._boxes: dict[str, Mailbox] = {}
        self._oauth: AuthorizationServer | None = None
        self._context = pki.client_context()
        self.api = Api(self._mailbox, (postfix.host, postfix.big) if postfix else None)
        self._tokens: dict[str, tuple[Token, float]] = {}
        self._faults: list[dict[str, Any]] = []
        self._busy: collections.Counter[tuple[str, str]] = collections.Counter()
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._let_in: set[str] = set()
        self.most = 0
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        self._http = _Http(self)
        self._http.socket = pki.server_context().wrap_socket(
            self._http.socket, server_side=True, do_handshake_on_connect=False
        )
        self.port: int = self._http.server_address[1]
        self.url = f"https://localhost:{self.port}/v1.0"
        self.api.base = self.url
        self._thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """End it."""
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    # ------------------------------------------------------------------- what tests say

    def trusts(self, oauth: AuthorizationServer) -> None:
        """Take the tokens of that server."""
        self._oauth = oauth

    def token(self, user: str = "", *, client: str = "app", rights: Iterable[str] = _ALL) -> str:
        """A token of an application, or of that person by it."""
        text = f"graph-token-{next(self._numbers):06d}-0123456789"
        self._tokens[text] = (Token(client, user, frozenset(rights)), float("inf"))
        return text

    def revoke(self, token: str) -> None:
        """That token is refused from now on."""
        del self._tokens[token]

    def let_send_as(self, mailbox: str, sender: str) -> None:
        """Send As: whoever may use the mailbox may send as that address."""
        self.api.may_send_as.add((mailbox.lower(), sender.lower()))

    def let_in(self, client: str) -> None:
        """RBAC for Applications: that app may read and send, whatever its tokens say."""
        self._let_in.add(client)

    def expire(self) -> None:
        """Every delta token ends: 410."""
        with self.api.lock:
            self.api.snapshots.clear()
            self.api.rests.clear()

    def fault(self, what: str = "", *, times: int = 1, **how: Any) -> None:
        """The next requests whose path ends with `what` (`delta`, `$value` ...; `/upload/`: begins) go wrong.

        `how`: `status` with `code`, `retry_after` (seconds) and `as_date`; `cut=True` the connection
        ends unanswered; `lose=True` done, but the answer is lost; `delay` (seconds); `next` (a link
        that takes the place of nextLink); `again=True` nextLink leads to the same page; `says` (JSON)
        in the place of what it would say.
        """
        self._faults += [{"what": what, **how} for _ in range(times)]

    def mend(self) -> None:
        """Nothing goes wrong any more, and nothing was counted."""
        self._faults.clear()
        self.seen.clear()
        self.most = 0

    @property
    def faulty(self) -> bool:
        """Whether something is still to go wrong."""
        return bool(self._faults)

    def count(self, ending: str = "") -> int:
        """How many requests came whose path ends so."""
        return sum(path.partition("?")[0].endswith(ending) for _, path, _, _ in self.seen)

    # ------------------------------------------------------------------- answering

    def answer(
        self, method: str, target: str, headers: dict[str, str], body: bytes
    ) -> Answer | None:
        """What goes back; None: nothing, the connection ends."""
        split = urllib.parse.urlsplit(target)
        path = urllib.parse.unquote(split.path)
        self.seen.append((method, target, headers, body[:100_000]))
        how = self._going_wrong(path)
        try:
            if how.get("cut"):
                return None
            if "status" in how:
                raise _told(how)
            if path.startswith("/upload/"):
                if split.query != UPLOAD_KEY:
                    raise refuse(401, "InvalidAuthentication", "The address is not whole.")
                done = self.api.upload(method, path.removeprefix("/upload/"), headers, body)
                return None if how.get("lose") else done
            token = self._who(headers)
            options = dict(urllib.parse.parse_qsl(split.query, keep_blank_values=True))
            asked = Asked(method, path.removeprefix("/v1.0"), options, headers, body, token)
            if not path.startswith("/v1.0/"):
                raise refuse(400, "BadRequest", "Invalid version.")
            with self._room_for(asked):
                time.sleep(how.get("delay", 0))
                answer = self.api.answer(asked)
            return (
                None
                if how.get("lose")
                else _bent(answer, how, f"{self.url}{asked.path}?{split.query}")
            )
        except Fault as fault:
            error = {"error": {"code": fault.code, "message": fault.text}}
            return Answer(fault.status, json.dumps(error).encode(), fault.headers)

    def _going_wrong(self, path: str) -> dict[str, Any]:
        with self._lock:
            for one in self._faults:
                what = one["what"]
                if path.endswith(what) or (what.endswith("/") and path.startswith(what)):
                    self._faults.remove(one)
                    return one
        return {}

    @contextlib.contextmanager
    def _room_for(self, asked: Asked) -> Any:
        mailbox = asked.path.split("/")[2] if asked.path.startswith("/users/") else asked.token.user
        key = (asked.token.client, mailbox.lower())
        with self._lock:
            self._busy[key] += 1
            self.most = max(self.most, self._busy[key])
            full = self._busy[key] > _AT_ONCE
        try:
            if full:
                raise refuse(
                    429, "ApplicationThrottled", "MailboxConcurrency", **{"Retry-After": "1"}
                )
            yield
        finally:
            with self._lock:
                self._busy[key] -= 1

    def _who(self, headers: dict[str, str]) -> Token:
        kind, _, text = headers.get("authorization", "").partition(" ")
        if kind != "Bearer" or not text:
            raise refuse(401, "InvalidAuthenticationToken", "Access token is empty.")
        found = self._tokens.get(text)
        if found is None or found[1] < time.monotonic():
            found = (self._introspected(text), time.monotonic() + _KEPT)
            self._tokens[text] = found
        return found[0]

    def _introspected(self, text: str) -> Token:
        if self._oauth is None:
            raise refuse(401, "InvalidAuthenticationToken", "Signing key is invalid.")
        server = self._oauth
        pair = f"{server.introspector.id}:{server.introspector.secret}"
        request = urllib.request.Request(
            server.endpoint("introspect"),
            urllib.parse.urlencode({"token": text}).encode(),
            {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()},
        )
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=self._context)
        )
        with opener.open(request, timeout=10) as answer:
            said = json.loads(answer.read())
        if not said.get("active"):
            raise refuse(
                401,
                "InvalidAuthenticationToken",
                "Lifetime validation failed, the token is expired.",
            )
        if said.get("aud") != GRAPH:
            raise refuse(
                401,
                "InvalidAuthenticationToken",
                "Access token validation failure. Invalid audience.",
            )
        if said.get("idtyp") == "app":
            rights = _ALL if said["client_id"] in self._let_in else said.get("roles", ())
            return Token(said["client_id"], "", frozenset(rights))
        return Token(said["client_id"], said["upn"], frozenset(said.get("scp", "").split()))

    def _mailbox(self, address: str) -> Mailbox | None:
        name, _, domain = address.partition("@")
        home = self._dovecot.users.homes / name
        if address not in self._boxes and domain and home.is_dir():
            self._boxes[address] = Mailbox(home / "Maildir")
        return self._boxes.get(address)


def _told(how: dict[str, Any]) -> Fault:
    status, headers = how["status"], {}
    if "retry_after" in how:
        wait = how["retry_after"]
        date = email.utils.formatdate(time.time() + wait, usegmt=True)
        headers["Retry-After"] = date if how.get("as_date") else str(wait)
    usual = {
        401: "InvalidAuthenticationToken",
        410: "SyncStateNotFound",
        429: "ApplicationThrottled",
    }
    return refuse(status, how.get("code", usual.get(status, "serviceNotAvailable")), **headers)


def _bent(answer: Answer, how: dict[str, Any], here: str) -> Answer:
    """The answer with another link to the next page, or another altogether, where a fault says so."""
    if "says" in how:
        answer.body = json.dumps(how["says"]).encode()
    if "next" in how or how.get("again"):
        said = json.loads(answer.body)
        said.pop("@odata.deltaLink", None)
        said["@odata.nextLink"] = how.get("next", here)
        answer.body = json.dumps(said).encode()
    return answer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Http

    def log_message(self, *_: Any) -> None:
        """Nothing."""

    def _any(self) -> None:
        headers = {key.lower(): value for key, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", "0")))
        answer = self.server.graph.answer(self.command, self.path, headers, body)
        if answer is None:
            self.close_connection = True
            return
        self.send_response(answer.status)
        for key, value in {**answer.headers, "Content-Length": str(len(answer.body))}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(answer.body)

    do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = _any  # noqa: N815  # the base class's names


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, graph: GraphServer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.graph = graph
        # clients ask for localhost, and by IPv6 first: nobody else shall answer there
        self._other = socket.socket(socket.AF_INET6)
        with contextlib.suppress(OSError):
            self._other.bind(("::1", self.server_port))

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that leaves is nothing to print; a mistake of this server is."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)

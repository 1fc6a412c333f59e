"""The Graph stand-in's answers: each request is checked strictly, then done to a mailbox."""

from __future__ import annotations

import base64
import binascii
import contextlib
import email
import email.policy
import itertools
import json
import re
import smtplib
import threading
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.ground.graphbox import WELL_KNOWN, Item, Mailbox
from tests.ground.graphmail import (
    CREATABLE,
    PROPERTIES,
    UPDATABLE,
    Draft,
    compose,
    described,
    sent_form,
)

__all__ = ["UPLOAD_KEY", "Answer", "Api", "Asked", "Fault", "Token", "refuse"]

_FOLDER_PROPERTIES = frozenset({
    "id", "childFolderCount", "displayName", "isHidden", "parentFolderId", "totalItemCount",
    "unreadItemCount",
})  # fmt: skip
UPLOAD_KEY = "authtoken=canary-upload-key"
"""What an upload address ends with: it is all that its owner needs."""

_LARGEST = 4 * 1024 * 1024  # of a request
_MESSAGE_ID = re.compile(rb"^Message-ID:.*\r\n", re.IGNORECASE | re.MULTILINE)
_FILTERS = re.compile(
    r"(?P<key>isRead|isDraft|receivedDateTime|internetMessageId|flag/flagStatus) "
    r"(?P<op>eq|ne|ge|gt|lt|le) (?P<value>true|false|'(?:[^']|'')*'|[0-9T:.Z-]+)"
)


@dataclass(slots=True)
class Fault(Exception):
    """An answer that is no success."""

    status: int
    code: str
    text: str = ""
    headers: dict[str, str] = field(default_factory=dict)


def refuse(status: int, code: str, text: str = "", **headers: str) -> Fault:
    """A fault."""
    return Fault(status, code, text or code, headers)


@dataclass(frozen=True, slots=True)
class Token:
    """Who asks: an application by itself, or a person by it."""

    client: str
    user: str  # "" for an application
    rights: frozenset[str]


@dataclass(slots=True)
class Asked:
    """One request, its path without the version."""

    method: str
    path: str
    options: dict[str, str]
    headers: dict[str, str]
    body: bytes
    token: Token


@dataclass(slots=True)
class Answer:
    """A status, a body and header fields."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Upload:
    mailbox: Mailbox
    item: str
    name: str
    about: dict[str, Any]
    size: int
    data: bytearray = field(default_factory=bytearray)


class Api:
    """All mailboxes.  ``base`` is what links begin with, once the port is known."""

    def __init__(
        self, mailbox: Callable[[str], Mailbox | None], relay: tuple[str, int] | None
    ) -> None:
        self._mailbox = mailbox
        self._relay = relay
        self.base = ""
        self.lock = threading.RLock()
        self.drafts: dict[str, Draft] = {}
        self.categories: dict[str, list[str]] = {}
        self.snapshots: dict[str, dict[str, str]] = {}
        self.rests: dict[str, tuple[list[dict[str, Any]], dict[str, str]]] = {}
        self.uploads: dict[str, _Upload] = {}
        self.may_send_as: set[tuple[str, str]] = set()
        # delta promises no order, and may give fewer in a page than were asked for
        self.newest_first = False
        self.largest_page = 1000
        self.own_ids = False  # a draft of MIME gets a Message-ID of the server's
        self._numbers = itertools.count(1)

    def answer(self, asked: Asked) -> Answer:
        """Check and do.  Raises Fault."""
        if asked.path == "/$batch":
            return self._batch(asked)
        address, _, rest = asked.path.removeprefix("/users/").partition("/")
        if asked.path.startswith("/me/"):
            if not asked.token.user:
                raise refuse(400, "BadRequest", "/me request is only valid with delegated flow.")
            address, rest = asked.token.user, asked.path.removeprefix("/me/")
        elif not asked.path.startswith("/users/"):
            raise refuse(400, "BadRequest", f"Resource not found for the segment {asked.path}.")
        box = self._mailbox(address.lower())
        if box is None:
            raise refuse(404, "ErrorInvalidUser", f"The requested user '{address}' is invalid.")
        for method, pattern, right, options, verb in _ROUTES:
            found = re.fullmatch(pattern, rest)
            if found and method == asked.method:
                _check(asked, right, options, address.lower())
                with self.lock:
                    answer: Answer = getattr(self, verb)(
                        box, address.lower(), asked, **found.groupdict()
                    )
                    return answer
        raise refuse(400, "BadRequest", f"No such request: {asked.method} {rest}.")

    # ------------------------------------------------------------------- folders

    def folders(self, box: Mailbox, me: str, asked: Asked, fid: str = "") -> Answer:
        above = "" if fid in ("", "msgfolderroot") else self._folder(box, fid)
        return self._paged(asked, [self._about(box, n, asked) for n in box.children(above)])

    def folder(self, box: Mailbox, me: str, asked: Asked, fid: str) -> Answer:
        return _json(200, self._about(box, self._folder(box, fid), asked))

    def make_folder(self, box: Mailbox, me: str, asked: Asked, fid: str = "") -> Answer:
        said = _properties(asked, {"displayName", "isHidden"})
        above = "" if fid in ("", "msgfolderroot") else self._folder(box, fid)
        name = f"{above}/{said['displayName']}" if above else said["displayName"]
        if name in box.folders():
            raise refuse(
                409, "ErrorFolderExists", "A folder with the specified name already exists."
            )
        box.make(name)
        return _json(201, self._about(box, name, asked))

    def _about(self, box: Mailbox, name: str, asked: Asked) -> dict[str, Any]:
        items = box.items(name)
        whole = {
            "id": _folder_id(name), "displayName": name.rpartition("/")[2].replace("INBOX", "Inbox"),
            "parentFolderId": _folder_id(name.rpartition("/")[0]), "isHidden": False,
            "childFolderCount": len(box.children(name)), "totalItemCount": len(items),
            "unreadItemCount": sum("S" not in item.flags for item in items),
        }  # fmt: skip
        wanted = _selected(asked, _FOLDER_PROPERTIES) or set(whole)
        return {key: value for key, value in whole.items() if key in wanted | {"id"}}

    def _folder(self, box: Mailbox, fid: str) -> str:
        known = WELL_KNOWN.get(fid.lower())
        if known:
            return known
        try:
            name = base64.urlsafe_b64decode(fid.removeprefix("AQMk")).decode()
        except (ValueError, binascii.Error):
            raise refuse(400, "ErrorInvalidIdMalformed", "Id is malformed.") from None
        if name not in box.folders():
            raise refuse(
                404, "ErrorItemNotFound", "The specified object was not found in the store."
            )
        return name

    # ------------------------------------------------------------------- messages

    def messages(self, box: Mailbox, me: str, asked: Asked, fid: str = "") -> Answer:
        names = [self._folder(box, fid)] if fid else box.folders()
        items = [item for name in names for item in box.items(name)]
        if search := asked.options.get("$search"):
            if "$filter" in asked.options or "$orderby" in asked.options:
                raise refuse(
                    400, "SearchWithFilter", "$search with $filter or $orderby is not supported."
                )
            items = [item for item in items if _found(search, item)]
        if text := asked.options.get("$filter"):
            items = [item for item in items if self._passes(text, item)]
        order = asked.options.get("$orderby", "")
        if order not in ("", "receivedDateTime", "receivedDateTime asc", "receivedDateTime desc"):
            raise refuse(400, "BadRequest", "Invalid $orderby.")
        if order.endswith(" desc") or not (order or search):
            items.reverse()
        return self._paged(asked, [self._shown(item, asked) for item in items])

    def _passes(self, text: str, item: Item) -> bool:
        seen = described(item, [], set(), "")
        for part in text.split(" and "):
            found = _FILTERS.fullmatch(part.strip())
            if found is None:
                raise refuse(400, "BadRequest", f"Invalid filter clause: {part}")
            value: Any = found["value"]
            value = value[1:-1].replace("''", "'") if value[0] == "'" else value
            value = value == "true" if value in ("true", "false") else value
            key, _, inner = found["key"].partition("/")
            have = seen[key][inner] if inner else seen[key]
            same = {"eq": have == value, "ne": have != value}
            if found["op"] not in same:
                same = {
                    "ge": have >= value,
                    "gt": have > value,
                    "lt": have < value,
                    "le": have <= value,
                }
            if not same[found["op"]]:
                return False
        return True

    def _shown(self, item: Item, asked: Asked, select: set[str] | None = None) -> dict[str, Any]:
        wanted = _selected(asked, PROPERTIES) if select is None else select
        return described(item, self.categories.get(item.id, []), wanted, _folder_id(item.folder))

    def delta(self, box: Mailbox, me: str, asked: Asked, fid: str) -> Answer:
        options, name = asked.options, self._folder(box, fid)
        if token := options.get("$skiptoken"):
            if token not in self.rests:
                raise refuse(410, "SyncStateNotFound", "The sync state generation is not found.")
            rows, now = self.rests[token]
        else:
            before: dict[str, str] = {}
            if token := options.get("$deltatoken"):
                if token not in self.snapshots:
                    raise refuse(
                        410, "SyncStateNotFound", "The sync state generation is not found."
                    )
                before = self.snapshots[token]
            items = {item.id: item for item in box.items(name)}
            now = {i: f"{items[i].flags}{self.categories.get(i, [])}" for i in items}
            changed = [i for i in items if before.get(i) != now[i]]
            changed = changed[::-1] if self.newest_first else changed
            rows = [self._shown(items[i], asked) for i in changed]
            rows += [{"id": i, "@removed": {"reason": "deleted"}} for i in before if i not in items]
        most = min(_page_size(asked), self.largest_page)
        token, link = f"t{next(self._numbers)}", "@odata.nextLink"
        if rows[most:]:
            self.rests[token] = (rows[most:], now)
        else:
            self.snapshots[token], link = now, "@odata.deltaLink"
        kind = "skip" if link.endswith("nextLink") else "delta"
        select = {"$select": options["$select"]} if "$select" in options else {}
        query = urllib.parse.urlencode({f"${kind}token": token, **select})
        return _json(200, {"value": rows[:most], link: f"{self.base}{asked.path}?{query}"})

    def create(self, box: Mailbox, me: str, asked: Asked) -> Answer:
        draft = Draft()
        if asked.headers.get("content-type", "").startswith("text/plain"):
            draft.mime, content = True, _mime(asked)
            if self.own_ids:
                content = _MESSAGE_ID.sub(b"Message-ID: <of-its-own@graph.test>\r\n", content)
        else:
            draft.said = _properties(asked, CREATABLE)
            for each in draft.said.pop("attachments", []):
                draft.attachments.append(_attachment(each))
            content = compose(draft, me).as_bytes()
        item = box.put("Drafts", content, "DS")
        self.drafts[item.id] = draft
        self.categories[item.id] = draft.said.get("categories", [])
        return _json(201, self._shown(item, asked, set()))

    def message(self, box: Mailbox, me: str, asked: Asked, mid: str) -> Answer:
        return _json(200, self._shown(_item(box, mid), asked))

    def value(self, box: Mailbox, me: str, asked: Asked, mid: str) -> Answer:
        return Answer(200, _item(box, mid).content(), {"Content-Type": "text/plain"})

    def update(self, box: Mailbox, me: str, asked: Asked, mid: str) -> Answer:
        item, said = _item(box, mid), _properties(asked, UPDATABLE)
        if "D" not in item.flags and set(said) - {"isRead", "categories", "flag", "importance"}:
            raise refuse(400, "ErrorInvalidPropertySet", "It is not a draft.")
        letters = item.flags
        if "isRead" in said:
            letters = letters.replace("S", "") + "S" * bool(said["isRead"])
        if "flag" in said:
            letters = letters.replace("F", "") + "F" * (said["flag"]["flagStatus"] == "flagged")
        if "categories" in said:
            self.categories[mid] = said["categories"]
        if mid in self.drafts:
            self.drafts[mid].said |= said
        if "internetMessageId" in said:
            own = b"Message-ID: " + said["internetMessageId"].encode() + b"\r\n"
            box.replace(item, _MESSAGE_ID.sub(own, item.content(), count=1))
        item = box.mark(item, letters)
        return _json(200, self._shown(item, asked, set()))

    def delete(self, box: Mailbox, me: str, asked: Asked, mid: str) -> Answer:
        item = _item(box, mid)
        if item.folder == "Trash":
            item.path.unlink()
        else:
            box.move(item, "Trash")
        return Answer(204)

    def move(self, box: Mailbox, me: str, asked: Asked, mid: str) -> Answer:
        said = _properties(asked, {"destinationId"})
        return _json(
            201,
            self._shown(
                box.move(_item(box, mid), self._folder(box, said["destinationId"])), asked, set()
            ),
        )

    def copy(self, box: Mailbox, me: str, asked: Asked, mid: str) -> Answer:
        said = _properties(asked, {"destinationId"})
        made = box.copy(_item(box, mid), self._folder(box, said["destinationId"]))
        return _json(201, self._shown(made, asked, set()))

    # ------------------------------------------------------------------- sending

    def attach(self, box: Mailbox, me: str, asked: Asked, mid: str) -> Answer:
        said = _attachment(json.loads(asked.body))
        self._draft(box, mid).attachments.append(said)
        return _json(201, {"id": "att", "name": said["name"]})

    def upload_session(self, box: Mailbox, me: str, asked: Asked, mid: str) -> Answer:
        about = _properties(asked, {"AttachmentItem"})["AttachmentItem"]
        unknown = set(about) - {
            "attachmentType",
            "name",
            "size",
            "contentType",
            "isInline",
            "contentId",
        }
        if (
            unknown
            or about["attachmentType"] != "file"
            or not 0 < about["size"] <= 150 * 1024 * 1024
        ):
            raise refuse(400, "ErrorInvalidRequest", f"attachmentItem: {unknown or about['size']}")
        self._draft(box, mid)
        token = f"u{next(self._numbers)}"
        self.uploads[token] = _Upload(box, mid, about["name"], about, about["size"])
        url = f"{self.base.removesuffix('/v1.0')}/upload/{token}?{UPLOAD_KEY}"
        return _json(
            201,
            {
                "uploadUrl": url,
                "expirationDateTime": "2099-01-01T00:00:00Z",
                "nextExpectedRanges": ["0-"],
            },
        )

    def upload(self, method: str, token: str, headers: dict[str, str], body: bytes) -> Answer:
        """One piece of an attachment, or how far it is; nobody signs in here."""
        if "authorization" in headers:
            raise refuse(401, "InvalidAuthentication", "An upload URL is called without a token.")
        with self.lock:
            one = self.uploads.get(token)
            if one is None:
                raise refuse(404, "ErrorItemNotFound", "There is no such upload session.")
            if method == "GET":
                return _json(200, {"nextExpectedRanges": [f"{len(one.data)}-"]})
            wanted = f"bytes {len(one.data)}-{len(one.data) + len(body) - 1}/{one.size}"
            if headers.get("content-range") != wanted:
                raise refuse(416, "ErrorInvalidRange", f"expected {wanted}")
            one.data += body
            if len(one.data) < one.size:
                return _json(200, {"nextExpectedRanges": [f"{len(one.data)}-"]})
            about = {key: value for key, value in one.about.items() if key != "attachmentType"}
            self._draft(one.mailbox, one.item).attachments.append(
                about | {"bytes": bytes(one.data)}
            )
            del self.uploads[token]
            return Answer(201, b"", {"Location": "att"})

    def _draft(self, box: Mailbox, mid: str) -> Draft:
        item = _item(box, mid)
        if "D" not in item.flags or mid not in self.drafts:
            raise refuse(400, "ErrorInvalidRequest", "It is not a draft.")
        return self.drafts[mid]

    def send(self, box: Mailbox, me: str, asked: Asked, mid: str) -> Answer:
        draft, item = self._draft(box, mid), _item(box, mid)
        content = item.content() if draft.mime else compose(draft, me).as_bytes()
        content = self._out(me, content, draft)
        box.replace(item, content)
        box.move(box.mark(item, "S"), "Sent")
        del self.drafts[mid]
        return Answer(202)

    def send_mail(self, box: Mailbox, me: str, asked: Asked) -> Answer:
        draft = Draft()
        if asked.headers.get("content-type", "").startswith("text/plain"):
            draft.mime, content, keeps = True, _mime(asked), True
        else:
            said = _properties(asked, {"message", "saveToSentItems"})
            if "message" not in said:
                raise refuse(400, "ErrorInvalidParameter", "The message parameter is missing.")
            draft.said = dict(said["message"])
            if unknown := set(draft.said) - CREATABLE:
                raise refuse(400, "BadRequest", f"No property {unknown}.")
            draft.attachments = [_attachment(each) for each in draft.said.pop("attachments", [])]
            content, keeps = compose(draft, me).as_bytes(), said.get("saveToSentItems", True)
        content = self._out(me, content, draft)
        if keeps:
            box.put("Sent", content, "S")
        return Answer(202)

    def _out(self, me: str, content: bytes, draft: Draft) -> bytes:
        content, sender, to = sent_form(content, me, draft)
        if sender.lower() != me and (me, sender.lower()) not in self.may_send_as:
            raise refuse(
                403,
                "ErrorSendAsDenied",
                "The user account does not have the right to send as that address.",
            )
        if not to:
            raise refuse(400, "ErrorInvalidRecipients", "At least one recipient is needed.")
        if self._relay is not None:
            # whom Postfix refuses, Exchange has taken all the same: it would send a DSN
            refused = contextlib.suppress(smtplib.SMTPRecipientsRefused)
            with smtplib.SMTP(*self._relay) as server, refused:
                server.sendmail(me, to, content)
        else:
            for address in to:
                if (box := self._mailbox(address.lower())) is not None:
                    box.put("INBOX", content)
        return content

    # ------------------------------------------------------------------- batches and pages

    def _batch(self, asked: Asked) -> Answer:
        said = json.loads(asked.body)
        if set(said) != {"requests"} or not 0 < len(said["requests"]) <= 20:
            raise refuse(400, "BadRequest", "Number of batch request steps exceeds 20, or none.")
        found = []
        for one in said["requests"]:
            if set(one) - {"id", "method", "url", "headers", "body"}:
                raise refuse(400, "BadRequest", f"No property {set(one)}.")
            split = urllib.parse.urlsplit(one["url"])
            headers = {key.lower(): value for key, value in one.get("headers", {}).items()}
            if "body" in one and "content-type" not in headers:
                raise refuse(400, "BadRequest", "A body needs a Content-Type.")
            inner = Asked(
                one["method"], urllib.parse.unquote(split.path),
                dict(urllib.parse.parse_qsl(split.query)), headers,
                json.dumps(one.get("body")).encode(), asked.token,
            )  # fmt: skip
            try:
                answer = self.answer(inner)
                body: Any = json.loads(answer.body) if answer.body else None
                found.append(
                    {"id": one["id"], "status": answer.status, "headers": {}, "body": body}
                )
            except Fault as fault:
                error = {"error": {"code": fault.code, "message": fault.text}}
                found.append(
                    {
                        "id": one["id"],
                        "status": fault.status,
                        "headers": fault.headers,
                        "body": error,
                    }
                )
        return _json(200, {"responses": found[::-1]})  # in any order

    def _paged(self, asked: Asked, rows: list[dict[str, Any]]) -> Answer:
        skip, most = int(asked.options.get("$skip", 0)), int(asked.options.get("$top", 10))
        if not 1 <= most <= 1000:
            raise refuse(400, "BadRequest", "Invalid $top.")
        said: dict[str, Any] = {"value": rows[skip : skip + most]}
        if rows[skip + most :]:
            query = urllib.parse.urlencode(asked.options | {"$skip": str(skip + most)})
            said["@odata.nextLink"] = f"{self.base}{asked.path}?{query}"
        return _json(200, said)


def _json(status: int, said: dict[str, Any]) -> Answer:
    return Answer(status, json.dumps(said).encode(), {"Content-Type": "application/json"})


def _folder_id(name: str) -> str:
    return "AQMk" + base64.urlsafe_b64encode(name.encode()).decode() if name else "AQMkroot"


def _item(box: Mailbox, mid: str) -> Item:
    found = box.find(mid)
    if found is None:
        raise refuse(404, "ErrorItemNotFound", "The specified object was not found in the store.")
    return found


def _check(asked: Asked, right: str, options: frozenset[str], address: str) -> None:
    if unknown := set(asked.options) - options:
        raise refuse(400, "BadRequest", f"Query option {unknown} is not allowed.")
    rights = asked.token.rights
    wanted = {"Mail.ReadWrite", "Mail.Read"} if right == "Mail.Read" else {right}
    if asked.token.user and asked.token.user.lower() != address:
        wanted = {f"{name}.Shared" for name in wanted}
    if not wanted & rights:
        raise refuse(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again.")
    if asked.method in ("POST", "PATCH") and len(asked.body) > _LARGEST:
        raise refuse(413, "RequestEntityTooLarge", "The request is too large.")


def _selected(asked: Asked, known: frozenset[str]) -> set[str]:
    wanted = {name for name in asked.options.get("$select", "").split(",") if name}
    if unknown := wanted - known:
        raise refuse(400, "RequestBroker--ParseUri", f"Could not find a property named {unknown}.")
    return wanted


def _page_size(asked: Asked) -> int:
    found = re.search(r"odata\.maxpagesize=(\d+)", asked.headers.get("prefer", ""))
    return int(found[1]) if found else 10


def _properties(asked: Asked, known: Any) -> dict[str, Any]:
    if asked.headers.get("content-type", "").partition(";")[0] != "application/json":
        raise refuse(415, "UnsupportedMediaType", "JSON is needed.")
    try:
        said: dict[str, Any] = json.loads(asked.body)
    except ValueError:
        raise refuse(400, "BadRequest", "Unable to read JSON request payload.") from None
    if unknown := set(said) - set(known):
        raise refuse(400, "BadRequest", f"The property {unknown} does not exist.")
    return said


def _attachment(said: dict[str, Any]) -> dict[str, Any]:
    known = {"@odata.type", "name", "contentType", "contentBytes", "isInline", "contentId"}
    if said.get("@odata.type") != "#microsoft.graph.fileAttachment" or set(said) - known:
        raise refuse(400, "BadRequest", f"attachment: {sorted(said)}")
    data = base64.b64decode(said["contentBytes"], validate=True)
    if len(data) > 3 * 1024 * 1024:
        raise refuse(413, "ErrorMessageSizeExceeded", "Use an upload session.")
    return said | {"bytes": data}


def _mime(asked: Asked) -> bytes:
    try:
        content = base64.b64decode(asked.body, validate=True)
    except binascii.Error:
        raise refuse(400, "ErrorMimeContentInvalidBase64String", "Invalid base64 string.") from None
    if not email.message_from_bytes(content, policy=email.policy.compat32).keys():
        raise refuse(400, "ErrorMimeContentInvalid", "Invalid MIME content.")
    return content


def _found(search: str, item: Item) -> bool:
    wanted = re.fullmatch(r'"(?:(body|subject|from|to):)?([^"]*)"', search)
    if wanted is None:
        raise refuse(400, "BadRequest", "Syntax error in $search.")
    content = item.content()
    part = content.partition(b"\r\n\r\n")[2] if wanted[1] == "body" else content
    return wanted[2].lower().encode() in part.lower()


_F, _M = r"mailFolders/(?P<fid>[^/]+)", r"messages/(?P<mid>[^/]+)"
_LIST = frozenset({"$select", "$filter", "$search", "$top", "$skip", "$orderby"})
_FOLDERS = frozenset({"$select", "$top", "$skip", "includeHiddenFolders"})
_SELECT: frozenset[str] = frozenset({"$select"})
_NONE: frozenset[str] = frozenset()
_DELTA = frozenset({"$select", "$filter", "$deltatoken", "$skiptoken"})
_R, _W, _S = "Mail.Read", "Mail.ReadWrite", "Mail.Send"
_ROUTES: tuple[tuple[str, str, str, frozenset[str], str], ...] = (
    ("GET", "mailFolders", _R, _FOLDERS, "folders"),
    ("POST", "mailFolders", _W, _NONE, "make_folder"),
    ("GET", _F, _R, _SELECT, "folder"),
    ("GET", f"{_F}/childFolders", _R, _FOLDERS, "folders"),
    ("POST", f"{_F}/childFolders", _W, _NONE, "make_folder"),
    ("GET", f"{_F}/messages", _R, _LIST, "messages"),
    ("GET", f"{_F}/messages/delta", _R, _DELTA, "delta"),
    ("GET", "messages", _R, _LIST, "messages"),
    ("POST", "messages", _W, _NONE, "create"),
    ("GET", _M, _R, _SELECT, "message"),
    ("PATCH", _M, _W, _NONE, "update"),
    ("DELETE", _M, _W, _NONE, "delete"),
    ("GET", rf"{_M}/\$value", _R, _NONE, "value"),
    ("POST", f"{_M}/move", _W, _NONE, "move"),
    ("POST", f"{_M}/copy", _W, _NONE, "copy"),
    ("POST", f"{_M}/send", _S, _NONE, "send"),
    ("POST", f"{_M}/attachments", _W, _NONE, "attach"),
    ("POST", f"{_M}/attachments/createUploadSession", _W, _NONE, "upload_session"),
    ("POST", "sendMail", _S, _NONE, "send_mail"),
)

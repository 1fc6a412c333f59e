"""What Microsoft's description of Graph's mail (v1.0) allows of the requests that are made here.

Facts, put into a table of our own: path and method, the options of a query, the properties of a body.
Options of ``delta`` are those of its documentation page: the metadata names none of them.
"""

from __future__ import annotations

import json
import re
import urllib.parse
from collections.abc import Mapping
from typing import Any

__all__ = ["complaints"]


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_LIST = _names("$top $skip $search $filter $count $orderby $select $expand")
_ONE = frozenset({"$select", "$expand"})
_DELTA = _ONE | {"changeType", "$top", "$filter", "$orderby", "$deltatoken", "$skiptoken"}
_NONE: frozenset[str] = frozenset()

_PERSON: dict[str, Any] = {"emailAddress": {"address": "str", "name": "str"}}
_WRITTEN: dict[str, Any] = {
    "bccRecipients": [_PERSON], "body": {"contentType": "str", "content": "str"},
    "categories": ["str"], "ccRecipients": [_PERSON],
    "flag": {"flagStatus": "str", "startDateTime": "dict", "dueDateTime": "dict",
             "completedDateTime": "dict"},
    "from": _PERSON, "importance": "str", "internetMessageHeaders": [{"name": "str", "value": "str"}],
    "internetMessageId": "str", "isRead": "bool", "replyTo": [_PERSON], "sender": _PERSON,
    "subject": "str", "toRecipients": [_PERSON],
}  # fmt: skip
_FILE: dict[str, Any] = {
    "@odata.type": "str", "contentBytes": "str", "contentId": "str", "contentType": "str",
    "isInline": "bool", "name": "str",
}  # fmt: skip
_MESSAGE = _WRITTEN | {
    "attachments": [_FILE], "singleValueExtendedProperties": [{"id": "str", "value": "str"}],
}  # fmt: skip
_UPLOAD: dict[str, Any] = {
    "AttachmentItem": {
        "attachmentType": "str", "contentId": "str", "contentType": "str", "isInline": "bool",
        "name": "str", "size": "int",
    },
}  # fmt: skip
_FOLDER: dict[str, Any] = {"displayName": "str", "isHidden": "bool"}
_TO: dict[str, Any] = {"destinationId": "str"}  # an action's parameter: in any case of its letters
_SENT: dict[str, Any] = {"message": _MESSAGE, "saveToSentItems": "bool"}
_SELECTED = _names(
    "id categories changeKey createdDateTime lastModifiedDateTime bccRecipients body bodyPreview "
    "ccRecipients conversationId conversationIndex flag from hasAttachments importance "
    "inferenceClassification internetMessageHeaders internetMessageId isDeliveryReceiptRequested "
    "isDraft isRead isReadReceiptRequested parentFolderId receivedDateTime replyTo sender "
    "sentDateTime subject toRecipients uniqueBody webLink childFolderCount displayName isHidden "
    "totalItemCount unreadItemCount"
)

_F, _M = "/users/{}/mailFolders/{}", "/users/{}/messages/{}"
_REQUESTS: tuple[tuple[str, str, frozenset[str], Mapping[str, Any] | None], ...] = (
    ("GET", "/users/{}/mailFolders", _LIST, None),
    ("POST", "/users/{}/mailFolders", _NONE, _FOLDER),
    ("GET", _F, _ONE, None),
    ("GET", f"{_F}/childFolders", _LIST, None),
    ("POST", f"{_F}/childFolders", _NONE, _FOLDER),
    ("GET", f"{_F}/messages", _LIST, None),
    ("GET", f"{_F}/messages/delta", _DELTA, None),
    ("POST", "/users/{}/messages", _NONE, _MESSAGE),
    ("GET", _M, _ONE, None),
    ("PATCH", _M, _NONE, _WRITTEN),
    ("DELETE", _M, _NONE, None),
    ("GET", rf"{_M}/$value", _NONE, None),
    ("POST", f"{_M}/move", _NONE, _TO),
    ("POST", f"{_M}/copy", _NONE, _TO),
    ("POST", f"{_M}/send", _NONE, None),
    ("POST", f"{_M}/attachments", _NONE, _FILE),
    ("POST", f"{_M}/attachments/createUploadSession", _NONE, _UPLOAD),
    ("POST", "/users/{}/sendMail", _NONE, _SENT),
)
_SHAPES = [
    (method, re.compile(re.escape(path).replace(r"\{\}", "[^/]+")), options, body)
    for method, path, options, body in _REQUESTS
]


def complaints(method: str, target: str, headers: Mapping[str, str], body: bytes) -> list[str]:
    """What of a request (its target with ``/v1.0``) is not described; each of a batch's by itself."""
    split = urllib.parse.urlsplit(target)
    path = split.path.removeprefix("/v1.0")
    if (method, path) == ("POST", "/$batch"):
        found = []
        for one in json.loads(body)["requests"]:
            inner = json.dumps(one["body"]).encode() if "body" in one else b""
            kinds = {key.lower(): value for key, value in one.get("headers", {}).items()}
            found += complaints(one["method"], "/v1.0" + one["url"], kinds, inner)
        return found
    fits = [row for row in _SHAPES if row[0] == method and row[1].fullmatch(path)]
    if not fits:
        return [f"no such request: {method} {path}"]
    _, _, options, described = fits[0]
    given = dict(urllib.parse.parse_qsl(split.query))
    wrong = [f"{name} of {method} {path}" for name in given if name not in options]
    selected = filter(None, given.get("$select", "").split(","))
    wrong += [f"$select {name}" for name in selected if name not in _SELECTED]
    if "immutableid" not in headers.get("prefer", "").lower():
        wrong.append(f"{method} {path} asks for no immutable id")
    if body and headers.get("content-type") != "text/plain":
        if described is None:
            return [*wrong, f"a body of {method} {path}"]
        wrong += _odd(json.loads(body), described, path)
    return wrong


def _odd(value: Any, described: Any, where: str) -> list[str]:
    """Where a value is not of the shape: a type's name, a list of one shape, or properties."""
    if isinstance(described, str):
        return [] if type(value).__name__ == described else [f"{where}: {value!r}"]
    if isinstance(described, list):
        if not isinstance(value, list):
            return [f"{where}: {value!r}"]
        return [odd for each in value for odd in _odd(each, described[0], where)]
    if not isinstance(value, dict):
        return [f"{where}: {value!r}"]
    found = []
    for name, inner in value.items():
        if name not in described:
            found.append(f"{where}: no property {name}")
        else:
            found += _odd(inner, described[name], f"{where}.{name}")
    return found

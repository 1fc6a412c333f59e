"""What the Graph stand-in says of a message and makes of a draft: JSON here, RFC 5322 there."""

from __future__ import annotations

import datetime as dt
import email
import email.policy
import email.utils
from email.message import EmailMessage
from typing import Any

from tests.ground.graphbox import Item

__all__ = ["CREATABLE", "PROPERTIES", "UPDATABLE", "Draft", "compose", "described", "sent_form"]


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


PROPERTIES = _names(
    "id categories changeKey createdDateTime lastModifiedDateTime bccRecipients body bodyPreview "
    "ccRecipients conversationId conversationIndex flag from hasAttachments importance "
    "inferenceClassification internetMessageHeaders internetMessageId isDeliveryReceiptRequested "
    "isDraft isRead isReadReceiptRequested parentFolderId receivedDateTime replyTo sender "
    "sentDateTime subject toRecipients uniqueBody webLink"
)
"""Names that $select may hold."""

UPDATABLE = _names(
    "bccRecipients body categories ccRecipients flag from importance inferenceClassification "
    "internetMessageId isDeliveryReceiptRequested isRead isReadReceiptRequested replyTo sender "
    "subject toRecipients"
)
CREATABLE = UPDATABLE | {"attachments", "internetMessageHeaders", "singleValueExtendedProperties"}
_EXTENDED = {"String 0x1042": "In-Reply-To", "String 0x1039": "References"}


class Draft:
    """What was said of a message that is not sent yet, and its attachments as files' bytes."""

    def __init__(self) -> None:
        """Nothing was said yet."""
        self.said: dict[str, Any] = {}
        self.mime = False
        self.attachments: list[dict[str, Any]] = []


def described(
    item: Item, categories: list[str], select: set[str], folder_id: str
) -> dict[str, Any]:
    """The message with the properties that were asked for."""
    read = email.message_from_bytes(_head(item) + b"\r\n", policy=email.policy.compat32)
    whole: dict[str, Any] = {
        "categories": categories,
        "createdDateTime": _time(item.received),
        "lastModifiedDateTime": _time(item.received),
        "receivedDateTime": _time(item.received),
        "flag": {"flagStatus": "flagged" if "F" in item.flags else "notFlagged"},
        "isRead": "S" in item.flags,
        "isDraft": "D" in item.flags,
        "parentFolderId": folder_id,
        "subject": _text(read["subject"]),
        "internetMessageId": read["message-id"],
        "bodyPreview": "",
        "hasAttachments": False,
        "importance": "normal",
        "from": next(iter(_people(read, "from")), None),
        "sender": next(iter(_people(read, "sender") or _people(read, "from")), None),
        "toRecipients": _people(read, "to"),
        "ccRecipients": _people(read, "cc"),
        "bccRecipients": _people(read, "bcc"),
        "replyTo": _people(read, "reply-to"),
        "internetMessageHeaders": [{"name": k, "value": _text(v)} for k, v in read.items()],
    }
    if sent := email.utils.parsedate_to_datetime(str(read["date"])) if read["date"] else None:
        whole["sentDateTime"] = _time(sent.timestamp())
    wanted = select or set(whole) - {"internetMessageHeaders"}
    return {"id": item.id} | {key: whole[key] for key in whole if key in wanted}


def _head(item: Item) -> bytes:
    with item.path.open("rb") as file:
        lines = []
        for line in file:
            if line in (b"\n", b"\r\n"):
                break
            lines.append(line)
    return b"".join(lines)


def _time(seconds: float) -> str:
    return dt.datetime.fromtimestamp(int(seconds), dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _text(value: Any) -> str:
    """A header as Graph says it: decoded, on one line."""
    raw = "".join(str(value or "").splitlines())
    try:
        return str(email.header.make_header(email.header.decode_header(raw)))
    except (LookupError, ValueError):
        return raw


def _people(read: Any, name: str) -> list[dict[str, Any]]:
    values = [_text(value) for value in read.get_all(name, [])]
    return [
        {"emailAddress": {"name": shown or address, "address": address}}
        for shown, address in email.utils.getaddresses(values)
        if address
    ]


def compose(draft: Draft, mailbox: str) -> EmailMessage:
    """The message of a draft that was described, with its attachments."""
    said, made = draft.said, EmailMessage(policy=email.policy.SMTP)
    made["From"] = _shown([said["from"]]) if said.get("from") else mailbox
    for name, key in (("To", "to"), ("Cc", "cc"), ("Bcc", "bcc")):
        if said.get(f"{key}Recipients"):
            made[name] = _shown(said[f"{key}Recipients"])
    if said.get("replyTo"):
        made["Reply-To"] = _shown(said["replyTo"])
    made["Subject"] = said.get("subject") or ""
    made["Date"] = email.utils.format_datetime(dt.datetime.now(dt.UTC))
    made["Message-ID"] = said.get("internetMessageId") or email.utils.make_msgid(
        domain="graph.test"
    )
    for header in said.get("internetMessageHeaders", []):
        made[header["name"]] = header["value"]
    for each in said.get("singleValueExtendedProperties", []):
        made[_EXTENDED[each["id"]]] = each["value"]
    body = said.get("body") or {"contentType": "text", "content": ""}
    made.set_content(body["content"], subtype="html" if body["contentType"] == "html" else "plain")
    for each in draft.attachments:
        kind, _, subtype = (each.get("contentType") or "application/octet-stream").partition("/")
        more: dict[str, Any] = {"cid": f"<{each['contentId']}>"} if each.get("contentId") else {}
        made.add_attachment(
            each["bytes"], maintype=kind, subtype=subtype, filename=each["name"],
            disposition="inline" if each.get("isInline") else "attachment", **more,
        )  # fmt: skip
    return made


def _shown(people: list[dict[str, Any]]) -> str:
    pairs = [(p["emailAddress"].get("name") or "", p["emailAddress"]["address"]) for p in people]
    return ", ".join(email.utils.formataddr(pair) for pair in pairs)


def sent_form(content: bytes, mailbox: str, draft: Draft | None) -> tuple[bytes, str, list[str]]:
    """What goes out, who sends it and to whom.

    The From of MIME is not believed: it is the mailbox, unless `from` was said of the draft.
    """
    head, _, body = content.partition(b"\r\n\r\n")
    read = email.message_from_bytes(head + b"\r\n\r\n", policy=email.policy.compat32)
    to = [p["emailAddress"]["address"] for name in ("to", "cc", "bcc") for p in _people(read, name)]
    said = draft.said if draft is not None else {}
    for key in ("to", "cc", "bcc"):
        if draft is not None and draft.mime and f"{key}Recipients" in said:
            to += [p["emailAddress"]["address"] for p in said[f"{key}Recipients"]]
    sender = said["from"]["emailAddress"]["address"] if said.get("from") else mailbox
    kept, skipping = [], False
    for line in head.split(b"\r\n"):
        if line[:1] not in (b" ", b"\t"):
            skipping = line.lower().startswith((b"bcc:", b"from:"))
        if not skipping:
            kept.append(line)
    first = email.utils.getaddresses([_text(read["from"])])
    shown = first[0][0] if first and first[0][1].lower() == sender.lower() else ""
    kept.insert(0, f"From: {email.utils.formataddr((shown, sender))}".encode())
    return b"\r\n".join(kept) + b"\r\n\r\n" + body, sender, list(dict.fromkeys(to))

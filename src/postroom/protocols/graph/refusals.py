"""Graph's errors as the house's own: one table of codes, each with a sentence and what to do."""

from __future__ import annotations

import json
from typing import Any, Final, NamedTuple

from postroom.errors import FolderError, ProtocolError, SendError, SignInError, WireError
from postroom.net.http_message import HttpAnswer
from postroom.secret import Scrubber, open_secrets

__all__ = ["MEANINGS", "SEEN", "SOURCES", "Meaning", "SyncLost", "code_of", "gone", "refusal"]

SEEN: Final = "2026-11-29"
SOURCES: Final = (
    "https://learn.microsoft.com/graph/errors",
    "https://learn.microsoft.com/graph/throttling",
    "https://learn.microsoft.com/exchange/client-developer/web-service-reference/responsecode",
)

_SAID: Final = 300  # characters of their text that are kept


class SyncLost(WireError):
    """The delta token is no longer known (410): the folder has to be listed anew."""

    code = "wire_error"
    step = "folder"


class Meaning(NamedTuple):
    """What a code of Graph's means: the error it becomes, a sentence, what to do, whether it passes."""

    kind: type[WireError]
    code: str
    sentence: str
    hint: str
    temporary: bool = False


_ADMINISTRATOR: Final = "An administrator of the tenant can change that."
_RIGHTS: Final = (
    "Grant the app Mail.ReadWrite to read and Mail.Send to send (application permissions for client "
    "credentials, delegated ones for a person, with .Shared for another's mailbox), give admin "
    "consent, and let the app into this mailbox. Exchange may take an hour until it knows."
)
MEANINGS: Final[dict[str, Meaning]] = {
    "ErrorItemNotFound": Meaning(
        FolderError, "folder_missing", "There is no such folder or message.", "List the folders."
    ),
    "ErrorFolderNotFound": Meaning(
        FolderError, "folder_missing", "There is no such folder.", "List the folders."
    ),
    "ErrorInvalidIdMalformed": Meaning(
        FolderError, "folder_missing", "That is no id of this mailbox.", "List the messages again."
    ),
    "ErrorAccessDenied": Meaning(
        WireError, "wire_error", "The app may not do this in this mailbox.", _RIGHTS
    ),
    "Authorization_RequestDenied": Meaning(
        WireError, "wire_error", "The app may not do this.", _RIGHTS
    ),
    "MailboxNotEnabledForRESTAPI": Meaning(
        WireError, "wire_error",
        "That account has no mailbox in Exchange Online: it has no licence, or lies on premises.",
        "Give it a mailbox, or use IMAP and SMTP of the server it lies on.",
    ),
    "ErrorInvalidUser": Meaning(
        WireError, "wire_error", "There is no such mailbox in this tenant.",
        "Check the mailbox: it is an address of the tenant that the token is for.",
    ),
    "ResourceNotFound": Meaning(
        WireError, "wire_error", "There is no such mailbox in this tenant.",
        "Check the mailbox: it is an address of the tenant that the token is for.",
    ),
    "SyncStateNotFound": Meaning(
        SyncLost, "wire_error", "The server has forgotten how far the folder was listed.",
        "It is listed anew by itself.", temporary=True,
    ),
    "ResyncRequired": Meaning(
        SyncLost, "wire_error", "The server has forgotten how far the folder was listed.",
        "It is listed anew by itself.", temporary=True,
    ),
    "ErrorQuotaExceeded": Meaning(
        FolderError, "over_quota", "The mailbox is full.", "Make room in it."
    ),
    "ErrorSendAsDenied": Meaning(
        SendError, "rejected", "The app or account may not send as that address.",
        "Send from the mailbox itself, or have Send As or Send on behalf granted.",
    ),
    "ErrorMessageSizeExceeded": Meaning(
        SendError, "too_large", "The message is larger than the mailbox may send.",
        f"Send less at once. {_ADMINISTRATOR}",
    ),
    "ErrorInvalidRecipients": Meaning(
        SendError, "rejected", "An address of the message is not one that can be sent to.",
        "Check the recipients.",
    ),
    "ErrorMessageSubmissionBlocked": Meaning(
        SendError, "rejected", "The account is blocked from sending, as after sending junk mail.",
        _ADMINISTRATOR,
    ),
    "ErrorExceededMessageLimit": Meaning(
        SendError, "rejected", "The mailbox has sent as many messages as it may for now.",
        "It goes on when the day is over.", temporary=True,
    ),
    "ErrorFolderExists": Meaning(
        FolderError, "wire_error", "There is a folder of that name already.",
        "Use it, or take another name.",
    ),
    "ApplicationThrottled": Meaning(
        WireError, "wire_error", "The app has asked more of this mailbox than it may at a time.",
        "It is tried again by itself, when the server says. If it stays so, look who else uses the app "
        "for this mailbox.", temporary=True,
    ),
}  # fmt: skip


def code_of(answer: HttpAnswer) -> str:
    """The error code in an answer, ``""`` where there is none."""
    return _error(answer)[0]


def gone(answer: HttpAnswer) -> bool:
    """Whether the answer says that the message or folder is not there."""
    return answer.status == 404 and code_of(answer) in ("ErrorItemNotFound", "ErrorFolderNotFound")


def refusal(answer: HttpAnswer, *, step: str, late: bool = False) -> WireError:
    """The error of an answer that is none of success.

    ``late``: the token had been accepted before, so a 401 means that it ran out: trying again
    fetches another.
    """
    code, text = _error(answer)
    said = Scrubber(open_secrets()).text(f"{answer.status} {code}: {text}".strip(" :"))[:_SAID]
    facts: dict[str, Any] = {"status": answer.status, "graph": code}
    if answer.status == 401:
        return SignInError(
            "Microsoft Graph refused the access token.",
            said=said,
            hint="Sign in again; check that the token is for Graph and for this tenant.",
            temporary=late,
            **facts | ({"worn_out": True} if late else {}),  # of this connection, of no message
        )
    known = MEANINGS.get(code)
    if known is None and answer.status == 410:
        known = MEANINGS["SyncStateNotFound"]
    if known is not None:
        return known.kind(
            known.sentence, code=known.code, hint=known.hint, temporary=known.temporary,
            step=step, said=said, **facts,
        )  # fmt: skip
    if answer.status == 403:
        return WireError(
            "Microsoft Graph refused this.", step=step, said=said, hint=_RIGHTS, **facts
        )
    if answer.status >= 500 or answer.status == 429:
        return WireError(
            "Microsoft Graph cannot answer right now.",
            step=step, said=said, temporary=True, hint="Try again later.", **facts,
        )  # fmt: skip
    return ProtocolError(
        f"Microsoft Graph answered {answer.status} to what was asked.",
        step=step, said=said, hint="Check graph_url and the mailbox.", **facts,
    )  # fmt: skip


def _error(answer: HttpAnswer) -> tuple[str, str]:
    try:
        said = json.loads(answer.body)["error"]
        return str(said["code"]), str(said["message"])
    except (ValueError, LookupError, TypeError, RecursionError):
        return "", ""

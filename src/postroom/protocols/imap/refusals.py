"""What a NO means: from response codes (RFC 9051, 7.1; RFC 5530) to our errors."""

from __future__ import annotations

from typing import Final

from postroom.errors import FolderError, ProtocolError, SignInError, WireError
from postroom.protocols.imap.responses import Done, Status
from postroom.protocols.imap.session import Session
from postroom.protocols.sasl import TOKEN_HINT, Exchange

__all__ = ["folder_refused", "not_understood", "sign_in_refused"]

_BUSY: Final = frozenset({"UNAVAILABLE", "INUSE", "LIMIT", "SERVERBUG", "EXPUNGEISSUED"})

_FOLDER: Final[dict[str, tuple[str, str, bool, str]]] = {
    # response code: our code, sentence, temporary, hint
    "TRYCREATE": (
        "folder_missing",
        "There is no folder {folder} on the server.",
        False,
        "Create it, or let Postroom create it.",
    ),
    "NONEXISTENT": (
        "folder_missing",
        "There is no folder {folder} on the server.",
        False,
        "Look at the list of folders; names count capital and small letters.",
    ),
    "OVERQUOTA": (
        "over_quota",
        "The mailbox is full, so the server takes nothing into {folder}.",
        True,
        "Delete something there or raise the quota.",
    ),
    "NOPERM": (
        "refused",
        "The server does not let this user do that in {folder}.",
        False,
        "Ask the administrator of the mailbox for the right to it.",
    ),
}

_SIGN_IN: Final[dict[str, tuple[str, str, bool, str]]] = {
    "AUTHENTICATIONFAILED": (
        "sign_in_failed",
        "The server refused user and secret.",
        False,
        "Check both; many providers want an app password in place of the usual one.",
    ),
    "AUTHORIZATIONFAILED": (
        "sign_in_failed",
        "The server knows this user but does not let them in here.",
        False,
        "Ask the administrator to allow IMAP for this mailbox.",
    ),
    "EXPIRED": (
        "sign_in_failed",
        "The secret has expired.",
        False,
        "Change it at the provider and store the new one.",
    ),
    "PRIVACYREQUIRED": (
        "sign_in_failed",
        "The server takes no sign-in without TLS.",
        False,
        "Set security to tls or starttls.",
    ),
    "REFERRAL": (
        "sign_in_failed",
        "The server refers to another server, and referrals are not followed.",
        False,
        "Set the connection's host to the server that holds this mailbox.",
    ),
}


_OF_A_TOKEN: Final = frozenset({"", "AUTHENTICATIONFAILED", "AUTHORIZATIONFAILED", "EXPIRED"})


def folder_refused(
    session: Session, done: Done, folder: str, *, missing: bool = False
) -> WireError:
    """The error for NO or BAD; ``missing``: a NO without a code says the folder is not there."""
    if done.state == "BAD":
        return not_understood(session, done)
    said = session.said(done)
    if done.code in _BUSY:
        return FolderError(
            f"The server cannot do that in {folder} at the moment.",
            code="deferred",
            temporary=True,
            hint="Try again later.",
            said=said,
        )
    known = _FOLDER.get("NONEXISTENT" if missing and done.code not in _FOLDER else done.code)
    if known is None:
        return FolderError(
            f"The server refused that in {folder}{f': {said}' if said else ''}.",
            code="refused",
            said=said,
        )
    code, sentence, temporary, hint = known
    return FolderError(
        sentence.format(folder=folder), code=code, temporary=temporary, hint=hint, said=said
    )


def sign_in_refused(
    session: Session, status: Status, exchange: Exchange | None = None
) -> WireError:
    """The error for a refused sign-in; a server that is busy or limits us is worth another try."""
    if status.state == "BAD":
        return not_understood(session, status)
    said = session.said(status)
    if exchange is not None:
        said = exchange.with_challenge(said, session.pump.scrubber)
    if status.state == "BYE" or status.code in _BUSY:
        return SignInError(
            f"The server does not take a sign-in at the moment{f': {said}' if said else ''}.",
            temporary=True,
            hint="Try again later; it may limit the number of connections.",
            said=said,
        )
    if exchange is not None and exchange.by_token and status.code in _OF_A_TOKEN:
        return SignInError("The server refused the token.", hint=TOKEN_HINT, said=said)
    known = _SIGN_IN.get(status.code, _SIGN_IN["AUTHENTICATIONFAILED"])
    code, sentence, temporary, hint = known
    return SignInError(sentence, code=code, temporary=temporary, hint=hint, said=said)


def not_understood(session: Session, status: Status) -> ProtocolError:
    """The error for BAD: the server did not understand a command it should know."""
    said = session.said(status)
    return ProtocolError(
        f"The server did not understand a command{f': {said}' if said else ''}.",
        said=said,
        step=session.pump.step,
    )

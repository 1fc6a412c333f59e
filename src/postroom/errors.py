"""The one tree of errors, and the one table of their stable codes.

    PostroomError
    |-- WrongUse               the request itself is wrong (exit 2)
    |   |-- InvalidValue       a field has a value it cannot have
    |   |-- UnknownField       a field nobody declared, with the nearest name
    |   `-- NotThere           no such credential, connection, source ...
    |-- Refused                the request is clear, the answer is no (exit 1)
    |   |-- InUse, NameTaken, Incomplete, QueueFull, ...        (by code)
    |-- RoomError              the room cannot be opened or written (exit 78, or 75)
    |   |-- Locked             its key is missing, wrong or unsafe
    |   `-- Unreadable         one sealed value does not open
    `-- WireError              the other side, or the way there (exit 1, or 75 if temporary)
        |-- DialError          step resolve, connect, proxy
        |   `-- NoServer         whatever keeps a server from answering, for whoever is told no more
        |-- TlsError           step tls
        |-- ProtocolError      theirs: they broke the protocol; nothing can be believed
        |-- SignInError        step sign-in
        |-- FolderError        step folder
        `-- SendError          step send

Every error knows three things: whether trying again makes sense (``temporary``), a sentence for a
person (``sentence``), and what to do next (``hint``).  ``code`` is stable: the same in JSON, in exit
text and in the log.  Foreign exceptions are translated once, at the border where they arise.
"""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

__all__ = [
    "CODES",
    "CONFIGURATION",
    "FAILED",
    "OK",
    "TRY_AGAIN",
    "UNFINISHED",
    "WRONG_USE",
    "Code",
    "DialError",
    "FolderError",
    "InvalidValue",
    "Locked",
    "NoServer",
    "NotThere",
    "PostroomError",
    "ProtocolError",
    "Refused",
    "RoomError",
    "SendError",
    "SignInError",
    "TlsError",
    "UnknownField",
    "Unreadable",
    "WireError",
    "WrongUse",
]

OK, FAILED, WRONG_USE, UNFINISHED, TRY_AGAIN, CONFIGURATION = 0, 1, 2, 3, 75, 78
_RETRY_SECONDS: Final = 5


class Code(NamedTuple):
    """What a stable code means to the doors: an exit status and an HTTP status."""

    exit: int
    http: int


CODES: Final[dict[str, Code]] = {
    # wrong use
    "invalid_value": Code(WRONG_USE, 422),
    "unknown_field": Code(WRONG_USE, 422),
    "not_found": Code(WRONG_USE, 404),
    "secret_in_file": Code(WRONG_USE, 422),
    "masked_value_submitted": Code(WRONG_USE, 422),
    "unknown_variable": Code(WRONG_USE, 422),
    "malformed": Code(WRONG_USE, 400),
    "no_such_method": Code(WRONG_USE, 405),
    "not_acceptable": Code(WRONG_USE, 406),
    "request_too_large": Code(WRONG_USE, 413),
    "media_type": Code(WRONG_USE, 415),
    # refused
    "mistake": Code(FAILED, 500),
    "refused": Code(FAILED, 409),
    "not_signed_in": Code(FAILED, 401),
    "not_permitted": Code(FAILED, 403),
    "changed_since": Code(FAILED, 412),
    "too_many": Code(TRY_AGAIN, 429),
    "name_taken": Code(FAILED, 409),
    "in_use": Code(FAILED, 409),
    "incomplete": Code(FAILED, 409),
    "read_only": Code(FAILED, 409),
    "secret_reentry_required": Code(FAILED, 422),
    "destination_not_bound": Code(FAILED, 403),
    "cleartext_sign_in": Code(WRONG_USE, 422),
    "sender_not_allowed": Code(FAILED, 403),
    "queue_full": Code(FAILED, 429),
    "idempotency_conflict": Code(FAILED, 409),
    "not_supported": Code(FAILED, 409),
    "sign_in_required": Code(FAILED, 409),
    "claim_lost": Code(TRY_AGAIN, 409),
    "program_failed": Code(FAILED, 502),
    "backup_damaged": Code(FAILED, 422),
    # the room
    "room_missing": Code(CONFIGURATION, 503),
    "room_error": Code(CONFIGURATION, 503),
    "room_too_new": Code(CONFIGURATION, 503),
    "room_too_old": Code(CONFIGURATION, 503),
    "room_busy": Code(TRY_AGAIN, 503),
    "room_full": Code(TRY_AGAIN, 507),
    "key_missing": Code(CONFIGURATION, 503),
    "key_unreachable": Code(TRY_AGAIN, 503),
    "key_wrong": Code(CONFIGURATION, 503),
    "key_unsafe": Code(CONFIGURATION, 503),
    "unreadable": Code(FAILED, 500),
    "audit_unavailable": Code(TRY_AGAIN, 503),
    # the wire; TRY_AGAIN is used instead of FAILED when the error is temporary
    "host_unknown": Code(FAILED, 502),
    "address_refused": Code(FAILED, 502),
    "connect_refused": Code(FAILED, 502),
    "connect_failed": Code(FAILED, 502),
    "timed_out": Code(FAILED, 504),
    "connection_lost": Code(FAILED, 502),
    "proxy_failed": Code(FAILED, 502),
    "tls_failed": Code(FAILED, 502),
    "tls_unavailable": Code(FAILED, 502),
    "certificate_expired": Code(FAILED, 502),
    "certificate_name": Code(FAILED, 502),
    "certificate_untrusted": Code(FAILED, 502),
    "protocol_error": Code(FAILED, 502),
    "too_large": Code(FAILED, 502),
    "sign_in_failed": Code(FAILED, 502),
    "folder_missing": Code(FAILED, 502),
    "over_quota": Code(FAILED, 502),
    "deferred": Code(FAILED, 502),
    "rejected": Code(FAILED, 502),
    "wire_error": Code(FAILED, 502),
}


class PostroomError(Exception):
    """The root.  ``str()`` of it is the sentence, followed by the hint when there is one.

    ``facts`` are further JSON-able details (a list of lines, a key id, a position); they never hold
    a secret, because text from the other side is scrubbed before it gets here.
    """

    code: str = "refused"

    def __init__(
        self,
        sentence: str,
        *,
        code: str | None = None,
        hint: str = "",
        temporary: bool = False,
        **facts: Any,
    ) -> None:
        super().__init__(sentence)
        self.code = code or type(self).code
        if self.code not in CODES:
            raise LookupError(f"{self.code!r} is not in the table of codes")
        self.sentence = sentence
        self.hint = hint
        self.temporary = temporary
        self.facts = facts

    @property
    def exit_status(self) -> int:
        """The exit status of a command that ends with this error (DESIGN: 1, 2, 3, 75, 78)."""
        status = CODES[self.code].exit
        return TRY_AGAIN if self.temporary and status == FAILED else status

    def as_json(self) -> dict[str, Any]:
        """The error as doors and logs show it; values of facts are left as they are."""
        shown: dict[str, Any] = {"code": self.code, "error": self.sentence}
        if self.hint:
            shown["hint"] = self.hint
        shown["temporary"] = self.temporary
        return shown | self.facts

    @property
    def reason(self) -> str:
        """The sentence, with what the other side said: what is kept of a failure."""
        return self.sentence

    def kept(self, told: str) -> str:
        """``told``, which is told of it, as it is stored of a failure."""
        return told

    @property
    def retry_after(self) -> int | None:
        """Seconds that ``Retry-After`` tells of a door that is asked again later (429, 503), else None."""
        if CODES[self.code].http not in (429, 503):
            return None
        return math.ceil(self.facts.get("retry_after") or _RETRY_SECONDS)

    def __str__(self) -> str:
        return f"{self.sentence} {self.hint}".rstrip()


class WrongUse(PostroomError):
    """The request is wrong; the same request will be wrong tomorrow."""

    code = "invalid_value"


class InvalidValue(WrongUse):
    """A field has a value it cannot have.  ``field`` is its dotted name; the value is not kept."""

    code = "invalid_value"

    def __init__(self, field: str, sentence: str, **facts: Any) -> None:
        super().__init__(f"{field}: {sentence}" if field else sentence, field=field, **facts)
        self.field = field


class UnknownField(WrongUse):
    """A field nobody declared.  The sentence names the nearest declared one."""

    code = "unknown_field"


class NotThere(WrongUse):
    """There is no record of that name."""

    code = "not_found"


class Refused(PostroomError):
    """The request is understood and answered with no; ``code`` says which rule."""

    code = "refused"


class RoomError(PostroomError):
    """The room as a whole cannot be opened, read or written."""

    code = "room_error"


class Locked(RoomError):
    """The room's key is missing, wrong or unsafe; listing works, secrets do not."""

    code = "key_missing"


class Unreadable(RoomError):
    """One sealed value does not open: damaged, swapped, rolled back or repointed."""

    code = "unreadable"


class WireError(PostroomError):
    """Something failed between us and the other side.

    ``step`` is one of resolve, connect, proxy, tls, greeting, capabilities, sign-in, folder, fetch,
    send, close, and over HTTP also request.  ``said`` is what the other side answered, scrubbed of
    the session's secrets.  ``nobody`` is all that whoever is no administrator is told of a failure
    before a server has spoken (net/veil.py).
    """

    code = "wire_error"
    step = ""
    nobody: NoServer | None = None

    def __init__(
        self,
        sentence: str,
        *,
        step: str = "",
        said: str = "",
        code: str | None = None,
        hint: str = "",
        temporary: bool = False,
        **facts: Any,
    ) -> None:
        super().__init__(sentence, code=code, hint=hint, temporary=temporary, **facts)
        self.step = step or type(self).step
        self.said = said

    @property
    def reason(self) -> str:
        """The sentence, with what the other side said: what is kept of a failure."""
        return f"{self.sentence} The server said: {self.said}" if self.said else self.sentence

    def kept(self, told: str) -> str:
        """Behind the sentence that is told to others than administrators, where there is one."""
        return f"{self.nobody.sentence} {told}" if self.nobody is not None else told

    def as_json(self) -> dict[str, Any]:
        """As :meth:`PostroomError.as_json`, with ``step`` and ``said``."""
        return super().as_json() | {"step": self.step, "said": self.said}


class DialError(WireError):
    """The host was not found or not reached (step resolve, connect or proxy)."""

    code = "connect_failed"
    step = "connect"


class NoServer(DialError):
    """No server answered; the sentence, the step and the code are the same for every reason."""

    def __init__(self, where: str, *, what: str = "mail server") -> None:
        super().__init__(
            f"No {what} answers at {where}.",
            hint="Check host, port and security. Whether something else is there, or nothing, a "
            "test by an administrator tells.",
            temporary=True,
        )


class TlsError(WireError):
    """TLS was not offered, failed, or the certificate was not acceptable."""

    code = "tls_failed"
    step = "tls"


class ProtocolError(WireError):
    """The other side broke the protocol; the connection is closed and nothing more is believed."""

    code = "protocol_error"


class SignInError(WireError):
    """The other side refused the sign-in, or offers no way to sign in that we may use."""

    code = "sign_in_failed"
    step = "sign-in"


class FolderError(WireError):
    """A folder is missing, full or refused."""

    code = "folder_missing"
    step = "folder"


class SendError(WireError):
    """A message was not accepted for any recipient; per-recipient replies are in the outcome."""

    code = "rejected"
    step = "send"

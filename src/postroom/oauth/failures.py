"""An authorization server's refusal as an error of ours: scrubbed, judged by the tables, typed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from postroom.errors import PostroomError, SignInError
from postroom.oauth.answers import document, retry_after, shown, text_of
from postroom.oauth.refusals import codes_in, meaning_of
from postroom.oauth.steps import Answer, Ask
from postroom.secret import Scrubber

__all__ = ["Grant", "Refusal", "failure", "refusal_in", "success"]

Grant = Literal[
    "client_credentials",
    "authorization_code",
    "device_code",
    "discovery",
    "refresh_token",
    "revocation",
]
_SECRET_REFUSED: Final = frozenset({7000215, 7000222})
_PROOF_MISSING: Final = frozenset({7000218})


@dataclass(frozen=True, slots=True)
class Refusal:
    """The error of an answer as the server said it; ``description`` is not scrubbed yet."""

    error: str
    description: str = ""
    codes: tuple[int, ...] = ()

    @property
    def of_client(self) -> bool:
        """Whether it is the client's secret or certificate that was refused."""
        return self.error == "invalid_client" or bool(_SECRET_REFUSED & {*self.codes})

    @property
    def wants_proof(self) -> bool:
        """Whether a client that showed neither secret nor certificate is asked for one."""
        said = self.description.lower()
        return (
            self.of_client
            or bool(_PROOF_MISSING & {*self.codes})
            or (
                self.error in ("invalid_request", "unauthorized_client") and "client_secret" in said
            )
        )


def refusal_in(found: dict[str, Any]) -> Refusal | None:
    """The error in an answer; None when there is none (RFC 6749, 5.2)."""
    error = text_of(found, "error") or text_of(found, "error_code")  # Google's device endpoint
    if not error:
        return None
    listed = found.get("error_codes")
    numbers = [n for n in listed if type(n) is int] if isinstance(listed, list) else []
    description = text_of(found, "error_description")
    subtype = text_of(found, "error_subtype")  # Google's, of invalid_grant
    said = f"{description} ({subtype})" if subtype else description
    return Refusal(error, said, tuple(dict.fromkeys((*numbers, *codes_in(description)))))


def success(answer: Answer, question: Ask, grant: Grant) -> dict[str, Any]:
    """The document of an answer that is a success; raises what the answer means otherwise."""
    if grant == "revocation" and 200 <= answer.status < 300:
        return {}  # RFC 7009, 2.2: the status says it all, the body is ignored
    found = _judged(answer)
    refusal = refusal_in(found)
    if refusal is not None or not 200 <= answer.status < 300:
        raise failure(refusal, answer, question, grant)
    return found


def _judged(answer: Answer) -> dict[str, Any]:
    """The document; a fault of the server (429, 5xx) is one, whatever it is written on."""
    try:
        return document(answer)
    except PostroomError:
        if answer.status == 429 or answer.status >= 500:
            return {}
        raise


def failure(
    refusal: Refusal | None, answer: Answer, question: Ask, grant: Grant, **facts: Any
) -> SignInError:
    """The error for a refusal.

    ``code`` is ``sign_in_required`` only when a refresh token was refused for certain: any other
    flow has a person before it, or none at all, and what is stored stays as it is.  ``facts`` hold
    ``oauth_error``, ``provider_codes``, ``retry_after`` (seconds, or None), and ``of_scopes`` where
    the scopes of this request alone were refused.
    """
    wait = retry_after(answer)
    overloaded = answer.status == 429 or answer.status >= 500
    known = meaning_of(refusal.error, refusal.description, refusal.codes) if refusal else None
    said = _said(refusal, answer, question)
    about: dict[str, Any] = {
        "oauth_error": shown(refusal.error, Scrubber(question.secrets())) if refusal else "",
        "provider_codes": list(refusal.codes) if refusal else [],
        "retry_after": wait,
        **facts,
    }
    if overloaded and not (known and known.temporary):
        sentence = (
            "The authorization server has had too many requests."
            if answer.status == 429
            else "The authorization server has a fault of its own."
        )
        return SignInError(
            sentence, code="deferred", said=said, temporary=True, hint=_LATER, **about
        )
    if known is None:
        return SignInError(
            f"The authorization server refused ({about['oauth_error'][:80] or f'HTTP {answer.status}'}).",
            said=said,
            hint="Its own text says why.",
            **about,
        )
    of_person = known.sign_in or known.of_scopes
    if known.of_scopes:
        about["of_scopes"] = True
    code = "sign_in_failed"
    if known.temporary:
        code = "deferred"
    elif known.sign_in and grant == "refresh_token":
        code = "sign_in_required"
    return SignInError(
        known.sentence,
        code=code,
        said=said,
        hint=_APP_ACTION if of_person and grant == "client_credentials" else known.action,
        temporary=known.temporary,
        **about,
    )


_LATER: Final = "Nothing was wrong on our side; it is tried again."


_APP_ACTION: Final = (
    "Grant the app its permissions (admin consent), and check client id and tenant."
)


def _said(refusal: Refusal | None, answer: Answer, question: Ask) -> str:
    if refusal is None:
        return f"HTTP {answer.status}"
    scrubber = Scrubber(question.secrets())
    return shown(": ".join(filter(None, (refusal.error, refusal.description))), scrubber)

"""The client: who it is to the authorization server, and which of its secrets is shown (RFC 6749)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

from postroom.errors import PostroomError
from postroom.oauth.answers import document, server_time
from postroom.oauth.assertion import ASSERTION_TYPE, SigningKey, assertion
from postroom.oauth.discovery import Endpoints
from postroom.oauth.failures import Grant, Refusal, failure, refusal_in, success
from postroom.oauth.steps import Answer, Ask, Basic, Flow, Form, ask
from postroom.secret import Secret

__all__ = [
    "CERTIFICATE",
    "NEXT_CERTIFICATE",
    "Client",
    "ClientSecret",
    "Proven",
    "in_order",
    "request",
]

CERTIFICATE: Final = "certificate"
"""The label of the proof that is made with the private key."""
NEXT_CERTIFICATE: Final = "next-certificate"
"""The label of the one that is made with the private key that takes its place."""
AT_MOST: Final = 2
"""Proofs that one request shows: the best, and once the next when the server refuses it."""
CLOCK: Final = 60.0  # seconds a clock may be off before an assertion is signed again

Method = Literal["", "client_secret_post", "client_secret_basic"]


@dataclass(frozen=True, slots=True)
class ClientSecret:
    """One client secret; ``valid_until`` in seconds since 1970, None where nobody wrote it down.

    ``doubt``: 0 where nothing speaks against it, 1 while nobody has seen it work, 2 when the server
    refused it last.
    """

    label: str
    value: Secret
    valid_until: float | None = None
    doubt: int = 0


@dataclass(frozen=True, slots=True)
class Client:
    """A client as it is registered.  A private key, when there is one, goes before all secrets; the
    one that is to take its place, after them.

    ``current`` is the label of the secret that worked last; while it is valid it is shown first.
    ``method`` empty: by what the server says it takes.
    """

    client_id: str
    secrets: tuple[ClientSecret, ...] = ()
    key: SigningKey | None = None
    current: str = ""
    method: Method = ""
    next_key: SigningKey | None = None


class Proven(NamedTuple):
    """A successful answer: its document, the proof that worked, and the labels that were refused.

    ``proof`` is the label of a secret, ``certificate``, or empty where none was shown; ``why`` is
    what the server said of the last one it refused, as a sentence.
    """

    found: dict[str, Any]
    answer: Answer
    proof: str
    refused: tuple[str, ...]
    why: str = ""


def in_order(secrets: Sequence[ClientSecret], at: float, current: str = "") -> list[ClientSecret]:
    """The secrets to try, best first: the proven one, then by doubt and the end of their validity.

    The one that is valid longest is the newest.  One without a date comes after those with one, the
    last added first.  What has expired is not tried, unless nothing else is left: the dates are typed
    by people, and the server decides.
    """
    valid = [each for each in secrets if each.valid_until is None or each.valid_until > at]
    last_added = (valid or list(secrets))[::-1]
    newest = sorted(last_added, key=lambda each: -(each.valid_until or 0.0))
    return sorted(newest, key=lambda each: (each.label != current, each.doubt))


def request(
    client: Client,
    endpoints: Endpoints,
    url: str,
    form: Form,
    *,
    at: float,
    grant: Grant,
    prove: bool = True,
) -> Flow[Proven]:
    """One request to an endpoint where clients sign in, tried again once with the next proof.

    ``prove`` False: no secret is shown until the server asks for one (device flow and authorization
    code).  The next proof is tried only when it was the client that the server refused; anything
    else ends the flow with its error, whose facts name the ``refused`` labels.
    """
    refused: list[str] = []
    why = ""
    attempts = _attempts(client, at, prove=prove)
    while True:
        proof = attempts.pop(0)
        question = _question(client, endpoints, url, form, proof, at)
        answer = yield from ask(question)
        refusal = _refusal(answer)
        signed = isinstance(proof, SigningKey)
        if signed and refusal and refusal.of_client and _clocks_differ(answer, at):
            # an assertion is good for minutes by the server's clock: it is signed again by that
            question = _question(client, endpoints, url, form, proof, server_time(answer))
            answer = yield from ask(question)
            refusal = _refusal(answer)
        if refusal is None:
            found = success(answer, question, grant)
            return Proven(found, answer, _label(client, proof), tuple(refused), why)
        if proof is not None and refusal.of_client:
            refused.append(_label(client, proof))
        another = refusal.wants_proof if proof is None else refusal.of_client
        told = failure(refusal, answer, question, grant, refused=refused)
        if not (another and attempts):
            raise told
        why = told.reason if proof is not None else why


Proof = ClientSecret | SigningKey | None


def _attempts(client: Client, at: float, *, prove: bool) -> list[Proof]:
    """What is shown, in order; the first is nothing where the server has to ask first."""
    proofs: list[Proof] = [client.key] if client.key is not None else []
    proofs += in_order(client.secrets, at, client.current)
    proofs += [client.next_key] if client.next_key is not None else []
    return [*([] if prove and proofs else [None]), *proofs[:AT_MOST]]


def _refusal(answer: Answer) -> Refusal | None:
    """The refusal in an answer; a server with a fault of its own (429, 5xx) has refused nothing."""
    if answer.status == 429 or answer.status >= 500:
        return None
    try:
        return refusal_in(document(answer))
    except PostroomError:
        return None


def _clocks_differ(answer: Answer, at: float) -> bool:
    return abs(server_time(answer) - at) > CLOCK


def _label(client: Client, proof: Proof) -> str:
    if proof is None:
        return ""
    if isinstance(proof, ClientSecret):
        return proof.label
    return NEXT_CERTIFICATE if proof is client.next_key else CERTIFICATE


def _question(
    client: Client, endpoints: Endpoints, url: str, form: Form, proof: Proof, now: float
) -> Ask:
    who = ("client_id", client.client_id)
    if proof is None:
        return Ask("POST", url, form=(*form, who))
    if isinstance(proof, ClientSecret):
        if _basic(client, endpoints):
            return Ask("POST", url, form=form, basic=Basic(client.client_id, proof.value))
        return Ask("POST", url, form=(*form, who, ("client_secret", proof.value)))
    signed = assertion(
        proof,
        client_id=client.client_id,
        audience=endpoints.token_endpoint,
        now=now,
        offered=endpoints.algorithms,
    )
    return Ask(
        "POST",
        url,
        form=(
            *form,
            who,
            ("client_assertion_type", ASSERTION_TYPE),
            ("client_assertion", signed),
        ),
    )


def _basic(client: Client, endpoints: Endpoints) -> bool:
    """Whether the secret goes as HTTP Basic.

    Posted where the server says that it takes that: what Basic does to special characters (RFC 6749,
    2.3.1) is read differently by servers.  Without a word about it, Basic is the rule (RFC 8414, 2).
    """
    if client.method:
        return client.method == "client_secret_basic"
    return "client_secret_post" not in endpoints.methods

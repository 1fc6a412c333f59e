"""Driving a flow without a network: answers from a script, and what it asked for."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from postroom.errors import PostroomError
from postroom.oauth.client import Client, ClientSecret
from postroom.oauth.discovery import Endpoints
from postroom.oauth.steps import Answer, Ask, Flow, Wait
from postroom.secret import Secret

__all__ = [
    "AUTHORITY",
    "NOW",
    "SERVER",
    "Played",
    "answer",
    "client",
    "fields",
    "jwt",
    "outcome",
    "play",
    "refusal",
    "tokens",
]

T = TypeVar("T")
NOW = 1_795_000_000.0
AUTHORITY = "https://login.example.com/tenant"
SERVER = Endpoints(
    issuer=AUTHORITY,
    token_endpoint=f"{AUTHORITY}/token",
    authorization_endpoint=f"{AUTHORITY}/authorize",
    device_authorization_endpoint=f"{AUTHORITY}/device",
    revocation_endpoint=f"{AUTHORITY}/revoke",
    methods=("client_secret_post",),
)


@dataclass
class Played(Generic[T]):
    """What came out, and what was asked on the way."""

    result: T
    asked: list[Ask] = field(default_factory=list)
    waited: list[float] = field(default_factory=list)


Reply = Answer | Exception


def play(flow: Flow[T], replies: Iterable[Reply] | Callable[[Ask], Reply]) -> Played[T]:
    """Run a flow to its end: each Ask gets the next reply, an exception is thrown into it."""
    rest = iter(()) if callable(replies) else iter(replies)
    asked: list[Ask] = []
    waited: list[float] = []
    try:
        step = next(flow)
        while True:
            if isinstance(step, Wait):
                waited.append(step.seconds)
                step = flow.send(None)
                continue
            asked.append(step)
            reply = replies(step) if callable(replies) else next(rest, None)
            assert reply is not None, f"the script has no answer to {step}"
            step = flow.throw(reply) if isinstance(reply, Exception) else flow.send(reply)
    except StopIteration as end:
        assert not list(rest), "the script had more answers than were asked for"
        return Played(end.value, asked, waited)
    except Exception as error:
        error.asked, error.waited = asked, waited  # type: ignore[attr-defined]
        raise


def answer(
    document: dict[str, Any] | bytes, status: int = 200, at: float = NOW, **headers: str
) -> Answer:
    """An answer; ``retry_after="3"`` becomes that header."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Answer(status, named, body, at)


def refusal(
    error: str, description: str = "", status: int = 400, at: float = NOW, **more: Any
) -> Answer:
    """A refusal (RFC 6749, 5.2)."""
    said = {"error": error} | ({"error_description": description} if description else {})
    return answer(said | more, status, at)


def tokens(access: str = "at-1", at: float = NOW, **more: Any) -> Answer:
    """A successful answer of a token endpoint."""
    said = {"access_token": access, "token_type": "Bearer", "expires_in": 3600}
    return answer(said | more, at=at)


def jwt(**claims: Any) -> str:
    """A token in the form of a JWT; nobody signed it."""

    def coded(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{coded({'alg': 'RS256'})}.{coded(claims)}.c2ln"


def client(*secrets: str, **more: Any) -> Client:
    """A client whose secrets have their label as value, with ``-value`` behind it."""
    made = tuple(ClientSecret(label, Secret(f"{label}-value")) for label in secrets)
    return Client("client-1", made, **more)


def fields(question: Ask) -> dict[str, str]:
    """The form of a request as it would be written, secrets revealed."""
    return {
        name: value.reveal() if isinstance(value, Secret) else value
        for name, value in question.form
    }


def outcome(flow: Flow[Any], replies: list[Answer]) -> Any:
    """What a flow returns, or the error of ours it ends with."""
    count = 0
    try:
        step: Ask | Wait = next(flow)
        while True:
            if isinstance(step, Wait):
                assert 0 <= step.seconds <= 86_400
                step = flow.send(None)
                continue
            count += 1
            assert count < 50, "it asks without end"
            step = flow.send(replies[(count - 1) % len(replies)])
    except StopIteration as end:
        return end.value
    except PostroomError as error:
        return error

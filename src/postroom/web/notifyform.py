"""The form of a notification: one way to tell, chosen first; what belongs to the other ways is not said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from postroom.errors import PostroomError
from postroom.operations.declared import nouns
from postroom.web.controls import Options, controls, read
from postroom.web.definition import of_new
from postroom.web.form import Form

__all__ = ["CAUSES", "MAKES", "WAYS", "drawn", "said", "ticked"]

WAYS: Final[Options] = (
    ("service", "by email, through a service"),
    ("webhook", "by a webhook: JSON is posted to an address"),
    ("ping", "a ping: an address is asked regularly, and whoever watches it notices when not"),
    ("command", "by a program, as the user of the worker"),
)
CAUSES: Final[Mapping[str, str]] = {
    "expiry": "a credential, a client secret or a certificate ends",
    "sign-in": "somebody has to sign in again",
    "source": "a source has failed, or tries in vain for 15 minutes",
    "ledger": "messages failed on the way to their sink",
    "outbox": "messages were not sent, or nobody knows",
    "job": "a run failed that a schedule or a message began",
    "audit": "the audit record is not whole",
    "worker": "no worker runs",
}
MAKES: Final[Mapping[str, str]] = {
    "credential": "secret", "signing": "secret", "trust": "trusted_certificate",
}  # fmt: skip
"""The types of credentials that fit, by field: what is offered, and what is made where it lacks."""
_WEB: Final = ("url", "credential", "signing", "trust", "proxy")
_OF: Final[Mapping[str, tuple[str, ...]]] = {
    "service": ("service", "to"),
    "webhook": _WEB,
    "ping": (*_WEB, "every", "method"),
    "command": ("command",),
}
_EVERY: Final = ("name", "description")
_TELLS: Final = ("causes", "instead_of")


def drawn(
    values: Mapping[str, Any],
    offered: Mapping[str, Options],
    given: Mapping[str, str] | None,
    error: PostroomError | None,
    *,
    new: bool,
    programs: bool,
) -> dict[str, Any]:
    """What the form is drawn of: its way, its controls by what they belong to, the causes ticked."""
    found = controls(
        nouns()["notify"], values, given=given, offered=offered, error=error, makes=MAKES,
        skip=("causes",) if new else ("causes", "name"),
    )  # fmt: skip
    known = {one.name: one for one in found}
    way = (given or {}).get("way") or values.get("way") or "service"
    return {
        "way": way,
        "ways": [each for each in WAYS if programs or each[0] != "command"],
        "about": [known[name] for name in _EVERY if name in known],
        "parts": [(key, [known[name] for name in names]) for key, names in _parts(programs)],
        "instead": known["instead_of"],
        "causes": CAUSES,
        "ticked": values.get("causes", ()) if given is None else ticked(given),
    }


def ticked(given: Mapping[str, str]) -> list[str]:
    """The causes that are ticked in a form."""
    return [cause for cause in CAUSES if given.get(f"cause.{cause}")]


def _parts(programs: bool) -> list[tuple[str, tuple[str, ...]]]:
    parts = [("service", _OF["service"]), ("web", _WEB), ("ping", ("every", "method"))]
    return [*parts, ("command", _OF["command"])] if programs else parts


def said(form: Form, *, new: bool) -> dict[str, Any]:
    """What the form says: of the chosen way only, and nothing of the others."""
    way = form.text("way")
    wanted = [*_EVERY, *_OF.get(way, ()), *(() if way == "ping" else ("instead_of",))]
    found = read(nouns()["notify"], form, only=wanted, skip=() if new else ("name",))
    found["causes"] = [] if way == "ping" else ticked(form.plain())
    if way == "ping":
        found["instead_of"] = ""
    elif way == "webhook":
        found |= {"every": None, "method": "POST"}
    return of_new(found) if new else found

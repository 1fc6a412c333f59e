"""What to do when Microsoft Graph refuses: which permission is missing, for whom (pure)."""

from __future__ import annotations

from typing import Final

from postroom.connections.advice import About, Advice, advise_sender
from postroom.connections.tokenadvice import DELAY, TokenFacts
from postroom.errors import PostroomError

__all__ = ["advise_graph"]

_WANTED: Final = {"incoming": "Mail.ReadWrite", "outgoing": "Mail.Send"}


def advise_graph(error: PostroomError, about: About, facts: TokenFacts | None) -> Advice:
    """The advice for one side of a connection to Microsoft 365; without one, the error's own hint."""
    if (denied := advise_sender(error, about)) is not None:
        return denied
    status = error.facts.get("status")
    if facts is not None and status == 401:
        return _refused_token(error, about, facts)
    if facts is not None and status == 403:
        return _not_permitted(about, facts)
    return Advice(error.hint)


def _refused_token(error: PostroomError, about: About, facts: TokenFacts) -> Advice:
    where = f"https://{about.host}"
    if facts.audience and where not in facts.audience:
        return Advice(
            f"The token is for {', '.join(facts.audience)}; Microsoft Graph wants one for itself. Correct "
            "the scopes, or leave them out: then they are those of graph_url."
        )
    again = (f"postroom connection signin {about.name}",) if facts.personal else ()
    return Advice(error.hint, again)


def _not_permitted(about: About, facts: TokenFacts) -> Advice:
    other = facts.personal and facts.identity.casefold() != facts.user.casefold()
    wanted = _WANTED[about.place] + (".Shared" if other and facts.identity else "")
    kind = "delegated" if facts.personal else "application"
    guide = f"postroom guide microsoft --connection {about.name}"
    if facts.shows(wanted):
        return Advice(
            f"The token has {wanted}, so what is missing is in Exchange: "
            + (
                f"{facts.identity} has no access to {facts.user}. "
                if other
                else f"the app is fenced off from {facts.user}. "
            )
            + DELAY,
            (guide,),
        )
    last = f"postroom connection signin {about.name}" if facts.personal else guide
    return Advice(
        f"The token has no {wanted}. Grant it (API permissions, Microsoft Graph, {kind} permissions) with "
        "admin consent"
        + (
            ", then sign in again."
            if facts.personal
            else ". Only where RBAC for Applications gives "
            "the app the mailbox is no role needed: then check the scope of the role there."
        )
        + f" {DELAY}",
        (last,),
    )

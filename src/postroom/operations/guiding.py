"""The guide to registering an app at Microsoft or Google, filled in from flags or from a connection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from postroom.connections import store
from postroom.connections.effective import EffectiveSide
from postroom.connections.providers import provider_of
from postroom.db import Tx
from postroom.errors import InvalidValue, Refused
from postroom.oauth.discovery import is_entra
from postroom.oauth.guide import FLOWS, SEEN, SOURCES, Facts, Step
from postroom.oauth.guide import guide as steps_of
from postroom.oauth.guide_scripts import script as script_of
from postroom.oauth.scopes import SignInFlow
from postroom.operations.desk import Desk

if TYPE_CHECKING:
    from postroom.operations import models

__all__ = ["PROVIDERS", "Guide", "Guides", "flow_named", "guide", "script"]

PROVIDERS: Final = tuple(FLOWS)
_GOOGLE: Final = "accounts.google.com"


class Guide(NamedTuple):
    """A guide that is filled in: whose, for which flow, when it was seen, the steps."""

    provider: str
    flow: str
    seen: str
    sources: tuple[str, ...]
    steps: tuple[Step, ...]

    def as_json(self) -> dict[str, Any]:
        """As doors show it."""
        steps = [
            {**step._asdict(), "values": [value._asdict() for value in step.values]}
            for step in self.steps
        ]
        return {**self._asdict(), "sources": list(self.sources), "steps": steps}


def flow_named(provider: str, flow: str = "") -> SignInFlow:
    """A flow by its name (``device-flow``, ``oauth_device_flow``); empty: the best one there.

    Raises InvalidValue for a provider or a flow that is not there.
    """
    if provider not in FLOWS:
        raise InvalidValue("provider", f"a guide is there for {' and '.join(FLOWS)}")
    known = FLOWS[provider]
    if not flow:
        return known[0]
    wanted = "oauth_" + flow.replace("-", "_").removeprefix("oauth_")
    word = next((each for each in FLOWS["microsoft"] if each == wanted), None)
    if word is None:
        short = ", ".join(each.removeprefix("oauth_") for each in known)
        raise InvalidValue("flow", f"there is none called {flow}; one of {short}")
    return word


def guide(provider: str, flow: str = "", **facts: Any) -> Guide:
    """The steps with the values to copy.  ``facts`` as :class:`postroom.oauth.guide.Facts` has them.

    Raises InvalidValue.
    """
    named = flow_named(provider, flow)
    steps = steps_of(provider, named, _facts(facts))  # type: ignore[arg-type]  # it has a guide
    sources = tuple(one for one in SOURCES if ("google" in one) == (provider == "google"))
    return Guide(provider, named, SEEN, sources, steps)


def script(provider: str, shell: str, flow: str = "", **facts: Any) -> str:
    """The same as one script for ``az`` or ``powershell``; no secret is in it.

    Raises InvalidValue, also for Google, which has no such tool.
    """
    named = flow_named(provider, flow)
    if provider != "microsoft":
        raise InvalidValue("script", "only Microsoft has tools that register an app")
    return script_of(shell, named, _facts(facts))  # type: ignore[arg-type]  # the door has checked


def _facts(given: Mapping[str, Any]) -> Facts:
    known: dict[str, Any] = {}
    for name, value in given.items():
        if value not in (None, "", ()):
            known[name] = tuple(value) if isinstance(value, list) else value
    return Facts(**known)


class Guides:
    """What a connection says for its own guide."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def facts(self, name: str) -> models.GuideFacts:
        """Provider, flow and facts of a connection, as :func:`guide` and :func:`script` take them.

        Raises NotThere, and Refused (``not_supported``) for a connection at another provider.
        """
        return await self._desk.db.read(lambda tx: self._facts(tx, name))

    def _facts(self, tx: Tx, name: str) -> dict[str, Any]:
        connection = store.get(tx, name).name
        sides = self._desk.resolver(tx).effective(connection).sides
        signing = [side for side in sides if side.grant is not None]
        provider = _provider(sides)
        if not provider:
            raise Refused(
                f"There is no guide for connection {connection}: it is neither at Microsoft nor at "
                "Google.",
                code="not_supported",
                hint="See: postroom guide microsoft, postroom guide google",
            )
        found: dict[str, Any] = {
            "provider": provider,
            "wires": tuple(dict.fromkeys(side.protocol for side in sides)),
            "mailboxes": tuple(dict.fromkeys(side.user for side in sides if "@" in side.user)),
        }
        for side in signing[:1]:
            found["flow"] = side.auth.type
            grant = side.grant
            if grant is not None and grant.credential:
                record = self._desk.credentials.get(tx, grant.credential)
                found["certificate"] = bool(record.plain.get("certificate"))
            found["shared"] = grant is not None and grant.account != side.user
        return found


def _provider(sides: tuple[EffectiveSide, ...]) -> str:
    for side in sides:
        if side.grant is not None:
            grant = side.grant
            if is_entra(grant.authority) if grant.entra is None else grant.entra:
                return "microsoft"
            if _GOOGLE in grant.authority:
                return "google"
        found = provider_of(side.host)
        if found is not None and found.name.lower() in FLOWS:
            return found.name.lower()
    return ""

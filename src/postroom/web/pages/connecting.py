"""The form of a connection: both sides with their sign-ins, presets, and what is inherited from where."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from starlette.responses import Response

from postroom.errors import NotThere, PostroomError
from postroom.operations.declared import nouns
from postroom.operations.presetting import presets
from postroom.web.controls import Control, Options, controls, read
from postroom.web.form import Form
from postroom.web.leaving import as_left, came_from, leave_for, onward
from postroom.web.paths import get, post
from postroom.web.rebinding import agreed, pairs_of
from postroom.web.visit import Visit, at

__all__ = ["ROUTES"]

_SIDES: Final = ("incoming", "outgoing")
_OF_GRAPH: Final = ("mailbox", "account", "auth", "graph_url", "trust", "proxy", "read_only")
_TYPES: Final = {
    "secret": ("password", "secret", "smtp"),
    "oauth": ("oauth_client", "msgraph"),
    "trust": ("trusted_certificate",),
    "client_certificate": ("certificate",),
}
_SIGN_INS: Final = {
    "none": "None", "secret": "Password or secret",
    "oauth_client_credentials": "OAuth: the app itself",
    "oauth_device_flow": "OAuth: by a code",
    "oauth_authorization_code": "OAuth: in a browser",
}  # fmt: skip
_WORDS: Final = {
    "type": {"standard": "Standard (IMAP, POP3, SMTP)", "microsoft365": "Microsoft 365 (Graph)"},
    "security": {"tls": "TLS from the first byte", "starttls": "STARTTLS, required", "none": "None"},
    "incoming.protocol": {"imap": "IMAP", "pop3": "POP3", "none": "No incoming mail"},
    "outgoing.protocol": {"smtp": "SMTP", "none": "No outgoing mail"},
    "auth.type": _SIGN_INS,
}  # fmt: skip
_UNSAID: Final = {
    "protocol": "choose one", "security": "usual for the port: TLS", "type": "no sign-in",
    "check_server_identity": "as usual: yes", "read_only": "as usual: no",
    "cleartext_sign_in": "as usual: no", "extends": "none", "client_certificate": "none",
    "trust": "the system's authorities", "credential": "none",
}  # fmt: skip
"""What it means where nothing is chosen, by the last part of a field's name."""
_HELP: Final = {
    "type": "", "security": "STARTTLS is insisted on: without it nothing is presented.",
    "check_server_identity": "Whether the certificate has to name the host. Who signed it is looked at "
    "always.",
    "auth.type": "A password that is kept here, or OAuth, where the provider gives tokens instead.",
    "secret.credential": "Whose user name and password are presented.",
    "oauth.credential": "The app as it is registered at the provider, with its secret if it has one. "
    "Empty: the one with the authority and client id below.",
}  # fmt: skip
"""Words of this form instead of those for a file, in which every choice is written out."""
_WORTH: Final = {"True": "yes", "False": "no"}
_PORTS: Final = {
    "imap": ("993", "143"),
    "pop3": ("995", "110"),
    "smtp": ("465", "587", "2525", "25"),
}


class _Was(NamedTuple):
    """What is saved: its own fields, what they come to, which of those are inherited from whom; and
    what the connection that it extends comes to."""

    own: dict[str, Any]
    effective: Mapping[str, Any]
    inherited: Mapping[str, str]
    above: Mapping[str, Any] = {}


async def _new(visit: Visit, error: PostroomError | None = None) -> Response:
    key = visit.form.text("preset") or visit.query("preset")
    given = _given(visit, error)
    values = _from_preset(key, visit.query("auth")) if given is None else {}
    parent = visit.query("extends") if given is None else given.get("extends", "")
    own = {**values, "extends": visit.query("extends")}
    was = _Was(own, {}, {}, await _above(visit, parent))
    return await _draw(visit, was, error, given, new=True, preset=key)


async def _edit(visit: Visit, error: PostroomError | None = None) -> Response:
    one = await visit.room.connections.show(visit["name"])
    effective, given = one["effective"] or {}, _given(visit, error)
    if given is not None and (reset := visit.form.text("reset")):
        whole = reset.removesuffix("type") if reset.endswith("auth.type") else ""
        given |= {name: "" for name in given if name == reset or (whole and name.startswith(whole))}
        told = "is empty in this form: once it is saved, the inherited value holds"
        visit.say(f"{reset.replace('.', ': ').replace('_', ' ').capitalize()} {told}.", "note")
    parent = one.get("extends", "") if given is None else given.get("extends", "")
    above = await _above(visit, parent)
    was = _Was(one, effective, effective.get("inherited", {}), above)
    return await _draw(visit, was, error, given, new=False)


async def _above(visit: Visit, parent: str) -> Mapping[str, Any]:
    """What a connection to inherit from comes to; nothing where there is none that works."""
    if not parent:
        return {}
    try:
        return (await visit.room.connections.show(parent))["effective"] or {}
    except NotThere:
        return {}


def _given(visit: Visit, error: PostroomError | None) -> dict[str, str] | None:
    """What is in the form now, where it was sent or left for a moment; None: what is saved."""
    if error is not None or visit.request.method == "POST":
        return visit.form.plain()
    left = as_left(visit)
    return None if left is None else left.plain()


async def _draw(
    visit: Visit, was: _Was, error: PostroomError | None, given: dict[str, str] | None, *,
    new: bool, preset: str = "",
) -> Response:  # fmt: skip
    values = was.own if given is None else Form.of(given)
    kind = _of(values, "type") or "standard"
    drawn = controls(
        nouns()["connection"],
        was.own,
        given=given,
        offered=await _offered(visit, was.own.get("name", ""), values),
        inherited=was.inherited,
        error=error,
        skip=_unwanted(values, kind, new=new),
    )
    return visit.page(
        "connections/edit.html", 422 if error else 200,
        name=was.own.get("name", ""), new=new, kind=kind, error=error,
        groups=_grouped([_worded(each, was, values) for each in drawn]),
        pairs=pairs_of(error, visit.form), preset=preset,
        filling=[("", "another server"), *(
            (one["preset"], one["provider"]) for one in presets() if one["preset"] != "plain"
        )],
        warnings=was.own.get("warnings", []), effective=was.effective, back=came_from(visit),
    )  # fmt: skip


def _of(values: Mapping[str, Any] | Form, dotted: str) -> str:
    if isinstance(values, Form):
        return values.text(dotted)
    found: Any = values
    for part in dotted.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    if isinstance(found, list | tuple):
        return ", ".join(str(each) for each in found)
    return "" if found is None else str(found)


def _unwanted(values: Mapping[str, Any] | Form, kind: str, *, new: bool) -> set[str]:
    """The fields that say nothing for what was chosen."""
    sides = _SIDES if kind == "standard" else ()
    skip = set() if new else {"name"}
    everything = [each.name for each in controls(nouns()["connection"], {})]
    for name in everything:
        top, _, rest = name.partition(".")
        graph = top in _OF_GRAPH
        none = rest != "protocol" and _of(values, f"{top}.protocol") == "none"
        if (graph and kind == "standard") or (top in _SIDES and (top not in sides or none)):
            skip.add(name)
        elif ".auth." in f".{name}" and not name.endswith("auth.type"):
            sign_in = _of(values, f"{name.rpartition('.')[0]}.type")
            if not _says(name.rpartition(".")[2], sign_in):
                skip.add(name)
        elif name.endswith("account"):
            auth = _of(values, f"{top}.auth.type" if rest else "auth.type")
            if auth not in ("oauth_device_flow", "oauth_authorization_code"):
                skip.add(name)
    return skip


def _says(field: str, sign_in: str) -> bool:
    if field == "credential":
        return sign_in == "secret" or sign_in.startswith("oauth_")
    if field == "redirect_uri":
        return sign_in == "oauth_authorization_code"
    return sign_in.startswith("oauth_")


async def _offered(visit: Visit, name: str, values: Mapping[str, Any] | Form) -> dict[str, Options]:
    """What may be chosen: the credentials that fit each field as it is typed or saved, the connections
    to inherit from."""
    found = await visit.room.credentials.list(
        types=[each for some in _TYPES.values() for each in some]
    )

    def fitting(*kinds: str) -> Options:
        return [
            (
                one["name"],
                f"{one['name']} · {one['description']}" if one["description"] else one["name"],
            )
            for one in found
            if one["type"] in kinds
        ]

    offered: dict[str, Options] = {
        "connection": [
            (one["name"], one["name"])
            for one in await visit.room.connections.list()
            if one["name"] != name
        ],
    }
    for side in ("", "incoming.", "outgoing."):
        offered[f"{side}trust"] = fitting(*_TYPES["trust"])
        offered[f"{side}client_certificate"] = fitting(*_TYPES["client_certificate"])
        sign_in = _of(values, f"{side}auth.type")
        kinds = _TYPES["oauth"] if sign_in.startswith("oauth_") else _TYPES["secret"]
        offered[f"{side}auth.credential"] = fitting(*kinds)
    return offered


def _worded(c: Control, was: _Was, values: Mapping[str, Any] | Form) -> Control:
    """A control with words for its choices, what is inherited, and a way to make what it lacks."""
    words = _WORDS.get(c.name) or _WORDS.get(".".join(c.name.split(".")[-2:]))
    words = words or _WORDS.get(c.name.rpartition(".")[2], {})
    unsaid = _UNSAID.get(c.name.rpartition(".")[2], "not said")
    options = [(key, words.get(key, word) if key else unsaid) for key, word in c.options]
    if c.name.endswith("auth.type") and not _of(values, "extends") and c.value != "none":
        options = [
            each for each in options if each[0] != "none"
        ]  # nothing to inherit: it is no sign-in
    if c.name == "auth.type":  # Microsoft 365 is signed in to by OAuth alone
        options = [each for each in options if each[0] not in ("none", "secret")]
    changes: dict[str, Any] = {"options": options}
    parent = _of(values, "extends")
    last = c.name.rpartition(".")[2]
    if last in ("credential", "trust", "client_certificate"):
        changes["make"] = "credential"
    changes["help"] = _helped(c, values, was.above if parent else was.effective)
    own, saved = bool(_of(values, c.name)), bool(_of(was.own, c.name))
    of_auth = ".auth." in f".{c.name}"
    if parent and c.name not in ("name", "description", "type", "extends"):
        if own:  # a sign-in is inherited whole or not at all
            changes |= {"own": not of_auth or last == "type", "inherited": ""}
        elif c.name.endswith("auth.type"):
            changes["inherited"] = was.inherited.get(c.name.removesuffix(".type"), "")
    # what was emptied, or never saved, comes from above
    holds = was.above if saved or not was.effective else was.effective
    worth = _WORTH.get(_of(holds, c.name), _of(holds, c.name))
    if worth and not own and c.name != "extends":
        if holds is was.above:
            changes["inherited"] = was.above.get("inherited", {}).get(c.name) or parent
        said = "inherited" if changes.get("inherited", c.inherited) else "by default"
        first = ("", f"{said}: {words.get(worth, worth)}")
        changes["placeholder"] = worth
        changes["options"] = [first, *(each for each in options if each[0])] if options else []
    elif "${" in _of(was.own, c.name) and (now := _of(was.effective, c.name)):
        changes["help"] = f"Now {now}. {changes['help']}"
    if c.name.endswith("auth.type"):
        changes["label"] = "Sign-in"
    return dataclasses.replace(c, **changes)


def _helped(c: Control, values: Mapping[str, Any] | Form, holds: Mapping[str, Any]) -> str:
    """The help of a control as this form says it; ``holds``: what holds where nothing is said."""
    group, _, last = c.name.rpartition(".")
    protocol = _of(values, f"{group}.protocol") or _of(holds, f"{group}.protocol")
    if last == "port" and (ports := _PORTS.get(protocol)):
        return f"Usual: {', '.join(ports)}. Empty: by security."
    if last == "credential":
        kind = "oauth" if _of(values, f"{group}.type").startswith("oauth_") else "secret"
        return _HELP[f"{kind}.credential"]
    if c.name.endswith("auth.type"):
        return _HELP["auth.type"]
    return _HELP.get(last, c.help)


def _grouped(drawn: list[Control]) -> list[tuple[str, str, list[Control], list[Control]]]:
    """The controls in their groups: a key, a title, what is always shown, and what few want."""
    few = {
        "trust", "client_certificate", "proxy", "cleartext_sign_in", "read_only", "worker_roles",
        "allowed_senders", "graph_url", "redirect_uri", "account",
    }  # fmt: skip
    titles = {"": "Connection", "incoming": "Incoming mail", "outgoing": "Outgoing mail"}
    groups = []
    for key, title in titles.items():
        inside = [c for c in drawn if (c.name.partition(".")[0] if "." in c.name else "") == key]
        if key == "":
            inside = [c for c in drawn if c.name.partition(".")[0] not in _SIDES]
        usual = [c for c in inside if c.name.rpartition(".")[2] not in few]
        rest = [c for c in inside if c.name.rpartition(".")[2] in few]
        if inside:
            groups.append((key, title, usual, rest))
    return groups


def _from_preset(key: str, wanted: str = "") -> dict[str, Any]:
    """The fields that a preset fills in, with the sign-in that is ``wanted`` where it has that; none
    for a key that nobody knows.
    """
    found = next((one for one in presets() if one["preset"] == key), None)
    if found is None or key == "plain":
        return {"incoming": {"auth": {"type": wanted}}} if wanted in _SIGN_INS else {}
    values: dict[str, Any] = {}
    first = wanted if wanted in found["sign_in"] else found["sign_in"][0]
    for place, protocol in (("incoming", "imap"), ("outgoing", "smtp")):
        if found[protocol]:
            address, security = found[protocol].split()
            host, _, port = address.rpartition(":")
            values[place] = {
                "protocol": protocol, "host": host, "port": port, "security": security,
                "auth": {"type": first, "authority": found["authority"].replace("/TENANT", "/common")
                         if first != "oauth_client_credentials" else "", "scopes": found["scopes"]},
            }  # fmt: skip
    return values


def _read(form: Form) -> dict[str, Any]:
    """What the form says, as the operations take it."""
    found = read(nouns()["connection"], form)
    kind = found.get("type") or "standard"
    for place in _SIDES:
        side = found.get(place)
        if isinstance(side, dict):
            _tidy(side)
            if not any(value is not None for value in side.values()):
                found[place] = None
    _tidy(found)
    others = _OF_GRAPH if kind == "standard" else _SIDES
    return found | dict.fromkeys(others)


def _tidy(side: dict[str, Any]) -> None:
    """A sign-in is said whole: with its type, or not at all; without a protocol nothing else is."""
    auth = side.get("auth")
    if isinstance(auth, dict):
        kept = {key: value for key, value in auth.items() if value not in (None, "", [])}
        side["auth"] = kept if kept.get("type") else None
    if side.get("protocol") == "none":
        for key in side:
            side[key] = "none" if key == "protocol" else None


async def _added(visit: Visit) -> Response:
    if (leaving := _leaving(visit, "/new/connection")) is not None:
        return leaving
    if visit.form.text("draw"):
        return await _new(visit)
    data = {key: value for key, value in _read(visit.form).items() if value is not None}
    try:
        one = await visit.room.connections.add(data, rebind=agreed(visit.form))
    except PostroomError as error:
        return await _new(visit, error)
    if back := came_from(visit):
        return visit.go(onward(back, one["name"]), f"{one['name']} is made, and chosen here.")
    return visit.go(at("connections", one["name"]), f"{one['name']} is made. Test it next.")


async def _changed(visit: Visit) -> Response:
    name, form = visit["name"], visit.form
    here = at("connections", name, "edit")
    if (leaving := _leaving(visit, here)) is not None:
        return leaving
    if form.text("draw") or form.text("reset"):
        return await _edit(visit)
    changes = _read(form)
    try:
        one = await visit.room.connections.set(
            name, changes, rebind=agreed(form), same_mailbox=form.ticked("same_mailbox")
        )
    except PostroomError as error:
        return await _edit(visit, error)
    moved = [f"{each['credential']} goes to {', '.join(each['added'])}" for each in one["moved"]]
    return visit.go(at("connections", name), f"Saved. {'; '.join(moved)}".strip())


def _leaving(visit: Visit, here: str) -> Response | None:
    """Off to make a credential that the form lacks; the form is kept meanwhile."""
    field = visit.form.text("make")
    if not field:
        return None
    last = field.rpartition(".")[2]
    sign_in = visit.form.text(f"{field.rpartition('.')[0]}.type")
    kinds = _TYPES.get(last) or _TYPES["oauth" if sign_in.startswith("oauth_") else "secret"]
    return leave_for(visit, here, kinds)


ROUTES = (
    get("/new/connection", _new, "edit"),
    post("/new/connection", _added, "edit"),
    get("/connections/{name}/edit", _edit, "edit"),
    post("/connections/{name}/edit", _changed, "edit"),
)

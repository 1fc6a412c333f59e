"""What is asked at every door by whoever is to learn nothing of what is hidden.

``{n}`` stands for the first part of a name: of what is hidden, of what is nearly called so, of what
there is not.  ``{item}``, ``{run}`` and ``{entry}`` are ids of theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from postroom.operations.converting import Conversion
from postroom.secret import Secret

__all__ = ["ASKED", "GOOD", "HIDDEN", "NAMES", "NOT_ASKED", "SHOWN", "SINK", "Ask", "fill", "side"]

SHOWN, HIDDEN, NEAR = "orders", "payroll", "payrol"
NAMES: Final = (HIDDEN, NEAR, "zzyroll")
"""What is asked for: what is hidden, what is nearly called so, and what is not there at all."""
GOOD: Final = "correct horse battery"


class Ask(NamedTuple):
    """One question at a door.  ``apart``: why a room without what is hidden answers otherwise."""

    given: tuple[Any, ...]
    named: Mapping[str, Any]
    apart: str = ""


def ask(*given: Any, apart: str = "", **named: Any) -> Ask:
    return Ask(given, named, apart)


def side(credential: str, protocol: str = "imap", **more: Any) -> dict[str, Any]:
    auth = {"type": "secret", "credential": credential}
    return {
        "protocol": protocol, "host": "127.0.0.1", "port": "1", "security": "none", "auth": auth, **more,
    }  # fmt: skip


SINK: Final = {"type": "job", "job": "shared-job"}
_RESTS: Final = "what is hidden rests on it, and who does not see that does not change it"
_WHOLE: Final = "what goes through the whole room is for who sees the whole of it"
_RECORD: Final = "the audit record names everything (docs/people.md)"
_WAYS: Final = ("{n}-mail", "{n}-out", "connection:{n}-mail", "service:{n}-out", "credential:{n}")


_UNDER: Final = ("variables", "connections", "jobs", "notify")
"""Nouns of which something stands under what is hidden, and may not be taken away."""


def _file(text: str, *, apart: str = "", **named: Any) -> Ask:
    return ask({"room.yaml": f"postroom: 1\n{text}\n"}, apart=apart, **named)


def _one(*given: Any, **named: Any) -> dict[str, list[Ask]]:
    """The methods that most nouns have, with the name of a record and a change to it."""
    name, change = given
    return {
        "list": [ask()],
        "show": [ask(name)],
        "set": [ask(name, change)],
        "copy": [ask(name, "mine")],
        "delete": [ask(name), ask(name, **named)],
        "usage": [ask(name)],
    }


_BY_NOUN: Final[dict[str, dict[str, list[Ask]]]] = {
    "credentials": {
        **_one("{n}", {"user_name": "eve"}, force=True),
        "list": [ask(), ask(limit=1), ask(after="orders"), ask(expiring=9e9), ask(unused=0.0),
                 ask(part="{n}"), ask(types=["password"])],
        "create": [
            ask("mine", "password", details={"user_name": "a"}),
            ask("other", "smtp", details={"host": "127.0.0.1", "port": "1", "trust": "{n}-ca"}),
        ],
        "get": [ask("{n}"), ask("{n}-app"), ask("{n}-ca"), ask("{n}-key")],
        "change": [ask("{n}", description="x"), ask("shared-ca", type="secret", apart=_RESTS)],
        "delete": [
            ask("{n}"), ask("{n}-ca", force=True), ask("shared-ca", force=True, apart=_RESTS),
        ],
        "generate": [ask("{n}-app"), ask("{n}-app", replace=True, days=1)],
        "test": [ask("{n}"), ask("{n}-app")],
        "trust": [ask("{n}", "00")],
        "usage": [ask("{n}"), ask("{n}-key"), ask("shared-ca")],
    },
    "versions": {
        "list": [ask("{n}")], "restore": [ask("{n}", 1)], "destroy": [ask("{n}", 1)],
    },
    "client_secrets": {
        "list": [ask("{n}-app")],
        "add": [
            ask("{n}-app", Secret(GOOD), "x", valid_until="2030-01-01", description="x"),
        ],
        "prove": [ask("{n}-app"), ask("{n}-app", "one")],
        "retire": [ask("{n}-app", "one")],
    },
    "connections": {
        **_one("{n}-mail", {"description": "x"}, force=True),
        "add": [
            ask({"name": "mine", "incoming": side("{n}")}),
            ask({"name": "mine", "extends": "{n}-mail"}),
            ask({"name": "mine", "incoming": side("orders", trust="{n}-ca")}),
            ask({"name": "mine", "incoming": side("orders", client_certificate="{n}-ca")}),
        ],
        "show": [ask("{n}-mail"), ask("{n}-below"), ask("base")],
        "set": [
            ask("{n}-mail", {"description": "x"}, same_mailbox=True),
            ask("orders-mail", {"incoming": side("{n}")}),
            ask("orders-mail", {"extends": "{n}-mail"}),
            ask("base", {"incoming": {"host": "127.0.0.2"}}, apart=_RESTS),
            ask("base", {"outgoing": {"host": "127.0.0.2"}}, apart=_RESTS),
            ask("base", {"outgoing": None, "incoming": None}, apart=_RESTS),
        ],
        "delete": [ask("{n}-below"), ask("{n}-mail", force=True), ask("base", force=True, apart=_RESTS)],
        "usage": [ask("{n}-mail"), ask("base")],
        "log": [ask("{n}-mail"), ask("base", limit=1)],
        "restart": [ask("{n}-mail"), ask("base")],
        "test": [ask("{n}-mail"), ask("{n}-out", send_to="a@example.com", from_="b@example.com")],
        "trust": [ask("{n}-mail", "incoming", "00")],
    },
    "converting": {
        "convert": [
            ask("{n}-mail", Conversion("secret")),
            ask("orders-mail", Conversion("secret", credential="{n}")),
            ask("orders-mail", Conversion("oauth_client_credentials", credential="{n}-app")),
        ],
        "census": [ask(), ask(within=9999)],
    },
    "guides": {"facts": [ask("{n}-mail"), ask("{n}-app")]},
    "accounts": {
        "recognise": [ask("{n}@gmail.com")],
        **{
            method: [
                ask({
                    "name": "mine", "address": "a@example.com", "credential": "{n}",
                    "incoming": {"host": "127.0.0.1", "port": "1", "security": "none"},
                    "outgoing": {"host": "127.0.0.1", "port": "1", "security": "none"},
                    "collect": False, "send": False,
                }),
            ]
            for method in ("test", "connect")
        },
    },
    "signins": {
        "list": [ask()],
        "sign_in": [ask("{n}-auth", print), ask("{n}-mail", print)],
        "sign_out": [ask("{n}-auth"), ask("{n}-mail"), ask("{n}@example.com")],
    },
    "sources": {
        **_one("{n}-in", {"description": "x"}),
        "list": [ask(), ask(counted=False)],
        "add": [ask({"name": "mine", "connection": "{n}-mail", "start": "all", "sink": SINK}),
                ask({"name": "mine", "connection": "orders-mail", "start": "all",
                     "folders": {"input": "X"}, "sink": {"type": "job", "job": "{n}-job"}}),
                ask({"name": "mine", "connection": "connection:{n}-below/a@example.com",
                     "start": "all", "sink": SINK})],
        "set": [ask("{n}-in", {"description": "x"}), ask("orders-in", {"connection": "{n}-mail"}),
                ask("orders-in", {"sink": {"type": "job", "job": "{n}-job"}})],
    },
    "collecting": {"run": [ask("{n}-in")], "preview": [ask("{n}-in", last=1)]},
    "ledger": {
        "list": [
            ask(), ask("{n}-in"), ask(limit=1), ask(limit=1, after=2), ask(oldest=True, limit=3),
            ask(subject="wages"), ask(from_="payroll"), ask(message_id="wages@example.com"),
            ask(states=["delivered"]), ask(ids=["{entry}"]), ask(since="9d", until="0s"),
        ],
        "counts": [ask("{n}-in")],
        "reset": [ask("{n}-in"), ask("{n}-in", ["{entry}"]), ask("orders-in", ["{entry}"]),
                  ask("{n}-in", states=["failed"])],
        "release": [ask("{n}-in"), ask("orders-in", ["{entry}"])],
    },
    "services": {
        **_one("{n}-out", {"description": "x"}, force=True),
        "add": [ask({"name": "mine", "connection": one}) for one in _WAYS],
        "set": [ask("{n}-out", {"description": "x"}), ask("orders-out", {"connection": "{n}-mail"}),
                ask("orders-out", {"keep_sent": {"connection": "{n}-mail"}})],
        "delete": [ask("{n}-out"), ask("{n}-out", force=True), ask("orders-out", apart=_RESTS)],
        "usage": [ask("{n}-out"), ask("orders-out"), ask("shared-out")],
        "hold": [ask("{n}-out")],
        "release": [ask("{n}-out")],
    },
    "outbox": {
        "list": [
            ask(), ask(limit=1), ask(limit=2), ask(oldest=True, limit=1), ask(after="{item}"),
            ask(unsettled=True), ask(states=["held"]), ask(to="boss@example.com"),
            ask(from_="payroll"), ask(message_id="{n}@example.com"), ask(run="{run}"),
            ask(since="9d"), ask(before="0s"), *(ask(service=one) for one in _WAYS),
        ],
        **{
            method: [ask("{item}"), ask("{start}")]
            for method in ("show", "attempts", "content", "hold", "release", "retry", "cancel")
        },
        "settle": [ask(["{item}"]), ask(["{start}", "{item}"])],
        "settle_all": [*(ask(service=one) for one in _WAYS), ask(before="0s"), ask()],
        "release_held": [*(ask(service=one) for one in _WAYS), ask(restored=True), ask()],
        "cancel_held": [*(ask(service=one) for one in _WAYS), ask(restored=True), ask()],
        "unattended": [ask(), ask(roles=["x"]), *(ask(one) for one in _WAYS)],
        "waiting": [ask(), ask(under_runs=True), *(ask(one) for one in _WAYS)],
    },
    "commands": {
        "describe": [ask()],
        "run": [
            *(ask("list-email", {"via": one}) for one in _WAYS),
            *(ask("send-email", {"via": one, "to": ["a@example.com"], "from": "b@example.com"})
              for one in _WAYS),
            *(ask("test-connection", {"via": one}) for one in _WAYS),
            ask("read-email", {"via": "{n}-mail", "id": "1"}),
            ask("delete-email", {"via": "{n}-mail", "ids": ["1"]}),
            ask("reply-email", {"via": "orders-mail", "send_via": "{n}-out", "id": "1", "text": "x"}),
            ask("run-job", {"job": "{n}-job"}),
        ],
    },
    "jobs": {
        **_one("{n}-job", {"description": "x"}, force=True),
        "add": [
            *(ask({"name": "mine", "steps": [{"read-email": {"via": one, "id": "1"}}]})
              for one in _WAYS),
            *(ask({"name": "mine", "steps": [{"send-email": {"via": one, "to": "a@b.c"}}]})
              for one in _WAYS),
            ask({"name": "mine", "steps": [{"run-job": {"job": "{n}-job"}}]}),
            ask({"name": "mine", "command": ["/bin/true"], "credentials": ["{n}"]}),
        ],
        "set": [ask("{n}-job", {"description": "x"}),
                ask("orders-job", {"steps": [{"read-email": {"via": "{n}-mail", "id": "1"}}]}),
                ask("orders-job", {"command": ["/bin/true"], "credentials": ["{n}"]})],
        "delete": [ask("{n}-job"), ask("{n}-job", force=True),
                   ask("shared-job", force=True, apart=_RESTS)],
        "usage": [ask("{n}-job"), ask("shared-job")],
        "hold": [ask("{n}-job")],
        "release": [ask("{n}-job")],
    },
    "runs": {
        "begin": [ask("{n}-job"), ask("{n}-job", {"a": "b"})],
        "plan": [ask("{n}-job"), ask("{n}-job", {"a": "b"})],
        "list": [ask(), ask(limit=1), ask(limit=2), ask("{n}-job"), ask("{n}-job", limit=1),
                 ask(states=["failed"]), ask(states=["queued"], limit=1), ask(since="9d"),
                 ask(limit=1, after="{run}"), ask("orders-job", limit=1)],
        "show": [ask("{run}"), ask("{runstart}")],
        "log": [ask("{run}"), ask("{run}", after=1, limit=1)],
        "cancel": [ask("{run}"), ask("{runstart}")],
    },
    "variables": {
        "allowed": [ask()],
        "list": [ask()],
        "used": [ask()],
        "add": [ask("MINE", "x"), ask("HOST", "x")],
        "get": [ask("HOST"), ask("{n}")],
        "set": [ask("HOST", "127.0.0.2", apart=_RESTS), ask("HOST", "a b", apart=_RESTS),
                ask("HOST", "${MORE}", apart=_RESTS), ask("FROM", "b@example.com", apart=_RESTS),
                ask("FROM", "${MORE}", apart=_RESTS), ask("ODD", "a b"), ask("ODD", "${MORE}"),
                ask("{n}", "x")],
        "delete": [ask("HOST", apart=_RESTS), ask("FROM", apart=_RESTS), ask("ODD")],
        "usage": [ask("HOST"), ask("ODD"), ask("FROM")],
    },
    "notify": {
        "list": [ask()],
        "copy": [ask("{n}-tell", "mine"), ask("{n}-hook", "mine")],
        "add": [
            ask({"name": "mine", "service": "{n}-out", "to": ["a@example.com"]}),
            ask({"name": "mine", "service": "connection:{n}-mail", "to": ["a@example.com"]}),
            ask({"name": "mine", "url": "https://127.0.0.1:1/x", "signing": "{n}-key"}),
            ask({"name": "mine", "url": "https://127.0.0.1:1/{secret}", "credential": "{n}-key"}),
            ask({"name": "mine", "url": "https://127.0.0.1:1/x", "trust": "{n}-ca"}),
            ask({"name": "mine", "url": "https://127.0.0.1:1/x", "instead_of": "{n}-tell"}),
        ],
        "show": [ask("{n}-tell"), ask("{n}-hook"), ask("orders-tell")],
        "set": [ask("{n}-tell", {"description": "x"}), ask("{n}-hook", {"description": "x"}),
                ask("orders-hook", {"signing": "{n}-key"}),
                ask("orders-hook", {"instead_of": "{n}-tell"})],
        "delete": [ask("{n}-tell"), ask("{n}-hook"), ask("orders-hook", apart=_RESTS)],
        "test": [ask("{n}-tell"), ask("{n}-hook"), ask()],
        "notices": [ask()],
        "needs": [ask()],
    },
    "health": {"ready": [ask()], "counts": [ask()]},
    "roomfile": {
        "export": [ask()],
        "apply_text": [
            *(_file(f"connections: [{{name: mine, {one}}}]") for one in (
                "extends: {n}-mail", "incoming: {host: h, auth: {type: secret, credential: {n}}}",
                "incoming: {host: h, trust: {n}-ca, auth: {type: none}}",
            )),
            *(_file(f"services: [{{name: mine, connection: '{one}'}}]") for one in _WAYS),
            *(_file(f"jobs: [{{name: mine, steps: [{{list-email: {{via: '{one}'}}}}]}}]")
              for one in _WAYS),
            _file("sources: [{name: mine, connection: {n}-mail, start: all, sink: "
                  "{type: job, job: shared-job}}]"),
            _file("notify: [{name: mine, service: {n}-out, to: [a@example.com]}]"),
            _file("connections: [{name: base, outgoing: {host: 127.0.0.9}}]", apart=_RESTS),
            _file("variables: {HOST: 127.0.0.2}", apart=_RESTS),
            _file("variables: {HOST: a b}", apart=_RESTS),
            _file("variables: {FROM: b@example.com}", apart=_RESTS),
            _file("credentials: [{name: mine, type: secret, fields: {value: '${env:X}'}}]",
                  secrets={"room.yaml: mine value": "x"}),
            *(_file("", prune=[noun], dry_run=True, apart=_RESTS if noun in _UNDER else "")
              for noun in ("variables", "credentials", "connections", "sources", "services", "jobs",
                           "notify")),
            *(_file("", prune=[noun], apart=_RESTS) for noun in _UNDER),
        ],
    },
    "keys": {
        "status": [ask(apart="counts seals, and is of administrators")],
        "doctor": [ask()],
        "damaged": [ask()],
        "rotate": [ask(apart="counts seals, and is of administrators")],
    },
    "audit": {
        "list": [ask(apart=_RECORD), ask(noun="connection", name="{n}-mail", apart=_RECORD),
                 ask(action="test", actor="user:eve", since="1d", limit=1, after=9, apart=_RECORD)],
        "verify": [ask()],
        "kept": [ask()],
    },
    "users": {
        "list": [ask()], "add": [ask("{n}-clerk", "viewer")], "show": [ask("{n}-clerk")],
        "set": [ask("{n}-clerk", role="viewer")], "delete": [ask("{n}-clerk")],
        "invite": [ask("{n}-clerk")], "sessions": [ask("{n}-clerk")],
        "end_sessions": [ask("{n}-clerk")],
    },
    "tokens": {
        "list": [ask(), ask("{n}-clerk")],
        "add": [ask("mine", user="{n}-clerk", verbs=["view"], expires_in="1d")],
        "revoke": [ask("{token}")],
    },
    "grants": {
        "list": [ask(), ask("{n}")], "give": [ask("{n}", "user:eve")], "take": [ask("{n}", "user:eve")],
        "restrict": [ask("{n}")], "open": [ask("{n}")],
    },
    "erasing": {
        "plan": [ask("boss@example.com", apart=_WHOLE), ask("nobody@example.com", apart=_WHOLE)],
        "erase": [ask("boss@example.com", apart=_WHOLE), ask("nobody@example.com", apart=_WHOLE)],
    },
}  # fmt: skip
ASKED: Final = {
    f"{noun}.{method}": asked
    for noun, methods in _BY_NOUN.items()
    for method, asked in methods.items()
}
"""What is asked at each door."""
NOT_ASKED: Final = {
    "rebind": "wants a right that nobody asked has, and is a switch",
    "dry_run": "undoes what was done",
    "wakes": "a switch",
    "changes": "any field: asked by the names of some",
    "on_step": "a function", "progress": "a function", "tell": "a function", "how": "a function",
    "paste": "a function", "ask": "a function", "way": "functions",
    "base": "a folder where the room is", "heads": "a file where the room is",
    "preset": "of the command line and forms: says what a connection is filled with",
    "provider": "a preset", "also": "other keys of the room", "clear": "names of fields",
    "programs": "a switch", "expires_at": "a date", "rotate_after": "a date",
    "address": "of a user", "password": "of a user", "issuer": "of a user", "subject": "of a user",
    "disabled": "of a user", "description": "a text", "checkpoints": "a switch",
}  # fmt: skip
"""Parameters by which no record is asked for."""


def fill(value: Any, words: Mapping[str, Any]) -> Any:
    """A question with names and ids in it."""
    if value == "{entry}":
        return words["entry"]
    if isinstance(value, str):
        for key, word in words.items():
            value = value.replace(f"{{{key}}}", str(word))
        return value
    if isinstance(value, Mapping):
        return {key: fill(each, words) for key, each in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(fill(each, words) for each in value))
    if isinstance(value, (list, tuple)):
        return type(value)(fill(each, words) for each in value)
    return value

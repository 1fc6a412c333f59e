"""What is asked at every door by whoever is to learn nothing of what is hidden, and the rooms for it.

``{n}`` stands for the first part of a name: of what is hidden, of what is nearly called so, of what
there is not.  ``{item}``, ``{run}`` and ``{entry}`` are ids of theirs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from postroom.app import Room
from postroom.clock import timestamp
from postroom.connections import events
from postroom.db import Tx
from postroom.mail import Draft
from postroom.notices import rows
from postroom.notices.causes import Found
from postroom.operations.converting import Conversion
from postroom.secret import Secret

__all__ = [
    "ASKED",
    "HIDDEN",
    "NAMES",
    "NEAR",
    "NOT_ASKED",
    "SHOWN",
    "Ask",
    "fill",
    "furnish",
    "ids_of",
]

SHOWN, HIDDEN, NEAR = "orders", "payroll", "payrol"
NAMES: Final = (HIDDEN, NEAR, "zzyroll")
"""What is asked for: what is hidden, what is nearly called so, and what is not there at all."""
_GOOD: Final = "correct horse battery"


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


_SINK: Final = {"type": "job", "job": "shared-job"}
_RESTS: Final = "what is hidden rests on it, and who does not see that does not change it"
_WHOLE: Final = "what goes through the whole room is for who sees the whole of it"
_RECORD: Final = "the audit record names everything (docs/people.md)"
_WAYS: Final = ("{n}-mail", "{n}-out", "connection:{n}-mail", "service:{n}-out", "credential:{n}")


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
        "list": [ask(), ask(limit=1), ask(after="orders"), ask(expiring=9e9), ask(unused=0.0)],
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
            ask("{n}-app", Secret(_GOOD), "x", valid_until="2030-01-01", description="x"),
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
        "add": [ask({"name": "mine", "connection": "{n}-mail", "start": "all", "sink": _SINK}),
                ask({"name": "mine", "connection": "orders-mail", "start": "all",
                     "folders": {"input": "X"}, "sink": {"type": "job", "job": "{n}-job"}}),
                ask({"name": "mine", "connection": "connection:{n}-below/a@example.com",
                     "start": "all", "sink": _SINK})],
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
                 ask(states=["failed"]), ask(states=["queued"], limit=1), ask(since="9d")],
        "show": [ask("{run}"), ask("{runstart}")],
        "log": [ask("{run}"), ask("{run}", after=1)],
        "cancel": [ask("{run}"), ask("{runstart}")],
    },
    "variables": {
        "list": [ask()],
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
    "health": {"ready": [ask()]},
    "roomfile": {"export": [ask()]},
    "keys": {
        "status": [ask(apart="counts seals, and is of administrators")],
        "doctor": [ask()],
        "damaged": [ask()],
        "rotate": [ask(apart="counts seals, and is of administrators")],
    },
    "audit": {
        "list": [ask(apart=_RECORD), ask(noun="connection", name="{n}-mail", apart=_RECORD),
                 ask(action="test", actor="user:eve", since="1d", limit=1, apart=_RECORD)],
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
    "also": "other keys of the room", "clear": "names of fields",
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


# ------------------------------------------------------------------ the rooms


async def furnish(room: Room, names: Sequence[str], certificate: str) -> None:
    """Records of every noun, all named ``NAME-...``, and what rests on both; then the hidden is hidden.

    Those of the last name are the newest.
    """
    await _shared(room, certificate)
    for each in names:
        await _credentials(room, each, certificate)
        await _definitions(room, each)
    for each in names:
        await _kept(room, each)
    await room.desk.db.write(lambda tx: _notices(tx, names))
    if HIDDEN in names:
        await room.users.add(f"{HIDDEN}-clerk", "viewer")
        for record in ("", "-app", "-key", "-ca"):
            await room.grants.restrict(f"{HIDDEN}{record}")


async def _shared(room: Room, certificate: str) -> None:
    for name, value in (("HOST", "127.0.0.1"), ("ODD", "127.0.0.1"), ("FROM", "a@example.com")):
        await room.variables.add(name, value)
    await room.credentials.create(
        "shared-ca", "trusted_certificate", details={"certificate": certificate}
    )
    await room.connections.add(
        {
            "name": "base",
            "incoming": {**side(""), "auth": {"type": "none"}},
            "outgoing": {**side("", "smtp"), "auth": {"type": "none"}},
        }
    )
    await room.services.add({"name": "shared-out", "connection": "base"})
    await room.jobs.add({"name": "shared-job", "steps": [{"list-email": {"via": "base"}}]})


async def _credentials(room: Room, each: str, certificate: str) -> None:
    details = {"user_name": f"{each}@example.com", "password": Secret(_GOOD + each)}
    await room.credentials.create(
        each, "password", details=details, description=f"of {each}", expires_at="2020-01-01"
    )
    await room.credentials.create(
        f"{each}-app", "oauth_client",
        details={
            "authority": "https://127.0.0.1:1", "client_id": f"{each}-client",
            "client_secrets": {"one": {"value": Secret(_GOOD), "valid_until": "2020-01-01"}},
        },
    )  # fmt: skip
    await room.credentials.create(f"{each}-key", "secret", details={"value": Secret(_GOOD)})
    await room.credentials.create(
        f"{each}-ca", "trusted_certificate", details={"certificate": certificate}
    )


async def _definitions(room: Room, each: str) -> None:
    hides = each == HIDDEN
    device = {"type": "oauth_device_flow", "credential": f"{each}-app", "scopes": ["mail"]}
    for connection in (
        {"name": f"{each}-mail", "incoming": side(each), "outgoing": side(each, "smtp")},
        {"name": f"{each}-below", "extends": f"{each}-mail"},
        {"name": f"{each}-child", "extends": "base", "incoming": side(each, security="tls")
         | {"trust": "shared-ca"}},
        {"name": f"{each}-var", "incoming": side(each, host="${HOST}" if hides else "${ODD}")},
        {"name": f"{each}-auth", "incoming": side(each, user=f"{each}@example.com", auth=device)},
    ):  # fmt: skip
        await room.connections.add(connection)
    folder = str(room.settings.room.parent / each)
    for name, below, sink in (
        ("in", "below", {"type": "directory", "path": folder}), ("feed", "mail", _SINK),
    ):  # fmt: skip
        await room.sources.add(
            {"name": f"{each}-{name}", "connection": f"{each}-{below}", "start": "all", "sink": sink,
             "folders": {"input": name}}
        )  # fmt: skip
    sender = {"from": "${FROM}" if hides else "", "allowed_senders": ["*@example.com"]}
    await room.services.add({"name": f"{each}-out", "connection": f"{each}-below", **sender})
    steps: list[dict[str, Any]] = [
        {"read-email": {"via": f"{each}-below", "id": "1"}},
        {"send-email": {"via": "shared-out", "from": "a@example.com", "to": "a@example.com"}},
        {"run-job": {"job": "shared-job"}},
    ]
    await room.jobs.add({"name": f"{each}-job", "steps": steps})
    told = {"service": f"{each}-out", "to": ["boss@example.com"]}
    hook = {"url": "https://127.0.0.1:1/x", "signing": f"{each}-key", "trust": f"{each}-ca"}
    stand = {"instead_of": f"{SHOWN}-hook"} if hides else {}
    await room.notify.add({"name": f"{each}-tell", **told})
    await room.notify.add({"name": f"{each}-hook", **hook, **stand})


async def _kept(room: Room, each: str) -> None:
    """What is kept of them: messages, ledgers, runs and what happened."""
    items = []
    for via in (f"{each}-out", f"{each}-out", f"connection:{each}-mail", f"{each}-out"):
        draft = Draft(
            from_=f"{each}@example.com",
            to="boss@example.com",
            subject=f"{each} wages",
            text="Hello",
        )
        items.append(await room.email.store(via, draft))
    await room.outbox.hold(items[1])
    runs_begun = [await room.runs.begin(f"{each}-job") for _ in range(2)]

    def body(tx: Tx) -> None:
        for state, item in (("failed", items[0]),):
            tx.execute(
                "UPDATE outbox SET state = :state, finished_at = 1 WHERE id = :id",
                state=state, id=item,
            )  # fmt: skip
        tx.execute("UPDATE runs SET state = 'failed', finished_at = 1, error = 'failed' "
                   "WHERE id = :id", id=runs_begun[0])  # fmt: skip
        tx.execute("INSERT INTO run_log VALUES (:run, 1, 1, 'info', :said)",
                   run=runs_begun[0], said=f"for {each}")  # fmt: skip
        source = tx.one("SELECT id, store FROM sources WHERE name = :name", name=f"{each}-in")
        assert source is not None
        for number, state in enumerate(("delivered", "failed", "held")):
            tx.execute(
                "INSERT INTO ledger (source, store, folder, message, state, reason, attempts, size, "
                "received_at, subject, sender, message_id, delivered_to, after_due, due_at, retries, "
                "first_seen_at, updated_at) VALUES (:source, :store, 'in', :message, :state, '', 1, 1, "
                "1, :subject, :sender, :id, '', '', 0, 0, 1, 1)",
                source=source["id"], store=source["store"], message=str(number), state=state,
                subject=f"{each} wages", sender=f"{each}@example.com",
                id=f"<{each}wages@example.com>",
            )  # fmt: skip
        events.record(tx, f"{each}-mail", "failed", actor="postroom", side="incoming", detail="no")

    await room.desk.db.write(body)


def _notices(tx: Tx, names: Sequence[str]) -> None:
    """What people were told, and over which ways: also of what everybody sees, over what is hidden."""
    found = [
        Found(f"{kind} {each}", kind, noun, f"{each}{end}", f"{each} is broken.", "", "Look.")
        for each in names
        for kind, noun, end in (
            ("source", "source", "-in"), ("outbox", "service", "-out"), ("expiry", "credential", ""),
            ("sign-in", "connection", "-auth"), ("outbox", "connection", "-mail"),
            ("worker", "notification", "-tell"),
        )
    ]  # fmt: skip
    rows.merge(tx, found, [], now=timestamp())
    for one in found:
        for each in names:
            told = rows.Told(ok=True, via=f"{each}-tell", why=f"by {each}-tell", at=1.0)
            rows.settle(tx, one.key, f"{each}-tell", told)


async def ids_of(room: Room, each: str) -> dict[str, Any]:
    """The words that a question is filled with, for that name; of what is not there, ids of nothing."""

    def body(tx: Tx) -> dict[str, Any]:
        item = tx.all("SELECT id FROM outbox WHERE service = :name", name=f"{each}-out")
        run = tx.all("SELECT id FROM runs WHERE job = :name", name=f"{each}-job")
        entry = tx.value(
            "SELECT max(id) FROM ledger WHERE message_id = :id", id=f"<{each}wages@example.com>"
        )
        none = "e" * 21 if each == HIDDEN else "f" * 21
        items = item[-1]["id"] if item else none
        begun = run[-1]["id"] if run else none
        return {
            "n": each, "item": items, "start": items[:20], "run": begun, "runstart": begun[:20],
            "entry": entry or 999_999, "token": "0" * 12,
        }  # fmt: skip

    return await room.desk.db.read(body)

"""Built-in commands in a room: by name, as objects, with a service, a connection or a credential."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import pytest

from postroom.app import Room
from postroom.errors import InvalidValue, NotThere, PostroomError, Refused, UnknownField
from postroom.jobs.commands import (
    DeleteEmail,
    ListEmail,
    MoveEmail,
    ReplyEmail,
    SendEmail,
    TestConnection,
)
from postroom.operations.bench import Workbench
from tests.ground import Ground, arrived
from tests.ground.faults import Throttle
from tests.ground.maildir import read
from tests.ground.proxy import FaultProxy
from tests.journeys.conftest import Account
from tests.journeys.incoming import letter
from tests.journeys.test_microsoft365 import Tenant, system_trusts, tenant

__all__ = ["system_trusts", "tenant"]

ORDER = (
    b"From: Ann <%b>\r\nTo: orders@ground.test\r\nSubject: Order\r\nMessage-ID: <order@partner.test>\r\n"
    b"\r\nPlease send it.\r\n"
)


async def test_a_command_by_its_name_and_as_an_object(account: Account) -> None:
    account.ground.dovecot.fill(account.user, [letter("one"), letter("two")])
    listed = await account.room.commands.run("list-email", {"via": "acme"})
    assert json.loads(json.dumps(listed)) == listed
    assert [one["subject"] for one in listed["items"]] == ["two", "one"]
    moved = await account.room.commands.do(
        MoveEmail(via="acme", ids=listed["ids"], to="Done", create=True)
    )
    assert moved["count"] == 2
    done = await account.room.commands.run(
        "ListEmail", {"via": "connection:acme", "folder": "Done"}
    )
    assert set(done["ids"]) == set(moved["ids"])
    for name, parameters in (("list-mail", {}), ("list-email", {"via": "acme", "serch": "all"})):
        with pytest.raises(UnknownField, match="list-email"):
            await account.room.commands.run(name, parameters)


async def test_a_message_with_all_that_one_may_have(account: Account, tmp_path: Path) -> None:
    other, blind = account.ground.user(), account.ground.user()
    (tmp_path / "a.csv").write_bytes(b"1;2\n")
    await account.room.services.add({"name": "orders-out", "connection": "acme"})
    sent = await account.room.commands.run(
        "SendEmail",
        {
            "via": "orders-out", "to": [{"address": other.address, "name": "Other"}],
            "bcc": blind.address, "subject": "All", "text": "Grüße", "html": "<p>Grüße</p>",
            "reply_to": "answers@ground.test", "headers": {"X-Job": "nightly"}, "wait": "30s",
            "attachments": [
                str(tmp_path / "a.csv"),
                {"name": "b.bin", "content": base64.b64encode(bytes(range(256))).decode()},
            ],
        },
    )  # fmt: skip
    assert json.loads(json.dumps(sent)) == sent
    assert (sent["state"], {one["state"] for one in sent["recipients"]}) == ("sent", {"sent"})
    assert set(sent) == set(SendEmail.gives)
    account.ground.dovecot.fill(account.user, [*arrived(other.maildir), *arrived(blind.maildir)])
    for one in (await account.room.commands.run("list-email", {"via": "acme"}))["ids"]:
        got = await account.room.commands.run("read-email", {"via": "acme", "id": one})
        assert [part["name"] for part in got["attachments"]] == ["a.csv", "b.bin"]
        assert [part["size"] for part in got["attachments"]] == [4, 256]
        assert {"name": "X-Job", "value": "nightly"} in got["headers"]
        assert "Bcc" not in {field["name"] for field in got["headers"]}


async def test_without_waiting_it_is_only_stored(account: Account) -> None:
    other = account.ground.user()
    parameters = {"via": "acme", "to": other.address, "text": "x", "key": "night-1"}
    first = await account.room.commands.run("send-email", parameters)
    assert first["state"] == "stored"
    assert set(first) == set(SendEmail.gives)
    assert (await account.room.outbox.show(first["id"])).state == "queued"
    assert (await account.room.commands.run("send-email", parameters))["id"] == first["id"]
    with pytest.raises(Refused) as caught:
        await account.room.commands.run("send-email", {**parameters, "text": "y"})
    assert caught.value.code == "idempotency_conflict"


async def test_who_it_is_from(room: Room, ground: Ground) -> None:
    """The credential's address if it has one, else the command must say it; by every kind of via."""
    plain = {"host": "127.0.0.1", "port": str(ground.postfix.plain), "security": "none"}
    relay = {"host": "127.0.0.1", "port": str(ground.postfix.plain)}
    await room.credentials.create("relay", "smtp", description="Relay", details=relay)
    await room.credentials.create(
        "owned", "smtp", description="Own", details={**relay, "email_address": "own@ground.test"}
    )
    await room.connections.add({"name": "wire", "outgoing": {"protocol": "smtp", **plain}})
    await room.services.add({"name": "bare", "connection": "wire"})
    await room.services.add({"name": "says", "connection": "wire", "from": "svc@ground.test"})
    other = ground.user()

    async def sender(via: str, **more: Any) -> str:
        command = SendEmail(via=via, to=other.address, text="x", **more)
        stored = await room.commands.do(command)
        return (await room.outbox.show(stored["id"])).sender

    for via in ("relay", "credential:relay", "wire", "connection:wire", "bare", "service:bare"):
        with pytest.raises(InvalidValue, match=r"^from: is needed"):
            await sender(via)
        assert await sender(via, from_="me@ground.test") == "me@ground.test"
    assert await sender("owned") == "own@ground.test"
    assert await sender("says") == "svc@ground.test"
    with pytest.raises(NotThere):
        await sender("nowhere")


async def test_a_name_of_several_things_says_which(account: Account) -> None:
    await account.room.services.add({"name": "acme", "connection": "acme"})
    with pytest.raises(InvalidValue, match="service:acme or connection:acme"):
        await account.room.commands.run("send-email", {"via": "acme", "to": "a@ground.test"})
    # a service does not read, so for reading there is only one
    assert (await account.room.commands.run("list-email", {"via": "acme"}))["count"] == 0
    await account.room.services.add({"name": "out", "connection": "acme"})
    for via in ("out", "service:acme"):
        with pytest.raises(Refused, match="is a service: it sends") as caught:
            await account.room.commands.run("list-email", {"via": via})
        assert "--via acme" in caught.value.hint
    for via in ("nowhere", "credential:nowhere", "thing:acme"):
        with pytest.raises(NotThere):
            await account.room.commands.run("list-email", {"via": via})


async def test_an_answer_goes_through_what_was_read(account: Account) -> None:
    """Also where a service has the same name; the message is marked when the answer is on its way."""
    other = account.ground.user()
    account.ground.dovecot.fill(account.user, [ORDER % other.address.encode()])
    await account.room.services.add({"name": "acme", "connection": "acme"})
    [id_] = (await account.room.commands.do(ListEmail(via="acme")))["ids"]
    sent = await account.room.commands.do(ReplyEmail(via="acme", id=id_, text="Done.", wait="30s"))
    assert (sent["state"], sent["service"], sent["answered"]) == ("sent", "connection:acme", True)
    [got] = arrived(other.maildir)
    assert b"> Please send it." in got
    assert b"In-Reply-To: <order@partner.test>" in got
    found = await account.room.commands.do(ListEmail(via="acme", search="answered"))
    assert found["ids"] == [id_]


async def test_a_run_that_a_message_started_answers_and_forwards_it(account: Account) -> None:
    other = account.ground.user()
    await account.room.services.add({"name": "orders-out", "connection": "acme"})
    message = ORDER % other.address.encode()
    async with Workbench(account.room.desk, message=message) as bench:
        answered = await ReplyEmail(via="orders-out", text="We have it.", wait="30s").run(bench)
    assert (answered["state"], answered["answered"]) == ("sent", False)
    assert b"We have it." in arrived(other.maildir)[0]
    with pytest.raises(InvalidValue, match=r"^id: is needed"):
        await account.room.commands.do(ReplyEmail(via="orders-out", text="To whom?"))


async def test_a_bench_opens_a_mailbox_once_and_anew_when_it_was_lost(account: Account) -> None:
    account.ground.dovecot.fill(account.user, [letter("one")])
    plain = {"security": "none", "trust": ""}
    async with FaultProxy(account.ground.dovecot.imap) as proxy:
        side = {"port": str(proxy.port), **plain}
        await account.room.connections.set("acme", {"incoming": side}, rebind=True)
        async with Workbench(account.room.desk) as bench:
            for _ in range(3):
                assert (await ListEmail(via="acme").run(bench))["count"] == 1
            assert len(proxy.connections) == 1
            await proxy.down()
            await proxy.up()
            with pytest.raises(PostroomError) as caught:
                await ListEmail(via="acme").run(bench)
            assert caught.value.temporary
            assert (await ListEmail(via="acme").run(bench))["count"] == 1


async def test_what_was_quiet_too_long_is_opened_anew_without_an_error(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("postroom.operations.bench.IDLE_SECONDS", 0.0)
    plain = {"security": "none", "trust": ""}
    async with FaultProxy(account.ground.dovecot.imap) as proxy:
        side = {"port": str(proxy.port), **plain}
        await account.room.connections.set("acme", {"incoming": side}, rebind=True)
        async with Workbench(account.room.desk) as bench:
            assert (await ListEmail(via="acme").run(bench))["count"] == 0
            await proxy.down()
            await proxy.up()
            assert (await ListEmail(via="acme").run(bench))["count"] == 0


async def test_what_was_cut_in_the_middle_of_an_answer_is_opened_anew(account: Account) -> None:
    """A command that ran out of time leaves half an answer on the wire; nobody reads it as his own."""
    account.ground.dovecot.fill(account.user, [letter("one")])
    plain = {"security": "none", "trust": ""}
    async with FaultProxy(account.ground.dovecot.imap) as proxy:
        side = {"port": str(proxy.port), **plain}
        await account.room.connections.set("acme", {"incoming": side}, rebind=True)
        async with Workbench(account.room.desk) as bench:
            assert (await ListEmail(via="acme").run(bench))["count"] == 1
            await proxy.do(Throttle(20))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await ListEmail(via="acme").run(bench)
            assert (await ListEmail(via="acme").run(bench))["count"] == 1
            assert len(proxy.connections) == 2


async def test_a_mailbox_does_one_thing_at_a_time(account: Account) -> None:
    """A program may ask for several things at once; each is told of its own folder."""
    account.ground.dovecot.fill(account.user, [letter("one"), letter("two")])
    first, second = (await account.room.commands.do(ListEmail(via="acme")))["ids"]
    await account.room.commands.do(MoveEmail(via="acme", ids=[second], to="Done", create=True))
    async with Workbench(account.room.desk) as bench:
        wanted = [ListEmail(via="acme", folder=one) for one in ("INBOX", "Done") * 10]
        found = await asyncio.gather(*(one.run(bench) for one in wanted))
    assert [one["items"][0]["subject"] for one in found] == ["two", "one"] * 10
    assert first


async def test_a_thousand_messages_are_moved_by_a_few_commands(account: Account) -> None:
    """One exchange for all of them, not one each."""
    account.ground.dovecot.fill(account.user, [letter(str(n)) for n in range(1000)])
    plain = {"security": "none", "trust": ""}
    async with FaultProxy(account.ground.dovecot.imap) as proxy:
        side = {"port": str(proxy.port), **plain}
        await account.room.connections.set("acme", {"incoming": side}, rebind=True)
        async with Workbench(account.room.desk) as bench:
            ids = (await ListEmail(via="acme", limit=0).run(bench))["ids"]
            before = proxy.transcript.round_trips
            done = await MoveEmail(via="acme", ids=ids, to="Done", create=True).run(bench)
            assert (done["count"], len(done["ids"])) == (1000, 1000)
            assert proxy.transcript.round_trips - before < 12


async def test_by_pop3_what_was_deleted_is_gone_when_the_bench_is_left(account: Account) -> None:
    """Whatever came after it in the same run."""
    account.ground.dovecot.fill(account.user, [letter("one"), letter("two")])
    side = {"protocol": "pop3", "port": str(account.ground.dovecot.pop3s)}
    await account.room.connections.set("acme", {"incoming": side}, rebind=True)
    [newest, _] = (await account.room.commands.do(ListEmail(via="acme")))["ids"]

    async def run() -> None:
        async with Workbench(account.room.desk) as bench:
            await DeleteEmail(via="acme", ids=[newest]).run(bench)
            await MoveEmail(via="acme", ids=[newest], to="Done").run(bench)

    with pytest.raises(Refused, match="no folders"):
        await run()
    left = await account.room.commands.do(ListEmail(via="acme"))
    assert [one["subject"] for one in left["items"]] == ["one"]


async def test_files_begin_where_the_bench_says(account: Account, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello")
    other = account.ground.user()
    command = SendEmail(via="acme", to=other.address, attachments=["a.txt"])
    async with Workbench(account.room.desk, base=tmp_path) as bench:
        [stored] = [(await command.run(bench))["id"]]
        assert bench.stored == [stored]
    with pytest.raises(InvalidValue, match=r"attachments: there is no file a\.txt"):
        await account.room.commands.do(command)


async def test_a_test_of_a_connection_a_service_and_a_credential(
    account: Account, ground: Ground
) -> None:
    relay = {"host": "127.0.0.1", "port": str(ground.postfix.plain)}
    await account.room.credentials.create("relay", "smtp", description="Relay", details=relay)
    await account.room.services.add({"name": "orders-out", "connection": "acme"})
    for via in ("acme", "service:orders-out", "relay", "credential:relay"):
        told = await account.room.commands.run("test-connection", {"via": via})
        assert json.loads(json.dumps(told)) == told
        assert (told["ok"], bool(told["sides"])) == (True, True)
        assert set(told) == set(TestConnection.gives)
    await account.room.connections.set("acme", {"outgoing": {"port": "1"}}, rebind=True)
    assert not (await account.room.commands.run("test-connection", {"via": "acme"}))["ok"]


async def test_an_app_of_microsoft_365_by_itself(tenant: Tenant, system_trusts: None) -> None:
    """A credential of type msgraph: read, answered and moved without any connection."""
    other = tenant.ground.user()
    tenant.ground.dovecot.fill(tenant.user, [ORDER % other.address.encode()])
    run = tenant.room.commands.run
    for via in ("app", "credential:app"):
        [line] = (await run("list-email", {"via": via}))["items"]
    sent = await run(
        "reply-email", {"via": "app", "id": line["id"], "text": "Done.", "wait": "30s"}
    )
    assert (sent["state"], sent["service"]) == ("sent", "credential:app")
    assert f"From: {tenant.user.address}".encode() in arrived(other.maildir)[0]
    moved = await run(
        "move-email", {"via": "app", "ids": [line["id"]], "to": "Done", "create": True}
    )
    assert moved["count"] == 1
    assert len(read(tenant.user.maildir, "Done")) == 1
    await tenant.connect("app", trust=None)
    with pytest.raises(InvalidValue, match="connection:app or credential:app"):
        await run("list-email", {"via": "app"})
    assert (await run("list-email", {"via": "connection:app"}))["count"] == 0

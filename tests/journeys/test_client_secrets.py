"""A client secret is changed without a gap: added, proven, used; the old one refused, then retired."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import logging
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from postroom import worker
from postroom.app import Room, open_room
from postroom.clock import now
from postroom.errors import Locked, PostroomError
from postroom.secret import Secret
from postroom.settings import Settings
from tests.ground import Client, Ground, User
from tests.ground.oauth import OUTLOOK
from tests.journeys.conftest import Cli
from tests.journeys.oauth import approving, connect, expire, register

ONE, TWO = "value-of-the-first-secret-0001", "value-of-the-second-secret-0002"


async def _app(room: Room, ground: Ground, user: User, **settings: Any) -> Client:
    """A client with the secret ``one``, and the connection ``acme`` that signs in with it."""
    client = ground.oauth.client(secrets=[ONE], mailbox=user.address, **settings)
    await register(room, ground, client)
    await connect(room, ground, user, "oauth_client_credentials")
    return client


async def _states(room: Room) -> dict[str, str]:
    return {one["label"]: one["state"] for one in await room.client_secrets.list("app")}


async def _sign_in_anew(room: Room) -> None:
    store = await room.desk.opener.open_store("acme")
    await store.close()


async def test_a_proven_secret_becomes_current_and_the_old_one_stays(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    client = await _app(room, ground, fresh_user)
    await _sign_in_anew(room)
    assert await _states(room) == {"one": "current"}
    ground.oauth.change(client, secrets=[ONE, TWO])
    until = str(now().date() + dt.timedelta(days=700))
    done = await room.client_secrets.add("app", Secret(TWO), "two", valid_until=until)
    assert (done.proven, done.state, done.served) == (True, "current", ("acme",))
    two, one = await room.client_secrets.list("app")
    assert (two["label"], two["state"], two["days"], two["value"]) == (
        "two", "current", 700, "****0002",
    )  # fmt: skip
    assert two["worked_at"]
    assert (one["label"], one["state"], one["value"]) == ("one", "fallback", "****0001")
    assert one["worked_at"] <= two["worked_at"]
    # what is asked for from now on comes by the new one
    ground.oauth.change(client, secrets=[TWO])
    await room.desk.opener.prepare("acme", "incoming", anew=True)
    assert ground.oauth.seen(client)[-1]["status"] == 200
    told = json.dumps([await room.client_secrets.list("app"), await room.audit.list()], default=str)
    assert ONE not in told
    assert TWO not in told


async def test_a_refused_secret_becomes_nothing_and_says_how_long_to_wait(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    """The provider may not know it everywhere yet: what worked goes on, and a later try proves it."""
    client = await _app(room, ground, fresh_user)
    await _sign_in_anew(room)
    done = await room.client_secrets.add("app", Secret(TWO), "two")
    assert (done.proven, done.state) == (False, "refused")
    assert done.wait
    assert "wait" in done.hint
    assert "postroom credential secret prove app two" in done.hint
    assert await _states(room) == {"one": "current", "two": "refused"}
    # nobody who has a proven one waits for it, and none of them is refused
    before = len(ground.oauth.seen(client))
    await room.desk.opener.prepare("acme", "incoming", anew=True)
    assert [one["status"] for one in ground.oauth.seen(client)[before:]] == [200]
    ground.oauth.change(client, secrets=[ONE, TWO])
    again = await room.client_secrets.prove("app")
    assert (again.label, again.proven, again.state) == ("two", True, "current")
    assert await _states(room) == {"two": "current", "one": "fallback"}


async def test_entra_says_itself_that_it_does_not_know_the_secret(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    client = await _app(room, ground, fresh_user)
    ground.oauth.fault(
        "token:client_credentials", client=client, status=401, aadsts=7000215,
        error="invalid_client", text="Invalid client secret provided.",
    )  # fmt: skip
    done = await room.client_secrets.add("app", Secret(TWO), "two")
    assert (done.proven, done.wait) == (False, 600)
    assert "wait 10 minutes" in done.hint
    ground.oauth.fault(
        "token:client_credentials", client=client, status=401, aadsts=7000222,
        error="invalid_client", text="The provided client secret keys are expired.",
    )  # fmt: skip
    expired = await room.client_secrets.prove("app", "two")
    assert (expired.proven, expired.wait) == (False, None)
    assert "expired" in expired.why


async def test_a_server_that_fails_proves_nothing_and_delays_nobody(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    client = await _app(room, ground, fresh_user)
    await _sign_in_anew(room)
    ground.oauth.change(client, secrets=[ONE, TWO])
    ground.oauth.fault("token:client_credentials", client=client, status=503, headers={}, body="")
    done = await room.client_secrets.add("app", Secret(TWO), "two")
    assert (done.proven, done.state) == (False, "next")
    await room.desk.opener.prepare("acme", "incoming", anew=True)  # at once, with the old one
    assert await _states(room) == {"one": "current", "two": "next"}


async def test_what_is_told_of_one_that_works_and_could_not_be_asked_about(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    """A fault of the server takes nothing out of use, and neither does a person who is missing."""
    client = await _app(room, ground, fresh_user)
    await _sign_in_anew(room)
    ground.oauth.fault("token:client_credentials", client=client, status=503, headers={}, body="")
    done = await room.client_secrets.prove("app", "one")
    assert (done.proven, done.state, done.what) == (False, "current", "client secret one")
    await room.connections.delete("acme")
    alone = await room.client_secrets.prove("app", "one")
    assert (alone.proven, alone.state) == (False, "current")


async def test_a_locked_room_proves_nothing_and_says_that_it_is_locked(
    room: Room, ground: Ground, fresh_user: User, settings: Settings, tmp_path: Path
) -> None:
    """It is the room that wants mending, not the secret."""
    await _app(room, ground, fresh_user)
    kek = str(tmp_path / "another.key")
    await room.close()
    locked = await open_room(settings._replace(kek=f"file:{kek}"))
    with pytest.raises(Locked):
        await locked.client_secrets.prove("app", "one")
    await locked.close()


async def test_a_worker_proves_what_waits_once_the_server_answers(
    room: Room, ground: Ground, fresh_user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once a minute at most, however often it looks; nobody has to come back for it."""
    monkeypatch.setattr(worker, "SIGN_IN_SECONDS", 0.05)
    client = await _app(room, ground, fresh_user)
    await _sign_in_anew(room)
    ground.oauth.change(client, secrets=[ONE, TWO])
    ground.oauth.fault("token:client_credentials", client=client, times=2, cut=True)
    assert not (await room.client_secrets.add("app", Secret(TWO), "two")).proven
    asked = ground.oauth.counts(client)["token:client_credentials"]
    working = asyncio.create_task(worker.Worker(room).run())
    while ground.oauth.counts(client)["token:client_credentials"] == asked:
        assert not working.done()
        await asyncio.sleep(0.05)
    await asyncio.sleep(1)
    assert ground.oauth.counts(client)["token:client_credentials"] == asked + 1
    assert await _states(room) == {"one": "current", "two": "next"}
    await room.desk.db.write(  # a minute later
        lambda tx: tx.execute("UPDATE limits SET updated_at = 1 WHERE name LIKE 'prove %'")
    )
    while await _states(room) != {"one": "fallback", "two": "current"}:
        assert not working.done()
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.5)
    assert ground.oauth.counts(client)["token:client_credentials"] == asked + 2
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)


async def test_a_current_one_that_is_refused_falls_back_once_and_is_reported(
    room: Room, ground: Ground, fresh_user: User, caplog: pytest.LogCaptureFixture
) -> None:
    """Marked in the list, and said in the warnings, the connection's log and the log of the process."""
    client = await _app(room, ground, fresh_user, access_ttl=4)
    ground.oauth.change(client, secrets=[ONE, TWO])
    await _sign_in_anew(room)
    assert (await room.client_secrets.add("app", Secret(TWO), "two")).proven
    ground.oauth.change(client, secrets=[ONE])
    await expire(room)
    with caplog.at_level(logging.WARNING):
        await _sign_in_anew(room)
    assert await _states(room) == {"one": "current", "two": "refused"}
    assert "client secret two was refused, client secret one is used instead" in caplog.text
    [event] = [each for each in await room.connections.log("acme") if "secret" in each["event"]]
    assert "two was refused" in event["detail"]
    shown = await room.credentials.show("app")
    assert any("client secret two was refused" in each for each in shown["warnings"])
    [listed] = [each for each in await room.credentials.list() if each["name"] == "app"]
    assert listed["warnings"] == shown["warnings"]
    # once: the refused one is not shown again while the other works
    before = len(ground.oauth.seen(client))
    await expire(room)
    await _sign_in_anew(room)
    assert [one["status"] for one in ground.oauth.seen(client)[before:]] == [200]


async def test_a_person_s_app_is_proven_by_their_sign_in(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    """A client that serves persons only: their stored sign-in is refreshed with the new secret."""
    client = ground.oauth.client(secrets=[ONE, TWO], rotation="strict")
    await register(room, ground, client, client_secrets={"one": {"value": ONE}})
    await connect(room, ground, fresh_user, "oauth_device_flow")
    early = await room.client_secrets.add("app", Secret(TWO), "two")
    assert (early.proven, early.state) == (False, "next")
    assert "Nobody has signed in" in early.why
    await room.signins.sign_in("acme", approving(ground.oauth, fresh_user.address))
    assert await _states(room) == {"one": "current", "two": "next"}
    done = await room.client_secrets.prove("app", "two")
    assert (done.proven, done.state) == (True, "current"), done
    ground.oauth.change(client, secrets=[TWO])
    prepared = await room.desk.opener.prepare("acme", "incoming", anew=True)
    assert prepared.sign_in.user == fresh_user.address
    wrong = await room.client_secrets.add("app", Secret("no-such-secret-at-all"), "three")
    assert (wrong.proven, wrong.state) == (False, "refused")
    # the refresh token that was shown with it still serves: nobody has to sign in again
    await room.desk.opener.prepare("acme", "incoming", anew=True)
    [row] = await room.signins.list()
    assert row["state"] == "signed in"


async def test_the_last_proven_one_is_not_retired(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    client = await _app(room, ground, fresh_user)
    await _sign_in_anew(room)
    ground.oauth.change(client, secrets=[ONE])
    assert not (await room.client_secrets.add("app", Secret(TWO), "two")).proven
    with pytest.raises(PostroomError, match="last proven") as caught:
        await room.client_secrets.retire("app", "one")
    assert caught.value.code == "in_use"
    await room.client_secrets.retire("app", "two")  # it never worked
    assert await _states(room) == {"one": "current"}
    ground.oauth.change(client, secrets=[ONE, TWO])
    assert (await room.client_secrets.add("app", Secret(TWO), "two")).proven
    await room.client_secrets.retire("app", "one")
    assert await _states(room) == {"two": "current"}
    await room.desk.opener.prepare("acme", "incoming", anew=True)
    with pytest.raises(PostroomError, match="no client secret 'one'"):
        await room.client_secrets.retire("app", "one")


async def test_another_value_under_a_label_has_to_prove_itself(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    await _app(room, ground, fresh_user)
    await _sign_in_anew(room)
    with pytest.raises(PostroomError, match="another label"):
        await room.client_secrets.add("app", Secret(TWO), "one")
    await room.credentials.set("app", {"client_secrets": {"one": {"value": Secret(TWO)}}})
    assert await _states(room) == {"one": "next"}


async def test_a_new_key_pair_waits_beside_the_old_one_until_it_has_worked(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    """Only the certificate leaves; the old pair is used until a token has come by the new one."""
    client = ground.oauth.client(mailbox=fresh_user.address)
    await register(room, ground, client, client_secrets=None)
    _, first = await room.credentials.generate("app")
    ground.oauth.client(client.id, certificates=[_x509(first)], mailbox=fresh_user.address)
    await connect(room, ground, fresh_user, "oauth_client_credentials")
    await _sign_in_anew(room)
    assert await _states(room) == {"certificate": "current"}
    saved, second = await room.credentials.generate("app")
    assert second != first
    assert "next_private_key" in saved.credential.sealed
    assert await _states(room) == {"certificate": "current", "next-certificate": "next"}
    await room.desk.opener.prepare("acme", "incoming", anew=True)  # with the old one
    early = await room.client_secrets.prove("app")
    assert (early.label, early.proven) == ("next-certificate", False)
    assert await _states(room) == {"certificate": "current", "next-certificate": "refused"}
    both = [_x509(first), _x509(second)]
    ground.oauth.client(client.id, certificates=both, mailbox=fresh_user.address)
    done = await room.client_secrets.prove("app", "next-certificate")
    assert (done.proven, done.label, done.state) == (True, "certificate", "current"), done
    assert await _states(room) == {"certificate": "current"}
    assert (await room.credentials.get("app")).plain["certificate"].strip() == second.strip()
    ground.oauth.client(client.id, certificates=[_x509(second)], mailbox=fresh_user.address)
    await room.desk.opener.prepare("acme", "incoming", anew=True)


async def test_a_key_pair_that_is_refused_gives_way_to_the_next_one(
    room: Room, ground: Ground, fresh_user: User
) -> None:
    """Nobody proved it, and the old certificate has gone at the provider: no gap, and it is told."""
    client = ground.oauth.client(mailbox=fresh_user.address)
    await register(room, ground, client, client_secrets=None)
    _, first = await room.credentials.generate("app")
    ground.oauth.client(client.id, certificates=[_x509(first)], mailbox=fresh_user.address)
    await connect(room, ground, fresh_user, "oauth_client_credentials")
    await _sign_in_anew(room)
    _, second = await room.credentials.generate("app")
    ground.oauth.client(client.id, certificates=[_x509(second)], mailbox=fresh_user.address)
    prepared = await room.desk.opener.prepare("acme", "incoming", anew=True)
    assert prepared.access is not None
    assert "certificate was refused, next-certificate is used" in prepared.access.note
    assert await _states(room) == {"certificate": "current"}
    assert (await room.credentials.get("app")).plain["certificate"].strip() == second.strip()


def _x509(pem: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem.encode())


async def test_only_clients_have_client_secrets(room: Room) -> None:
    await room.credentials.create("login", "password", details={"user_name": "a"})
    with pytest.raises(PostroomError, match="no client secrets"):
        await room.client_secrets.list("login")
    with pytest.raises(PostroomError, match="no client secrets"):
        await room.client_secrets.add("login", Secret(TWO))
    await room.credentials.create("app", "msgraph", details={"tenant_id": "example.com"})
    with pytest.raises(PostroomError, match="Secret ID"):
        await room.client_secrets.add("app", Secret("11111111-2222-4333-8444-555555555555"))
    with pytest.raises(PostroomError, match="key pair"):
        await room.client_secrets.add("app", Secret(TWO), "certificate")
    done = await room.client_secrets.add("app", Secret(TWO))
    assert (done.label, done.state, done.proven) == (f"{now().year}a", "next", False)
    assert "No connection signs in with it" in done.why


def test_on_the_command_line(
    cli: Cli, ground: Ground, fresh_user: User, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each answer says how it stands and what comes next; status 3 while one is stored, not proven."""
    client = ground.oauth.client(secrets=[ONE], mailbox=fresh_user.address)
    monkeypatch.setenv("ONE", ONE)
    monkeypatch.setenv("TWO", TWO)
    steps = (
        ("credential", "add", "ground-ca", "--type", "trusted_certificate",
         "--certificate-from-file", str(ground.pki.ca)),
        ("credential", "add", "app", "--type", "oauth_client", "--authority", ground.oauth.issuer,
         "--client-id", client.id, "--trust", "ground-ca"),
        ("connection", "add", "acme", "--set", "incoming.protocol=imap",
         "--set", "incoming.host=localhost", "--set", "incoming.trust=ground-ca",
         "--set", f"incoming.port={ground.oauth_dovecot.imaps}", "--set", "incoming.security=tls",
         "--set", f"incoming.user={fresh_user.address}",
         "--set", "incoming.auth={type: oauth_client_credentials, credential: app, "
         f"scopes: ['{OUTLOOK}/.default']}}"),
    )  # fmt: skip
    for step in steps:
        answer = cli(*step)
        assert answer.status == 0, answer.err
    secret = ("credential", "secret")
    assert "Add one: postroom credential secret add app" in cli(*secret, "list", "app").out
    first = cli(*secret, "add", "app", "one", "--value-from-env", "ONE")
    assert (first.status, "it is the current one" in first.out) == (0, True), first.err
    file = tmp_path / "two"
    file.write_text(TWO + "\n")
    early = cli(*secret, "add", "app", "two", "--value-from-file", str(file), "--valid-until",
                "2099-01-31", "--description", "made by Ann")  # fmt: skip
    assert early.status == 3
    assert "stored and not in use" in early.out
    assert "postroom credential secret prove app two" in early.err
    listed = cli(*secret, "list", "app").out.splitlines()
    assert [line.split()[:2] for line in listed[1:]] == [["one", "current"], ["two", "refused"]]
    assert "2099-01-31" in listed[2]
    assert "made by Ann" in listed[2]
    ground.oauth.change(client, secrets=[ONE, TWO])
    ground.oauth.fault("token:client_credentials", client=client, status=503, headers={}, body="")
    busy = cli(*secret, "prove", "app", "one")
    assert busy.status == 3
    assert "The client secret one of app stays the current one" in busy.out
    proven = cli(*secret, "prove", "app", "--json")
    assert proven.status == 0
    assert {key: proven.json[key] for key in ("label", "state", "proven", "served")} == {
        "label": "two", "state": "current", "proven": True, "served": ["acme"],
    }  # fmt: skip
    asked = cli(*secret, "retire", "app", "one")
    assert (asked.status, "--yes" in asked.err) == (2, True)
    assert cli(*secret, "retire", "app", "one", "--yes").status == 0
    last = cli(*secret, "retire", "app", "two", "--yes")
    assert (last.status, "last proven" in last.err) == (1, True)
    missing = cli(*secret, "add", "app")
    assert (missing.status, "--value-from-env" in missing.err) == (2, True)
    two_ways = cli(*secret, "add", "app", "--value-stdin", "--value-from-env", "ONE")
    assert two_ways.status == 2
    ends = cli("credential", "list", "--expiring", "99999d", "--json").json["items"]
    [item] = [one for one in ends if one["name"] == "app"]
    assert (item["kind"], item["what"]) == ("client secret", "client_secrets.two.valid_until")
    for told in (first, early, proven, last):
        assert ONE not in told.out + told.err
        assert TWO not in told.out + told.err

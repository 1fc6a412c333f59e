"""Connecting an account: tried before anything is stored, then made whole or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from postroom.access import ROLES, Person
from postroom.app import Room
from postroom.errors import InvalidValue, NotThere, Refused
from postroom.secret import Secret

if TYPE_CHECKING:
    from pathlib import Path

    from tests.ground import Ground, User

pytestmark = pytest.mark.slow


def wanted(ground: Ground, user: User, **more: Any) -> dict[str, Any]:
    return {
        "name": "orders",
        "address": user.address,
        "password": Secret(user.password),
        "incoming": {"host": "127.0.0.1", "port": str(ground.dovecot.imaps)},
        "outgoing": {
            "host": "127.0.0.1", "port": str(ground.postfix.submission), "security": "starttls",
        },
        **more,
    }  # fmt: skip


async def made(room: Room) -> list[str]:
    names = [one["name"] for one in await room.credentials.list()]
    names += [one["name"] for one in await room.connections.list()]
    names += [one.name for one in await room.sources.list()]
    return names + [one["name"] for one in await room.services.list()]


async def test_an_account_is_tried_trusted_and_connected(
    room: Room, ground: Ground, tmp_path: Path
) -> None:
    user = ground.user()
    data = wanted(ground, user, directory=str(tmp_path / "mail"))
    report = await room.accounts.test(data)
    assert not report.ok
    assert report.error is not None
    assert report.error.code == "certificate_untrusted"
    assert await made(room) == []
    shown = {f"trust_{side.place}": side.certificates[-1].sha256 for side in report.sides}
    steps: list[str] = []
    report = await room.accounts.test(
        data | shown, on_step=lambda place, step: steps.append(step.name)
    )
    assert report.ok, report.error
    assert "sign-in" in steps
    assert await made(room) == []

    done = await room.accounts.connect(data | shown)
    assert await made(room) == ["orders-ca", "orders-login", "orders", "orders-in", "orders-out"]
    assert (await room.connections.test("orders")).ok
    assert user.password not in done["text"]
    assert f"user_name: {user.address}" in done["text"]
    assert "orders-out" in done["text"]
    assert "another" not in done["text"]


async def test_the_text_of_what_was_made_has_the_certificate_that_it_trusts(
    room: Room, ground: Ground, tmp_path: Path
) -> None:
    details = {"certificate": ground.pki.ca.read_text()}
    await room.credentials.create("own-ca", "trusted_certificate", details=details)
    data = wanted(ground, ground.user(), directory=str(tmp_path / "mail"), trust="own-ca")
    done = await room.accounts.connect(data)
    named = {one["name"] for one in yaml.safe_load(done["text"])["credentials"]}
    assert named == {"orders-login", "own-ca"}


async def test_what_cannot_be_made_whole_is_not_made(room: Room, ground: Ground) -> None:
    user = ground.user()
    await room.connections.add(
        {"name": "other", "incoming": {"protocol": "imap", "host": "a.example"}}
    )
    with pytest.raises(InvalidValue, match="sink"):
        await room.accounts.connect(
            wanted(ground, user, directory=str(room.settings.room / "inside"))
        )
    assert await made(room) == ["other"]


async def test_a_wrong_password_is_told_and_stored_nowhere(room: Room, ground: Ground) -> None:
    user = ground.user()
    data = wanted(ground, user)
    shown = {
        f"trust_{side.place}": side.certificates[-1].sha256
        for side in (await room.accounts.test(data)).sides
    }
    report = await room.accounts.test(
        {**data, **shown, "password": Secret("something else entirely")}
    )
    assert report.error is not None
    assert report.error.code == "sign_in_failed"
    assert await made(room) == []


async def test_a_fingerprint_of_another_certificate_is_refused(room: Room, ground: Ground) -> None:
    with pytest.raises(NotThere):
        await room.accounts.connect(wanted(ground, ground.user(), trust_incoming="ab" * 32))


async def test_a_stored_secret_is_not_tried_elsewhere(room: Room, ground: Ground) -> None:
    """T3: a test with a credential that is stored does not carry its secret to another host."""
    user = ground.user()
    data = wanted(ground, user)
    shown = {
        f"trust_{side.place}": side.certificates[-1].sha256
        for side in (await room.accounts.test(data)).sides
    }
    await room.accounts.connect(data | shown)
    assert (await room.connections.test("orders")).ok  # it has been presented: no corrections now
    elsewhere = {
        "name": "stolen", "address": user.address, "credential": "orders-login",
        "incoming": {"host": "127.0.0.1", "port": "1", "security": "none"},
        "outgoing": {"protocol": "none"}, "send": False, "collect": False,
    }  # fmt: skip
    for operation in (room.accounts.test, room.accounts.connect):
        with pytest.raises(Refused) as refused:
            await operation(elsewhere)
        assert refused.value.code == "secret_reentry_required"


async def test_it_wants_the_right_to_make_credentials(room: Room, ground: Ground) -> None:
    person = Person("user:eve", "editor", ROLES["editor"] - {"create"}, "u1")
    with pytest.raises(Refused) as refused:
        await room.acting(person).accounts.connect(wanted(ground, ground.user()))
    assert refused.value.code == "not_permitted"


@pytest.mark.parametrize("protocol", ["imap", "pop3"])
@pytest.mark.parametrize("by", ["page", "rest"])
async def test_from_now_on_begins_when_it_is_connected_and_not_with_the_first_look(
    room: Room, ground: Ground, tmp_path: Path, protocol: str, by: str
) -> None:
    """What comes after the test, and before a worker looks for the first time, is collected."""
    user = ground.user()
    ground.dovecot.fill(user, [letter("old")])
    ports = {"imap": ground.dovecot.imaps, "pop3": ground.dovecot.pop3s}
    incoming = {"protocol": protocol, "host": "127.0.0.1", "port": str(ports[protocol])}
    data = wanted(ground, user, directory=str(tmp_path / "mail"), incoming=incoming)
    report = await room.accounts.test(data)
    data |= {f"trust_{side.place}": side.certificates[-1].sha256 for side in report.sides}
    if by == "page":
        assert (await room.accounts.test(data)).ok
        tried = await room.accounts.attempt({**data, "name": "try", "collect": False})
        ground.dovecot.fill(user, [letter("while the form was read")])
        await room.accounts.complete(data, tried)
    else:
        await room.accounts.connect(data)
    ground.dovecot.fill(user, [letter("before the first look")])
    await room.collecting.run("orders-in")
    found = b"".join(one.read_bytes() for one in (tmp_path / "mail").rglob("*.eml"))
    assert b"before the first look" in found
    assert (b"while the form was read" in found) == (by == "page")
    assert b"old" not in found


def letter(subject: str) -> bytes:
    return f"From: a@b.example\r\nSubject: {subject}\r\n\r\nHello.\r\n".encode()

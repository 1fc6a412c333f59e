"""A server that refuses the sign-in again and again: nothing that is kept becomes less."""

from __future__ import annotations

from pathlib import Path

import pytest

from postroom.app import Room
from postroom.errors import PostroomError, SignInError
from postroom.mail import Draft
from postroom.secret import Secret
from tests.ground import Ground
from tests.journeys import oauth
from tests.journeys.conftest import Account
from tests.journeys.incoming import Incoming, letter

TIMES = 10
KEPT = (
    "credentials", "credential_versions", "sealed", "data_keys", "vault_keys", "vault_key_wraps",
    "connections", "sources", "ledger", "services", "outbox", "outbox_recipients", "audit",
    "access_tokens",
)  # fmt: skip


def rows(room: Room) -> dict[str, int]:
    """How many rows each table has."""
    return room.desk.db.read_now(
        lambda tx: {
            row["name"]: tx.value(f'SELECT count(*) FROM "{row["name"]}"')
            for row in tx.all("SELECT name FROM sqlite_master WHERE type = 'table'")
        }
    )


def nothing_less(room: Room, before: dict[str, int]) -> None:
    """No table has lost a row; of what is sealed there is as much as before."""
    after = rows(room)
    less = {name: (count, after.get(name)) for name, count in before.items()
            if after.get(name, 0) < count}  # fmt: skip
    assert not less, less
    for name in ("credentials", "credential_versions", "sealed", "data_keys", "ledger", "outbox"):
        assert after[name] == before[name] > 0, name


async def test_ten_wrong_passwords_delete_nothing(account: Account, tmp_path: Path) -> None:
    """T18: by IMAP, by SMTP and by the test of a connection; with the right one all goes on."""
    room, user = account.room, account.user
    box = Incoming(room, account.ground, user, tmp_path / "orders")
    await box.source()
    await room.services.add({"name": "out", "connection": "acme"})
    box.fill(letter("one"))
    assert (await box.run()).delivered == 1
    await room.credentials.set("acme-login", {"password": Secret("wrong")})
    draft = Draft(from_=None, to=[user.address], subject="waits", text="x")
    item = await room.email.store("out", draft)
    box.fill(letter("two"))
    before = rows(room)
    assert set(KEPT) <= set(before)
    for _ in range(TIMES):
        with pytest.raises(SignInError):
            await box.run()
        await room.email.dispatch(["out"])
        assert not (await room.connections.test("acme")).ok
    nothing_less(room, before)
    await room.credentials.set("acme-login", {"password": Secret(user.password)})
    assert (await box.run()).delivered == 1
    await room.outbox.retry(item)
    await room.email.dispatch(["out"])
    assert (await room.outbox.show(item)).state == "sent"


async def test_ten_refused_client_secrets_delete_nothing(
    room: Room, ground: Ground, tmp_path: Path
) -> None:
    """T18: the token that was kept, the client's secrets and what was collected stay as they are."""
    user = ground.user()
    client = ground.oauth.client(mailbox=user.address)
    await oauth.register(room, ground, client)
    await oauth.connect(room, ground, user, "oauth_client_credentials")
    box = Incoming(room, ground, user, tmp_path / "orders")
    await box.source()
    await room.services.add({"name": "out", "connection": "acme"})
    box.fill(letter("one"))
    assert (await box.run()).delivered == 1
    await oauth.expire(room)
    await room.email.store("out", Draft(from_=None, to=[user.address], subject="waits", text="x"))
    before = rows(room)
    ground.oauth.change(client, secrets=["another-secret-0123456789"])
    for _ in range(TIMES):
        with pytest.raises(PostroomError):
            await box.run()
    nothing_less(room, before)
    ground.oauth.change(client, secrets=[client.secret])
    await room.connections.restart("acme")
    box.fill(letter("two"))
    assert (await box.run()).delivered == 1

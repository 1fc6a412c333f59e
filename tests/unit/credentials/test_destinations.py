"""Where a secret may go: who may add a line, when, and what happens to the list."""

from __future__ import annotations

import pytest

from postroom.errors import Refused
from tests.unit.vault.rooms import ALICE, BOB, LINE, OTHER, Room

SECRET = "hunter2hunter2"
DAY = 86400.0


async def presented(room: Room, name: str = "acme") -> None:
    version = room.db.read_now(lambda tx: room.store.get(tx, name).version)
    await room.db.write(lambda tx: room.store.presented(tx, name, version, 1_000_000.0))


async def bind(room: Room, *lines: str, actor: str = ALICE, rebind: bool = False) -> bool:
    return await room.db.write(
        lambda tx: room.store.bind(tx, "acme", lines, actor=actor, rebind=rebind)
    )


def lines(room: Room, name: str = "acme") -> list[str]:
    return room.db.read_now(lambda tx: room.store.get(tx, name).destinations)


async def test_a_secret_opens_for_its_lines_only(room: Room) -> None:
    await room.login("acme", SECRET)
    assert await room.password("acme", LINE) == SECRET
    with pytest.raises(Refused) as caught:
        await room.open("acme", OTHER)
    assert caught.value.code == "destination_not_bound"
    assert caught.value.facts["bound"] == [LINE]


async def test_another_host_needs_the_secret_once_it_was_presented(room: Room) -> None:
    """T26: nothing is saved, and the lines are listed."""
    await room.login("acme", SECRET)
    await presented(room)
    with pytest.raises(Refused) as caught:
        await bind(room, LINE, OTHER)
    assert caught.value.code == "secret_reentry_required"
    assert caught.value.facts["lines"] == [OTHER]
    with pytest.raises(Refused):
        await room.save("acme", {"user_name": "x"}, used_lines=[OTHER])
    assert lines(room) == [LINE]
    assert await room.password("acme") == SECRET


SMTP = {"host": "smtp.example.com", "port": 587, "tls": True, "user_name": "u", "password": SECRET}


@pytest.mark.parametrize("change", [
    {"host": "127.0.0.2"}, {"port": 2525}, {"port": 465}, {"check_server_identity": False},
    {"proxy": "proxy.example.com:3128"},
])  # fmt: skip
async def test_every_field_of_its_own_that_moves_a_secret_asks_for_it(
    room: Room, change: dict[str, object]
) -> None:
    """T26: host, port, security, checks and proxy of the record itself."""
    await room.save("acme", SMTP, type="smtp")
    await presented(room)
    before = lines(room)
    with pytest.raises(Refused) as caught:
        await room.save("acme", change)
    assert caught.value.code == "secret_reentry_required"
    assert lines(room) == before
    await room.save("acme", change | {"password": SECRET})
    assert lines(room) != before
    assert await room.password("acme", lines(room)[0]) == SECRET


async def test_what_moves_nothing_asks_for_nothing(room: Room) -> None:
    await room.save("acme", SMTP, type="smtp")
    await presented(room)
    saved = await room.save("acme", {"user_name": "other", "email_address": "a@example.com"})
    assert saved.credential.version == 2
    assert saved.credential.presented_at == 1_000_000.0


async def test_who_may_rebind_need_not_type(room: Room) -> None:
    await room.login("acme", SECRET)
    await presented(room)
    assert await bind(room, LINE, OTHER, actor=BOB, rebind=True)
    assert lines(room) == sorted([LINE, OTHER])
    assert await room.password("acme", OTHER) == SECRET


async def test_who_typed_it_may_correct_the_lines_until_it_works(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one kindness: the same person, not presented yet, and within 24 hours of typing."""
    await room.login("acme", SECRET)
    with pytest.raises(Refused):
        await bind(room, OTHER, actor=BOB)
    assert await bind(room, OTHER)
    typed = (await room.sql("SELECT typed_at FROM credential_versions WHERE version = 1"))[0][0]
    clock = "postroom.credentials.versions.timestamp"
    monkeypatch.setattr(clock, lambda: typed + DAY - 1)
    assert await bind(room, LINE)
    monkeypatch.setattr(clock, lambda: typed + DAY + 1)
    with pytest.raises(Refused):  # a correction does not begin another day
        await bind(room, OTHER)


async def test_the_kindness_ends_when_the_secret_works(room: Room) -> None:
    await room.login("acme", SECRET)
    await presented(room)
    with pytest.raises(Refused):
        await bind(room, OTHER)
    # nor does it come back with a new version that keeps the secret
    await room.save("acme", {"user_name": "other"}, used_lines=[LINE])
    with pytest.raises(Refused):
        await bind(room, OTHER)


async def test_one_secret_typed_does_not_move_the_other(room: Room) -> None:
    """T26: a record with two secrets, one of them typed by somebody who does not know the other."""
    await room.save("acme", {"one": SECRET, "two": SECRET + "2"}, type="generic", used_lines=[LINE])
    await presented(room)
    with pytest.raises(Refused):
        await room.save("acme", {"one": "known to eve"}, used_lines=[LINE, OTHER])
    await room.save("acme", {"one": "x" * 12, "two": "y" * 12}, used_lines=[LINE, OTHER])


async def test_lines_that_nothing_uses_drop_out(room: Room) -> None:
    await room.login("acme", SECRET, (LINE, OTHER))
    await presented(room)
    assert await bind(room, LINE)
    assert lines(room) == [LINE]
    assert not await bind(room, LINE)
    with pytest.raises(Refused):
        await bind(room, LINE, OTHER)


async def test_a_list_in_another_order_is_the_same_list(room: Room) -> None:
    await room.login("acme", SECRET, (LINE, OTHER))
    assert not await bind(room, OTHER, LINE, LINE)


async def test_another_certificate_under_a_trust_name_is_another_destination(
    room: Room, certificates: tuple[str, str]
) -> None:
    """T26: a CA.  Its new certificate is refused, or binds the records that trust it anew."""
    first, second = certificates
    await room.save("ca", {"certificate": first}, type="trusted_certificate")
    await room.save("acme", SMTP | {"trust": "CA"}, type="smtp")
    assert "trust=sha256:" in lines(room)[0]
    await presented(room)
    before = lines(room)
    with pytest.raises(Refused) as caught:
        await room.save("ca", {"certificate": second})
    assert caught.value.code == "secret_reentry_required"
    assert caught.value.facts["credential"] == "acme"
    assert lines(room) == before
    await room.save("ca", {"certificate": second}, rebind=True)
    assert lines(room) != before
    assert await room.password("acme", lines(room)[0]) == SECRET


async def test_what_is_damaged_is_in_nobodys_way(room: Room) -> None:
    """A connection can be deleted although its secret does not open any more."""
    await room.login("acme", SECRET, (LINE, OTHER))
    await room.sql("UPDATE sealed SET blob = zeroblob(150) WHERE kind = 'credential'")
    assert not await bind(room, LINE)

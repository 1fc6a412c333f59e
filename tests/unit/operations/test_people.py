"""How people come in: the first address, an invitation, sign-in, sessions, step-up, tokens."""

from __future__ import annotations

from typing import Any

import pytest

from postroom.access import ROLES, passwords, throttle
from postroom.app import Room
from postroom.errors import InvalidValue, Refused
from postroom.operations.people import SignedIn
from postroom.secret import Secret

GOOD = "correct horse battery"
OTHER = "quiet river under stone"


async def admin(room: Room) -> SignedIn:
    code = await room.people.first_address()
    assert code is not None
    return await room.people.accept(code, "ann", Secret(GOOD), agent="Firefox")


def refusal(code: str) -> Any:
    return pytest.raises(Refused, check=lambda error: error.code == code)


async def actions(room: Room, **of: Any) -> list[tuple[str, str, str, str]]:
    rows = await room.audit.list(limit=100, **of)
    return [(row["actor"], row["action"], row["noun"], row["name"]) for row in reversed(rows)]


async def spend(room: Room, limit: throttle.Limit, key: str, *, but: int) -> None:
    """Fail so often, without the hashes that it takes."""

    def body(tx: Any) -> None:
        for _ in range(limit.most - but):
            throttle.take(tx, limit, key)

    await room.desk.write(body)


async def test_the_first_address_makes_an_administrator_and_opens_once(room: Room) -> None:
    first = await room.people.first_address()
    second = await room.people.first_address()
    assert first is not None
    assert second is not None
    assert await room.people.invited(second) == ""
    with refusal("not_signed_in"):
        await room.people.accept(first, "eve", Secret(GOOD))
    came = await room.people.accept(second, "ann", Secret(GOOD), agent="Firefox")
    assert came.session.person.verbs == ROLES["admin"]
    assert (came.session.name, came.session.person.actor) == ("ann", "user:ann")
    assert await room.people.first_address() is None
    for code in (first, second, "", "no code", "\ud800"):
        with refusal("not_signed_in"):
            await room.people.accept(code, "eve", Secret(GOOD))
    assert [one["name"] for one in await room.users.list()] == ["ann"]


async def test_a_session_is_known_by_its_cookie_alone(room: Room) -> None:
    """T43: nobody comes in with what is in the database, or with a part of the cookie."""
    came = await admin(room)
    again = await room.people.session(came.cookie)
    assert again == came.session
    assert len(again.csrf) == 43
    cookie = came.cookie.reveal()
    for wrong in ("", cookie[:-1], cookie + "A", cookie.swapcase(), again.csrf, "\ud800"):
        with refusal("not_signed_in"):
            await room.people.session(wrong)
    stored = await room.desk.db.read(lambda tx: tx.all("SELECT * FROM sessions"))
    assert cookie not in str([tuple(row) for row in stored])


async def test_signing_in_gives_a_session_of_its_own(room: Room) -> None:
    """T43: an old id is not carried over, and one that was signed out is nobody's."""
    first = await admin(room)
    second = await room.people.sign_in("ANN", Secret(GOOD), peer="192.0.2.1", agent="Chromium")
    assert second.cookie != first.cookie
    assert second.session.csrf != first.session.csrf
    await room.people.sign_out(second.cookie)
    await room.people.sign_out(second.cookie)
    with refusal("not_signed_in"):
        await room.people.session(second.cookie)
    assert (await room.people.session(first.cookie)).name == "ann"
    assert ("user:ann", "sign-in", "user", "ann") in await actions(room)
    assert ("user:ann", "sign-out", "user", "ann") in await actions(room)


async def test_unknown_wrong_and_disabled_are_one_answer(room: Room) -> None:
    """T44: nobody learns who there is."""
    await admin(room)
    await room.users.add("bob", "viewer", password=Secret(OTHER))
    await room.users.set("bob", disabled=True)
    await room.users.add("cat", "viewer")
    said = set()
    for name, password in (("nobody", GOOD), ("ann", OTHER), ("bob", OTHER), ("cat", ""), ("", "")):
        with refusal("not_signed_in") as refused:
            await room.people.sign_in(name, Secret(password), peer="192.0.2.1")
        said.add(str(refused.value))
    assert len(said) == 1
    rows = await room.audit.list(action="refuse", limit=10)
    assert [row["name"] for row in reversed(rows)] == ["", "ann", "bob", "cat", ""]
    assert "nobody'" not in str([row["detail"] for row in rows])


async def test_whoever_tries_too_often_waits_and_that_is_recorded_once(room: Room) -> None:
    """T44: fifty in a minute, for one name from many places, and from one place for many names."""
    await admin(room)
    await spend(room, throttle.USER, "ann", but=3)
    codes = []
    for number in range(6):
        with pytest.raises(Refused) as refused:
            await room.people.sign_in("ann", Secret("wrong"), peer=f"192.0.2.{number}")
        codes.append(refused.value.code)
    assert codes == ["not_signed_in"] * 3 + ["too_many"] * 3
    assert refused.value.facts["retry_after"] > 0
    with refusal("too_many"):  # nor the right one: or it could be found that way
        await room.people.sign_in("ann", Secret(GOOD), peer="192.0.2.99")
    await spend(room, throttle.PEER, "2001:db8::/64", but=3)
    codes = []
    for number in range(6):
        with pytest.raises(Refused) as refused:
            await room.people.sign_in(f"name{number}", Secret("wrong"), peer=f"2001:db8::{number}")
        codes.append(refused.value.code)
    assert codes == ["not_signed_in"] * 3 + ["too_many"] * 3
    assert [row[3] for row in await actions(room, action="too-many")] == ["ann", ""]


async def test_one_address_locks_nobody_out(room: Room) -> None:
    """T44: whoever tries somebody's name from one place takes the tries of that place alone."""
    await admin(room)
    codes = []
    for _ in range(throttle.USER.most + 5):
        with pytest.raises(Refused) as refused:
            await room.people.sign_in("ann", Secret("wrong"), peer="192.0.2.66")
        codes.append(refused.value.code)
    assert codes.count("not_signed_in") < throttle.USER.most
    assert (await room.people.sign_in("ann", Secret(GOOD), peer="192.0.2.1")).session.name == "ann"
    await spend(room, throttle.PEER, "192.0.2.67", but=0)
    for _ in range(throttle.USER.most + 5):
        with refusal("too_many"):
            await room.people.sign_in("ann", Secret("wrong"), peer="192.0.2.67")
    assert (await room.people.sign_in("ann", Secret(GOOD), peer="192.0.2.1")).session.name == "ann"
    # nor by going on with it: a name's tries come again sooner than one place can use them up
    assert throttle.PAIR.most / throttle.PAIR.per < throttle.USER.most / throttle.USER.per


async def test_names_that_strangers_made_up_leave_nothing(room: Room) -> None:
    """T44: a table that everybody may fill is emptied though nobody signs in."""
    await admin(room)

    def left(tx: Any) -> int:
        return int(tx.value("SELECT count(*) FROM limits WHERE name LIKE 'sign-in %'"))

    for number in range(40):
        await spend(room, throttle.USER, f"made up {number}", but=19)
    assert await room.desk.db.read(left) == 40
    await room.desk.db.write(
        lambda tx: tx.execute("UPDATE limits SET updated_at = updated_at - 601")
    )
    with refusal("not_signed_in"):
        await room.people.sign_in("eve", Secret("wrong"), peer="192.0.2.1")
    assert await room.desk.db.read(left) < 5


async def test_the_right_password_costs_no_try(room: Room) -> None:
    await admin(room)
    await spend(room, throttle.USER, "ann", but=1)
    await spend(room, throttle.PEER, "192.0.2.1", but=1)
    for _ in range(4):
        came = await room.people.sign_in("ann", Secret(GOOD), peer="192.0.2.1")
        assert came.session.person.actor == "user:ann"


async def test_a_proof_is_asked_anew_and_is_throttled_too(room: Room) -> None:
    """T44: with a valid session nobody guesses the password."""
    came = await admin(room)
    await room.desk.db.write(lambda tx: tx.execute("UPDATE sessions SET proved_at = 0"))
    assert (await room.people.session(came.cookie)).proved_at == 0
    await room.people.prove(came.cookie, Secret(GOOD))
    assert (await room.people.session(came.cookie)).proved_at > 0
    await spend(room, throttle.PROVE, came.session.person.user, but=2)
    codes = []
    for _ in range(4):
        with pytest.raises(Refused) as refused:
            await room.people.prove(came.cookie, Secret("wrong"))
        codes.append(refused.value.code)
    assert codes == ["not_signed_in"] * 2 + ["too_many"] * 2
    assert ("nobody", "too-many", "user", "ann") in await actions(room)


async def test_another_password_ends_every_session(room: Room) -> None:
    """T43: whoever had an old id is out, by whichever way the password was changed."""
    first = await admin(room)
    second = await room.people.sign_in("ann", Secret(GOOD))
    third = await room.people.change_password(second.cookie, Secret(GOOD), Secret(OTHER))
    for old in (first, second):
        with refusal("not_signed_in"):
            await room.people.session(old.cookie)
    with refusal("not_signed_in"):
        await room.people.sign_in("ann", Secret(GOOD))
    assert (await room.people.session(third.cookie)).name == "ann"
    await room.users.set("ann", password=Secret("small words in a row"))
    with refusal("not_signed_in"):
        await room.people.session(third.cookie)
    with pytest.raises(InvalidValue, match="shorter"):
        await room.people.change_password(
            (await room.people.sign_in("ann", Secret("small words in a row"))).cookie,
            Secret("small words in a row"),
            Secret("short"),
        )


@pytest.mark.parametrize("meanwhile", ["password", "end"])
@pytest.mark.parametrize("what", ["prove", "change_password"])
async def test_what_an_administrator_does_meanwhile_counts(
    room: Room, monkeypatch: pytest.MonkeyPatch, what: str, meanwhile: str
) -> None:
    """T43: whoever has the old password and a session does not win against the reset of both."""
    await admin(room)
    await room.users.add("bob", "viewer", password=Secret(OTHER))
    eve = await room.people.sign_in("bob", Secret(OTHER))
    real, reset = passwords.verify_password, Secret("small words in a row")

    async def slow(password: Secret, kept: str) -> bool:
        done = await real(password, kept)
        if meanwhile == "end":
            await room.users.end_sessions("bob")
        else:
            await room.users.set("bob", password=reset)
        return done

    with monkeypatch.context() as while_it_is_hashed:
        while_it_is_hashed.setattr("postroom.operations.people.verify_password", slow)
        with refusal("not_signed_in"):
            if what == "prove":
                await room.people.prove(eve.cookie, Secret(OTHER))
            else:
                await room.people.change_password(eve.cookie, Secret(OTHER), Secret(GOOD))
    good = reset if meanwhile == "password" else Secret(OTHER)
    assert (await room.people.sign_in("bob", good)).session.name == "bob"


async def test_a_proof_under_a_password_that_was_changed_is_none(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T43: the session that somebody has after their own change is not proved by the old password."""
    came = await admin(room)
    real = passwords.verify_password

    async def slow(password: Secret, kept: str) -> bool:
        done = await real(password, kept)
        kept = await passwords.hash_password(Secret(OTHER))
        await room.desk.db.write(lambda tx: tx.execute("UPDATE users SET password = :to", to=kept))
        return done

    monkeypatch.setattr("postroom.operations.people.verify_password", slow)
    with pytest.raises(Refused, match="changed meanwhile"):
        await room.people.prove(came.cookie, Secret(GOOD))


@pytest.mark.parametrize("column", ["seen_at", "expires_at"])
async def test_a_session_ends_when_nobody_uses_it_and_in_any_case(room: Room, column: str) -> None:
    came = await admin(room)
    late = 2 * 3600.0 if column == "seen_at" else 12 * 3600.0
    sql = {
        "seen_at": "UPDATE sessions SET seen_at = seen_at - :late",
        "expires_at": "UPDATE sessions SET expires_at = expires_at - :late",
    }[column]
    await room.desk.db.write(lambda tx: tx.execute(sql, late=late - 60))
    left = (await room.people.session(came.cookie)).expires_at
    assert left < came.session.expires_at
    await room.desk.db.write(lambda tx: tx.execute(sql, late=late + 60))
    with refusal("not_signed_in"):
        await room.people.session(came.cookie)


async def test_an_invitation_lets_a_user_choose_a_password_once(room: Room) -> None:
    came = await admin(room)
    acting = room.acting(came.session.person)
    await acting.users.add("bob", "operator", address="bob@example.com")
    void = (await acting.users.invite("bob"))["code"]
    code = (await acting.users.invite("bob"))["code"]
    assert await room.people.invited(code) == "bob"
    for bad in (void, code[:-1]):
        with refusal("not_signed_in"):
            await room.people.accept(bad, "", Secret(OTHER))
    with pytest.raises(InvalidValue, match="shorter"):
        await room.people.accept(code, "", Secret("short"))
    bob = await room.people.accept(code, "", Secret(OTHER))
    assert (bob.session.name, bob.session.person.role) == ("bob", "operator")
    with refusal("not_signed_in"):
        await room.people.accept(code, "", Secret(GOOD))
    assert (await room.people.sign_in("bob", Secret(OTHER))).session.person.verbs == ROLES[
        "operator"
    ]
    await acting.users.set("bob", disabled=True)
    with refusal("not_signed_in"):
        await room.people.session(bob.cookie)
    assert ("user:ann", "invite", "user", "bob") in await actions(room)


@pytest.mark.usefixtures("true_cost")
async def test_a_hash_that_somebody_weakened_lets_nobody_in(room: Room) -> None:
    """T24: and the record says that it was edited."""
    await admin(room)
    await room.desk.db.write(
        lambda tx: tx.execute("UPDATE users SET password = replace(password, 'm=65536', 'm=1024')")
    )
    with refusal("not_signed_in"):
        await room.people.sign_in("ann", Secret(GOOD))
    assert '"edited"' in str((await room.audit.list(action="refuse"))[0]["detail"]).replace(
        "'", '"'
    )


@pytest.mark.usefixtures("true_cost")
async def test_unknown_and_known_cost_the_same_work(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T44: one hash of the same cost, whoever is asked for: the time tells nobody who there is."""
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    await admin(room)
    await room.users.add("bob", "viewer", password=Secret(OTHER))
    await room.users.set("bob", disabled=True)
    await room.users.add("cat", "viewer")
    real, costs = Argon2id.verify_phc_encoded, []

    class Counting:
        """The same, and what each costs."""

        def verify_phc_encoded(self, material: bytes, kept: str) -> None:
            costs.append(kept.split("$")[3])
            real(material, kept)

    monkeypatch.setattr(
        "cryptography.hazmat.primitives.kdf.argon2.Argon2id", Counting(), raising=True
    )
    for name in ("ann", "bob", "cat", "nobody", ""):
        with refusal("not_signed_in"):
            await room.people.sign_in(name, Secret("a wrong password"))
    assert costs == ["m=65536,t=2,p=1"] * 5

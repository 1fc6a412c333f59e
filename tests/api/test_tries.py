"""Tries to come in, sent as somebody sends them who guesses: at the page, at the proof, at the API."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

from postroom.app import Room
from postroom.secret import Secret
from tests.api.asking import Answer, Client
from tests.api.test_page_attacks import FORM, GOOD, HERE, Visitor

pytestmark = pytest.mark.bares("file", why="tokens of the tests")
TRIES = 50


async def tried(visitor: Visitor, path: str, form: dict[str, str], peer: str) -> Answer:
    """One form, from an address."""
    head = {"origin": HERE, "content-type": FORM}
    head["cookie"] = "; ".join(f"{name}={value}" for name, value in visitor.cookies.items())
    content = urlencode(form).encode()
    return await visitor.client.ask(
        "POST", path, content=content, headers=head, as_=None, peer=peer
    )


def slowed(answers: list[Answer], most: int) -> None:
    """So many were heard at the most; the others were told when to come again, and nothing else."""
    heard = [one for one in answers if one.status_code != 429]
    assert len(heard) <= most, [one.status_code for one in answers]
    assert {one.status_code for one in answers[most:]} == {429}
    for one in answers[most:]:
        assert 1 <= int(one.headers["retry-after"]) <= 600, one.headers
    assert not [one for one in answers if "postroom-session" in str(one.cookies)]


async def test_fifty_passwords_for_one_name(room: Room) -> None:
    """T44: over HTTP to the page: a refusal with Retry-After, a row of the record, and whoever comes
    from another place with the right password is let in meanwhile."""
    await room.users.add("ann", "viewer", password=Secret(GOOD))
    visitor = Visitor(room)
    form = {"csrf": await visitor.token("/sign-in"), "name": "ann"}
    answers = [
        await tried(visitor, "/sign-in", {**form, "password": f"{GOOD} {n}"}, "192.0.2.1")
        for n in range(TRIES)
    ]
    slowed(answers, 12)
    assert {one.status_code for one in answers} == {401, 429}
    assert "Try again in" in answers[-1].text
    right = {**form, "password": GOOD}
    assert (await tried(visitor, "/sign-in", right, "192.0.2.1")).status_code == 429
    assert (await tried(visitor, "/sign-in", right, "192.0.2.2")).status_code == 303
    refused = await room.audit.list(noun="user", action="refuse", limit=500)
    assert {(row["name"], row["detail"]["peer"]) for row in refused} == {("ann", "192.0.2.1")}
    assert 1 < len(refused) <= 13


async def test_fifty_names_from_one_place(room: Room) -> None:
    """T44: names that there are not are counted as those that there are."""
    visitor = Visitor(room)
    form = {"csrf": await visitor.token("/sign-in"), "password": GOOD}
    answers = [
        await tried(visitor, "/sign-in", {**form, "name": f"somebody{n}"}, "192.0.2.1")
        for n in range(TRIES)
    ]
    slowed(answers, 32)


async def test_fifty_proofs_with_a_good_session(room: Room) -> None:
    """T44: whoever found an open browser guesses no password in it."""
    await room.users.add("admin", "admin", password=Secret(GOOD + "admin"))
    visitor = Visitor(room)
    await visitor.sign_in("admin")
    form = {"csrf": await visitor.token("/prove"), "next": "/"}
    answers = [
        await tried(visitor, "/prove", {**form, "password": f"{GOOD} {n}"}, "192.0.2.1")
        for n in range(TRIES)
    ]
    slowed(answers, 12)
    right = {**form, "password": GOOD + "admin"}
    assert (await tried(visitor, "/prove", right, "192.0.2.1")).status_code == 429


async def test_fifty_tokens_that_are_none(client: Client, room: Room) -> None:
    """T44: at the API; the good token of somebody at the same address is heard all the while."""
    wrong = {"authorization": f"Bearer {'prt_' + 'x' * 43}"}
    answers = [
        await client.get("/counts", as_=None, headers=wrong, peer="192.0.2.1") for _ in range(TRIES)
    ]
    slowed(answers, 32)
    assert {one.status_code for one in answers} == {401, 429}
    assert (await client.get("/counts", peer="192.0.2.1")).status_code == 200

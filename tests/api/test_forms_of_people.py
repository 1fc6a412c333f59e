"""What is done with a user by their page: invited, signed out everywhere, granted a credential."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from postroom.secret import Secret
from tests.api.reader import Reader
from tests.web.site import PASSWORD

if TYPE_CHECKING:
    from postroom.app import Room


@pytest.mark.bares("output", why="an invitation is shown this once, to be given to somebody")
async def test_who_has_a_password_is_invited_anew_and_signed_out_everywhere(
    reader: Reader, room: Room
) -> None:
    """The code of the last invitation is the one that is good, and opens with a password of their own."""
    await room.users.add("ann", "operator", password=Secret(PASSWORD))
    theirs = Reader(room)
    await theirs.sign_in("ann")
    await reader.go("/users/ann")
    await reader.press("Sign them out everywhere")
    assert "Sessions ended: 1." in reader.text
    assert "They are not signed in." in reader.text
    await theirs.go("/sources")
    assert theirs.path.startswith("/sign-in")

    await reader.press("Invite anew")
    first = code(reader)
    await reader.go("/users/ann")
    await reader.press("Invite anew")
    other = "another river over a stone"
    for given, good in ((first, False), (code(reader), True)):
        guest = Reader(room)
        await guest.go("/welcome")
        await guest.press("Begin", code=given, password=other, again=other)
        assert (guest.path == "/") == good, guest.text
    told = [one["action"] for one in await room.audit.list(noun="user", name="ann")]
    assert told.count("invite") == 2
    assert told.count("end-sessions") >= 1


def code(reader: Reader) -> str:
    """The code of the invitation that is shown."""
    found = re.search(r"/welcome#(\S+)", reader.text)
    assert found, reader.text
    return found[1]


async def test_a_user_is_let_into_a_restricted_credential_on_their_page_and_out_again(
    reader: Reader, room: Room
) -> None:
    """T27: with the grant it is there, without it there is no such credential."""
    await room.credentials.create("payroll", "secret", description="x")
    await room.grants.restrict("payroll")
    await room.users.add("ann", "operator", password=Secret(PASSWORD))
    theirs = Reader(room)
    await theirs.sign_in("ann")
    await theirs.go("/credentials/payroll")
    assert theirs.status == 404
    await reader.go("/users/ann")
    assert "None. A restricted credential is not there" in reader.text
    await reader.press("Grant", Credential="payroll")
    assert "ann may use payroll." in reader.text
    await theirs.go("/credentials/payroll")
    assert theirs.status == 200
    assert [one["grantee"] for one in await room.grants.list("payroll")] == ["user:ann"]
    await reader.press("Take payroll back")
    assert "ann has no grant of payroll any more." in reader.text
    await theirs.go("/credentials/payroll")
    assert theirs.status == 404
    rows = await room.audit.list(noun="grant", name="payroll")
    assert [one["action"] for one in rows] == ["take", "give", "restrict"]

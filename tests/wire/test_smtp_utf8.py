"""SMTPUTF8 (RFC 6531) on real Postfix: asked for when it is needed, and a clear refusal without."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from postroom.mail.draft import Composed, Draft, compose
from postroom.protocols.base import Envelope, Submission
from postroom.protocols.content import Held
from postroom.protocols.smtp import open_transport
from tests.ground import Ground, User
from tests.ground.faults import Replace, Rule
from tests.ground.proxy import FaultProxy
from tests.wire.outgoing import password, send, states, target

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
WITHOUT = Rule("to_client", Replace(b"XMTPUTF8"), before=b"SMTPUTF8")


def composed(sender: str, **people: Any) -> Composed:
    draft = Draft(from_=sender, subject="Größe", text="Grüße", **people)
    return compose(draft, message_id="<1@ground.test>", date=NOW)


def submission(made: Composed) -> Submission:
    return Submission(
        "1", Envelope(made.sender, made.recipients), Held(made.content), utf8=made.utf8
    )


@pytest.mark.parametrize(
    ("people", "offered", "expected", "said"),
    [
        # an address in a header and in the envelope: everything as UTF-8
        (
            {"to": "grüße@ground.test"},
            True,
            [("accepted", 250, "end-of-data")],
            [b" SMTPUTF8\r\n", "RCPT TO:<grüße@ground.test>\r\n".encode()],
        ),
        # a domain alone goes as A-label and needs nothing
        (
            {"to": "joe@bücher.example"},
            True,
            [("accepted", 250, "end-of-data")],
            [b"RCPT TO:<joe@xn--bcher-kva.example>\r\n"],
        ),
        # not offered: for good, before anything is said
        ({"to": "grüße@ground.test"}, False, [("rejected", 553, "mail")], []),
        # not offered, and in no header: the others go
        (
            {"to": "{user}", "bcc": "grüße@ground.test"},
            False,
            [("accepted", 250, "end-of-data"), ("rejected", 553, "rcpt")],
            [b"DATA\r\n"],
        ),
    ],
    ids=["both", "domain", "refused", "blind copy"],
)
async def test_international_addresses(
    ground: Ground,
    fresh_user: User,
    people: dict[str, str],
    offered: bool,
    expected: list[tuple[str, int, str]],
    said: list[bytes],
) -> None:
    """T73: SMTPUTF8 where it is offered, else a permanent refusal before DATA."""
    wanted = {key: text.replace("{user}", fresh_user.address) for key, text in people.items()}
    rules = [] if offered else [WITHOUT]
    async with FaultProxy(ground.postfix.plain, rules=rules) as proxy:
        there = target(proxy.port, "none", cleartext=True)
        transport = await open_transport(there, password(fresh_user))
        (outcome,) = await send(transport, submission(composed(fresh_user.address, **wanted)))
        await transport.close()
        heard = proxy.transcript.to_server
    assert states(outcome) == expected
    for line in said:
        assert line in heard
    assert (b" SMTPUTF8" in heard) == (said[:1] == [b" SMTPUTF8\r\n"])
    assert (b"MAIL FROM" in heard) == bool(said)

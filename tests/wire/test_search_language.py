"""One small search language, the same answers on every wire: from a server, or looked at here."""

from __future__ import annotations

import contextlib
import email.message
import email.policy

import pytest

from postroom.connections.mailbox import Mailbox
from postroom.errors import PostroomError
from postroom.mail import Message
from tests.wire.test_store_contract import Rig, Spooled, rig

__all__ = ["rig"]


def _message(sender: str, subject: str, text: str, *, attached: str = "") -> bytes:
    made = email.message.EmailMessage(policy=email.policy.SMTP)
    made["From"], made["To"], made["Subject"] = sender, "orders@ground.test", subject
    made["Date"], made["Message-ID"] = (
        "Mon, 05 Jan 2026 10:00:00 +0000",
        f"<{hash(subject)}@g.test>",
    )
    made.set_content(text)
    if attached == "beside":
        made.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="a.pdf")
    if attached == "alone":
        made.set_content(b"%PDF", maintype="application", subtype="pdf", filename="a.pdf")
    return made.as_bytes()


MESSAGES = (
    _message("ann@partner.test", "Order one", "The invoice is not here."),
    _message("bob@partner.test", "Größe", "Shoes.", attached="beside"),
    _message("ann@partner.test", "Order two", "A long one. " * 3000),
    _message("eve@partner.test", "Scan (of or)", "Nothing.", attached="alone"),
)
ONE, SIZE, TWO, SCAN = "Order one", "Größe", "Order two", "Scan (of or)"

Table = tuple[tuple[str, set[str]], ...]
TABLE: Table = (
    ("all", {ONE, SIZE, TWO, SCAN}),
    ("from:ann", {ONE, TWO}),
    ("from:ann subject:one", {ONE}),
    ("from:bob or from:eve", {SIZE, SCAN}),
    ("not from:ann", {SIZE, SCAN}),
    ("not (from:ann or from:eve)", {SIZE}),
    ("from:ann and not subject:two or from:eve", {ONE, SCAN}),
    ("(from:bob or from:ann) not subject:order", {SIZE}),
    ("subject:größe", {SIZE}),
    ("not subject:größe", {ONE, TWO, SCAN}),
    ("subject:größe or subject:two", {SIZE, TWO}),
    ('subject:"(of or)"', {SCAN}),
    ("text:invoice", {ONE}),
    ("text:invoice or from:bob", {ONE, SIZE}),
    ("larger:20KiB", {TWO}),
    ("not larger:20KiB from:ann", {ONE}),
    ("has:attachment", {SIZE, SCAN}),
    ("has:attachment not from:eve", {SIZE}),
    ("not (has:attachment or larger:20KiB)", {ONE}),
    ("before:2001-01-01", set()),
    ("since:2001-01-01 subject:one", {ONE}),
)
FLAGS: Table = (
    ("unseen", {ONE, TWO, SCAN}),
    ("flagged or seen", {SIZE, SCAN}),
    ("not flagged not seen", {ONE, TWO}),
    ("flagged has:attachment", {SCAN}),
    ("seen or subject:größe", {SIZE}),
)


async def test_every_search_finds_the_same_on_every_wire(rig: Rig) -> None:
    rig.fill(list(MESSAGES))
    async with Mailbox(await rig.open(), Spooled) as mailbox:
        ids = {Message(one.headers).subject: one.id for one in await mailbox.list()}
        table = TABLE
        if rig.kind != "pop3":
            await mailbox.flag([ids[SIZE]], add=["seen"])
            await mailbox.flag([ids[SCAN]], add=["flagged"])
            table += FLAGS
        for text, subjects in table:
            found = await mailbox.search(text)
            assert {Message(one.headers).subject for one in found} == subjects, text


async def test_flags_where_there_are_none_are_refused(rig: Rig) -> None:
    async with Mailbox(await rig.open(), Spooled) as mailbox:
        refused = pytest.raises(PostroomError, match="has no flags") if rig.kind == "pop3" else None
        with refused or contextlib.nullcontext():
            await mailbox.search("from:ann or not seen")

"""Which messages a machine may answer (RFC 3834), and how its answer is marked."""

from __future__ import annotations

import datetime as dt

import pytest

from postroom.mail import (
    MARKS,
    Message,
    answered_to,
    as_automatic,
    compose,
    reply,
    why_not_answer,
)

OWN = ["Orders@acme.example"]
ORDER = {
    "Return-Path": "<ann@customer.example>",
    "From": "Ann <ann@customer.example>",
    "To": "orders@acme.example",
    "Subject": "Order 7",
    "Message-ID": "<7@customer.example>",
}


def message(**fields: str | None) -> Message:
    """An order of a customer, with other fields; None: without that one."""
    whole = {**ORDER, **{name.replace("_", "-"): value for name, value in fields.items()}}
    lines = [f"{name}: {value}\r\n" for name, value in whole.items() if value is not None]
    return Message("".join([*lines, "\r\nHello\r\n"]).encode())


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"Auto_Submitted": "no"},
        {"Auto_Submitted": "No (a person)"},
        {"Precedence": "first-class"},
        {"X_Auto_Response_Suppress": "DR, RN"},
        {"Return_Path": None},
        {"Return_Path": "ann@customer.example"},
        {"To": "somebody@acme.example", "Cc": "Orders <ORDERS@Acme.Example>"},
        {"To": "orders+new@acme.example"},
        {"From": "reply@customer.example"},
        {"List": "of things that I want"},
    ],
)
def test_what_a_person_has_sent_is_answered(fields: dict[str, str | None]) -> None:
    assert why_not_answer(message(**fields), OWN) == ""


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        (
            {"Auto_Submitted": "auto-replied"},
            "a machine has sent it (Auto-Submitted: auto-replied)",
        ),
        ({"Auto_Submitted": "AUTO-generated; type=x"}, "a machine has sent it"),
        ({"Auto_Submitted": "(why) auto-notified"}, "a machine has sent it"),
        ({"Auto_Submitted": "garbage"}, "a machine has sent it"),
        ({"Precedence": "Bulk"}, "it went to many (Precedence: bulk)"),
        ({"Precedence": "list"}, "it went to many"),
        ({"Precedence": "junk"}, "it went to many"),
        ({"List_Id": "<news.shop.example>"}, "it came by a list (List-Id)"),
        ({"List_Unsubscribe": "<mailto:x@y.example>"}, "it came by a list"),
        ({"List_Help": "x"}, "it came by a list"),
        ({"X_Auto_Response_Suppress": "OOF, AutoReply"}, "its sender wants no automatic answer"),
        ({"X_Auto_Response_Suppress": "all"}, "its sender wants no automatic answer"),
        ({"Return_Path": "<>"}, "its return path is empty"),
        ({"Return_Path": "garbage"}, "its return path is empty"),
        ({"Content_Type": "multipart/report; report-type=delivery-status"}, "it is a report"),
        (
            {"Content_Type": "multipart/report; report-type=disposition-notification"},
            "it is a report",
        ),
        ({"From": "orders@acme.example"}, "it comes from the same mailbox"),
        ({"Return_Path": "<orders+x@ACME.example>"}, "it comes from the same mailbox"),
        ({"Sender": "orders@acme.example"}, "it comes from the same mailbox"),
        ({"From": "MAILER-DAEMON@relay.example"}, "is the address of a machine"),
        ({"Return_Path": "<news-bounces@shop.example>"}, "is the address of a machine"),
        ({"Return_Path": "<bounces+71-ann=x@shop.example>"}, "is the address of a machine"),
        ({"From": "No-Reply <noreply@shop.example>"}, "is the address of a machine"),
        ({"From": "do_not_reply@shop.example"}, "is the address of a machine"),
        ({"From": "owner-news@shop.example"}, "is the address of a machine"),
        ({"From": "news-request@shop.example"}, "is the address of a machine"),
        ({"To": "undisclosed-recipients:;"}, "it is not addressed to this mailbox by name"),
        ({"To": None}, "it is not addressed to this mailbox by name"),
        ({"From": None, "Return_Path": None}, "it names nobody who could be answered"),
    ],
)
def test_what_a_machine_may_not_answer(fields: dict[str, str | None], why: str) -> None:
    assert why in why_not_answer(message(**fields), OWN)


def test_the_second_of_two_fields_counts() -> None:
    """A forger writes "no" in front."""
    raw = b"Auto-Submitted: no\r\nAuto-Submitted: auto-replied\r\n" + message().raw
    assert "a machine has sent it" in why_not_answer(Message(raw), OWN)


@pytest.mark.parametrize(
    ("fields", "to"),
    [
        ({}, "ann@customer.example"),
        ({"Return_Path": "<other@x.example>", "Reply_To": "victim@y.example"}, "other@x.example"),
        ({"Return_Path": "<@a.example,@b.example:ann@x.example>"}, "ann@x.example"),
        ({"Return_Path": None, "Reply_To": "victim@y.example"}, "ann@customer.example"),
        ({"Return_Path": "<>"}, ""),
    ],
)
def test_it_goes_to_the_return_path_and_to_nobody_else(
    fields: dict[str, str | None], to: str
) -> None:
    """RFC 3834, 4: what stands in Reply-To may be anybody's address."""
    assert answered_to(message(**fields)) == to


def test_an_answer_says_that_a_machine_has_sent_it() -> None:
    """And is one that nobody of us would answer."""
    asked = message(Reply_To="victim@y.example", Cc="more@y.example")
    draft = reply(asked, from_="orders@acme.example", text="We have it.", to_all=True)
    made = compose(
        as_automatic(draft, asked),
        message_id="<1@acme.example>",
        date=dt.datetime(2027, 1, 31, tzinfo=dt.UTC),
    )
    assert made.recipients == ("ann@customer.example",)
    assert made.sender == "orders@acme.example"
    answer = Message(made.content)
    assert (answer.subject, answer.in_reply_to) == ("Auto: Order 7", "<7@customer.example>")
    for name, value in MARKS.items():
        assert answer.header(name) == value
    assert "a machine has sent it" in why_not_answer(answer, ["ann@customer.example"])


def test_a_message_of_any_bytes_is_decided_on() -> None:
    """T75: hostile headers end in a decision, not in an error."""
    for raw in (
        b"",
        b"\xff" * 5000,
        b"From: \xff<\x00@>\r\nReturn-Path: " + b"<" * 20_000 + b"\r\n\r\n",
        b"Auto-Submitted: " + b"(" * 20_000 + b"\r\n\r\n",
        b"Precedence:\r\nList-\xff: x\r\n\r\n",
    ):
        assert isinstance(why_not_answer(Message(raw), OWN), str)

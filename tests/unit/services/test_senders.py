"""Who a message may be from (DESIGN 4.4)."""

from __future__ import annotations

import pytest

from postroom.errors import PostroomError
from postroom.services.senders import Sender, choose_sender

OWN = "orders@acme.example"


@pytest.mark.parametrize(
    ("wanted", "own", "allowed", "signs_in", "chosen"),
    [
        # nothing wanted: the account's own address
        ("", OWN, [], True, Sender(OWN)),
        ("", OWN, ["other@acme.example"], True, Sender(OWN)),
        # the own address, in any case, with a name
        (OWN, OWN, [], True, Sender(OWN)),
        ("Orders <ORDERS@Acme.Example>", OWN, [], True, Sender("Orders <ORDERS@Acme.Example>")),
        # what is allowed: the own address stays the envelope sender and Sender
        ("a@acme.example", OWN, ["a@acme.example"], True, Sender("a@acme.example", OWN)),
        ("a@acme.example", OWN, ["*@ACME.example"], True, Sender("a@acme.example", OWN)),
        ("a@acme.example", "", ["*@acme.example"], True, Sender("a@acme.example")),
        # a relay without sign-in knows no account
        ("anyone@else.example", "", [], False, Sender("anyone@else.example")),
        ("anyone@else.example", OWN, [], False, Sender("anyone@else.example", OWN)),
        ("a@acme.example", "", ["a@acme.example"], False, Sender("a@acme.example")),
        # refused
        ("anyone@else.example", OWN, [], True, "sender_not_allowed"),
        ("anyone@else.example", OWN, ["*@acme.example"], True, "sender_not_allowed"),
        ("x@sub.acme.example", OWN, ["*@acme.example"], True, "sender_not_allowed"),
        ("x@evilacme.example", OWN, ["*@acme.example"], True, "sender_not_allowed"),
        ("anyone@else.example", "", ["a@acme.example"], False, "sender_not_allowed"),
        ("anyone@else.example", "", [], True, "sender_not_allowed"),
        # letters that only fold into each other are another mailbox, another domain
        ("u@straße.example", "u@strasse.example", [], True, "sender_not_allowed"),
        ("u@straße.example", "", ["*@strasse.example"], True, "sender_not_allowed"),
        ("\u017fam@acme.example", "sam@acme.example", [], True, "sender_not_allowed"),
        ("\u212aim@acme.example", "", ["kim@acme.example"], True, "sender_not_allowed"),
        # one domain in its two spellings
        ("u@BÜCHER.example", "u@xn--bcher-kva.example", [], True, Sender("u@BÜCHER.example")),
        (
            "u@xn--bcher-kva.example",
            "",
            ["*@bücher.example"],
            True,
            Sender("u@xn--bcher-kva.example"),
        ),
        ("", "", [], True, "invalid_value"),
        ("", "", [], False, "invalid_value"),
    ],
)
def test_who_may_send_as_whom(
    wanted: str, own: str, allowed: list[str], signs_in: bool, chosen: Sender | str
) -> None:
    """A sender outside the list is refused before anything is stored, with the way to allow it."""
    bare = wanted.rpartition("<")[2].rstrip(">")
    if isinstance(chosen, Sender):
        found = choose_sender(wanted, bare, own=own, allowed=allowed, signs_in=signs_in, via="out")
        assert found == chosen
        return
    with pytest.raises(PostroomError) as refused:
        choose_sender(wanted, bare, own=own, allowed=allowed, signs_in=signs_in, via="out")
    assert refused.value.code == chosen
    if chosen == "sender_not_allowed":
        assert bare in str(refused.value)
        assert "postroom service set out --allowed-senders " in refused.value.hint
        assert refused.value.hint.rstrip("'").endswith(",".join([*allowed, bare]))

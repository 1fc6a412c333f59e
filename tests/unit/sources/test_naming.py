"""What a message is called: names for people, and safe places below a sink's directory."""

from __future__ import annotations

import pytest

from postroom.errors import InvalidValue, WrongUse
from postroom.macros import Scope, Template, prepare
from postroom.sources.naming import Told, display_name, place_of
from postroom.sources.source import NAME_TEMPLATE

SCOPE = Scope(variables={"ROOT": "/srv/mail", "TRAP": "${mail:subject}"})
TOLD = Told("INBOX", "Ada <ada@partner.example>", "Order 7/8", 1_767_225_600.0, 1_767_312_000.0)


def template(text: str) -> Template:
    return prepare(text, SCOPE, name="here")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (
            NAME_TEMPLATE,
            "Order 7/8 (from: ada@partner.example, received: 2026-01-01T00:00:00Z)",
        ),
        ("${mail:folder}: ${mail:subject}", "INBOX: Order 7/8"),
        ("seen ${date:%Y-%m-%d}", "seen 2026-01-02"),
        ("${ROOT} $${x}", "/srv/mail ${x}"),
        ("plain", "plain"),
    ],
)
def test_the_name(text: str, name: str) -> None:
    """Facts of the message as they are; the date is when it was first seen."""
    assert display_name(template(text), TOLD) == name


@pytest.mark.parametrize(
    ("path", "root", "below"),
    [
        ("${ROOT}/orders", "/srv/mail/orders", ""),
        ("${ROOT}/${mail:from}", "/srv/mail", "ada@partner.example"),
        ("/o/${date:%Y/%m}/x", "/o", "2026/01/x"),
        ("/o/from-${mail:from}/${mail:subject}", "/o", "from-ada@partner.example/Order 7_8"),
        ("/o/${mail:received}", "/o", "2026-01-01T00_00_00Z"),
        ("/${mail:folder}", "/", "INBOX"),
        ("/o/${mail:folder}/../../x", "/o", "INBOX/folder/folder/x"),
    ],
)
def test_the_place(path: str, root: str, below: str) -> None:
    """What is the same for every message is the sink's directory; the rest lies below it."""
    fixed, rest = template(path).split()
    assert (fixed, place_of(rest, TOLD)) == (root, below)


@pytest.mark.parametrize(
    "subject",
    [
        "../../etc",
        "..",
        "/etc/passwd",
        "a/../b",
        "${ROOT}",
        "${mail:from}",
        "con",
        "x" * 5000,
        "\0",
    ],
)
def test_what_strangers_write_stays_one_safe_level(subject: str) -> None:
    """Received text makes one name, never a path, and is never looked into for macros."""
    _, rest = template("/o/${mail:subject}/in").split()
    level, last = place_of(rest, TOLD._replace(subject=subject)).split("/")
    assert last == "in"
    assert level not in ("", ".", "..")
    assert len(level.encode()) <= 200
    assert "partner" not in level


def test_received_text_and_variables_are_never_expanded_again() -> None:
    """One pass: neither the subject nor a variable's value is a template."""
    told = TOLD._replace(subject="${ROOT} ${mail:from}")
    assert display_name(template("${mail:subject}"), told) == "${ROOT} ${mail:from}"
    assert display_name(template("${TRAP}"), TOLD) == "${mail:subject}"


def test_a_message_that_says_nothing_has_a_place() -> None:
    """No subject, no sender, no date: still one level each."""
    bare = Told("INBOX", "", "", None, 0.0)
    _, rest = template("/o/${mail:subject}/${mail:from}/${mail:received}").split()
    assert place_of(rest, bare) == "no-subject/no-from/no-received"


@pytest.mark.parametrize(
    ("text", "error", "sentence"),
    [
        ("${mail:body}", WrongUse, "no macro 'body'"),
        ("${NOWHERE}", WrongUse, "no variable 'NOWHERE'"),
        ("${sec:x}", InvalidValue, "no kind of macro"),
        ("${date:%Q}", InvalidValue, "takes"),
    ],
)
def test_mistakes_are_found_when_it_is_saved(
    text: str, error: type[Exception], sentence: str
) -> None:
    """Not when the first message comes."""
    with pytest.raises(error, match=sentence):
        template(text)

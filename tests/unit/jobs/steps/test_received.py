"""What was received is one name of a path and one text of a search, whatever is in it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.connections.criteria import Both, Term, parse_criteria
from postroom.errors import InvalidValue
from postroom.jobs.commands import ListEmail, SaveAttachments, SendEmail
from postroom.jobs.prepared import prepare
from postroom.jobs.values import Scope
from tests.unit.jobs.steps.commands import steps_of


def made(item: Any, command: str, **parameters: Any) -> Any:
    """The command that a step makes of an item."""
    [step] = prepare(steps_of({command: {"via": "acme", **parameters}, "for_each": [item]}))
    scope = Scope(parameters={"p": item}, message={"subject": item}, item=item)
    return step.made(step.values(scope))


@pytest.mark.parametrize(
    ("text", "received", "expected"),
    [
        ("invoices/${item}", "acme", "invoices/acme"),
        ("invoices/${item}", "../../etc", "invoices/_.._etc"),
        ("invoices/${message:subject}", "/etc/passwd", "invoices/_etc_passwd"),
        ("${item}", "/etc", "_etc"),
        ("a/${item}/b", "..", "a/file/b"),
        ("${param:p}", "/srv/in", "/srv/in"),  # said by whoever may begin the job
    ],
)
def test_no_address_is_a_directory_above(text: str, received: str, expected: str) -> None:
    """T40: what was received is one name of a path, and leaves no directory."""
    command = made(received, "save-attachments", ids=["1"], to=text)
    assert isinstance(command, SaveAttachments)
    assert command.to == expected


def test_a_file_that_a_step_gave_is_attached_as_it_is() -> None:
    command = made("out/a.pdf", "send-email", attachments=["${item}", "out/${item}"])
    assert isinstance(command, SendEmail)
    assert command.attachments == ["out/a.pdf", "out/out_a.pdf"]


@pytest.mark.parametrize(
    "text", ["from:${item}", "unseen from:${item}", "unseen (from:${item})", "unseen from:'${item}'",
             'unseen from:"${item}"', "from:x${item}", "subject:'a b' from:${message:subject}"]
)  # fmt: skip
@given(
    received=st.text(alphabet="ab \"'():\n\0", min_size=1, max_size=10) | st.just('x" or all or "')
)
def test_no_subject_is_a_condition_of_a_search(text: str, received: str) -> None:
    """T40: what was received is one text of a search, and joins nothing."""
    command = made(received, "list-email", search=text)
    assert isinstance(command, ListEmail)
    harmless = made("y", "list-email", search=text)
    assert _shape(command.search) == _shape(harmless.search)


def _shape(search: str) -> list[str]:
    node = parse_criteria(search).node
    parts = node.parts if isinstance(node, Both) else (node,)
    assert all(isinstance(one, Term) for one in parts)
    return [one.key for one in parts if isinstance(one, Term)]


@pytest.mark.parametrize("text", ["${item}", "unseen ${item}", "'${item}'", "from:x ${item}"])
def test_what_was_received_is_no_word_of_a_search(text: str) -> None:
    """T40: else a subject that says ``all`` would list all."""
    with pytest.raises(InvalidValue, match=r"steps\.0\.list-email\.search: .* from:"):
        made("all", "list-email", search=text)
    with pytest.raises(InvalidValue, match="say of what it is the text"):
        made({"a": "x or all"}, "list-email", search="${item}")

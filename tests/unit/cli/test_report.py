"""How the test of a connection reads."""

from __future__ import annotations

import pytest

from postroom.cli.report import show_report
from postroom.connections.advice import Advice
from postroom.connections.report import Report, SideReport
from postroom.errors import InvalidValue, PostroomError, Refused


@pytest.mark.parametrize(
    ("error", "advice", "told"),
    [
        (Refused("No."), Advice(""), ""),
        (Refused("No.", hint="Ask again."), Advice(""), "What to do: Ask again."),
        (InvalidValue("user", "No."), None, ""),
        (Refused("No."), Advice("Do it.", ("postroom x",)), "What to do: Do it."),
    ],
)
def test_where_nothing_is_to_be_done_nothing_is_said(
    capsys: pytest.CaptureFixture[str], error: PostroomError, advice: Advice | None, told: str
) -> None:
    show_report(Report("connection", "acme", [SideReport("incoming", error=error, advice=advice)]))
    seen = capsys.readouterr().out
    assert told in seen
    assert ("What to do" in seen) is bool(told)

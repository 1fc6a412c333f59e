"""How the detail of an audit row reads."""

from __future__ import annotations

from typing import Any

import pytest

from postroom.cli.audit import _detail

ROWS: list[tuple[dict[str, Any], str]] = [
    (
        {"id": "ab", "line": "imap://h:993;security=tls;proxy=none", "purpose": "open the incoming "
         "side of connection acme", "version": 2},
        "open the incoming side of connection acme, imap://h:993, version 2",
    ),
    ({"accepted": 2, "version": 2, "id": "ab"}, "version 2"),
    ({"why": "the disk broke"}, "why the disk broke"),
    ({}, ""),
]  # fmt: skip


@pytest.mark.parametrize(("detail", "told"), ROWS)
def test_the_detail_begins_with_what_a_person_asks_for(detail: dict[str, Any], told: str) -> None:
    assert _detail(detail) == told

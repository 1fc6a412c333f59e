"""Answers of Graph that are not what its description says: each an error of ours, none a mistake."""

from __future__ import annotations

from typing import Any

import pytest

from postroom.errors import ProtocolError
from postroom.protocols.graph.cursors import leaf_of
from postroom.protocols.graph.described import flags_of, summary_of
from postroom.protocols.graph.requests import id_of, rows_of
from postroom.protocols.graph.session import known_of

__all__: list[str] = []

NO_ROWS: list[Any] = [None, "row", 7, [], {}, {"id": None}, {"id": 7}, {"id": ""}]


@pytest.mark.parametrize("row", NO_ROWS)
def test_what_has_no_id_is_no_message_and_no_folder(row: Any) -> None:
    pages: list[dict[str, Any]] = [{"value": [{"id": "a"}, row], "@odata.deltaLink": "https://x"}]
    with pytest.raises(ProtocolError):
        id_of(row)
    with pytest.raises(ProtocolError):
        rows_of(pages[0])
    with pytest.raises(ProtocolError):
        leaf_of(pages[0])
    if isinstance(row, dict):
        with pytest.raises(ProtocolError):
            summary_of(row)
        with pytest.raises(ProtocolError):
            known_of({"displayName": "x", **row})


@pytest.mark.parametrize("said", [{}, {"value": None}, {"value": {}}, {"value": "x"}])
def test_a_page_without_rows_is_no_page(said: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError):
        rows_of(said)


@pytest.mark.parametrize(
    "more",
    [
        {"from": "ann"}, {"from": {"emailAddress": "ann"}}, {"toRecipients": 7},
        {"toRecipients": ["ann"]}, {"toRecipients": [{"emailAddress": {"address": 7}}]},
    ],
)  # fmt: skip
def test_people_of_another_shape_are_an_error_of_ours(more: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError):
        summary_of({"id": "a", **more}, ("from", "to"))


@pytest.mark.parametrize("odd", [7, "x", [], {}, None])
def test_odd_flags_are_no_flags(odd: Any) -> None:
    assert flags_of({"id": "a", "flag": odd}) == frozenset()
    assert flags_of({"id": "a", "categories": odd or []}) == frozenset()

"""The rotation of the vault key by command line."""

from __future__ import annotations

import json

import pytest

from tests.journeys.conftest import Cli


def test_rotation_by_command_line_says_what_it_did(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VALUE", "a secret of acme")
    assert cli("credential", "add", "acme", "--type", "secret",
               "--value-from-env", "VALUE").status == 0  # fmt: skip
    told = cli("keys", "rotate")
    assert told.status == 0
    assert told.out == (
        "The vault key is new. Term 2 is active; 3 data keys were wrapped anew. "
        "Term 1 is destroyed.\n"
    )
    again = cli("keys", "rotate", "--json")
    assert again.json == {
        "v": 1, "term": 3, "resumed": False, "rewrapped": 3, "destroyed": [2], "kept": [],
        "damaged": 0,
    }  # fmt: skip
    done = json.loads(cli("audit", "list", "--noun", "keys", "--json").out)["items"]
    assert [row["action"] for row in done] == ["destroy", "rotate"] * 2

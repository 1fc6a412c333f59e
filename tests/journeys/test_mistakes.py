"""Mistakes of our own: a sentence, what to do next, and where it happened only when it is asked for."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from postroom.log import log_to, logger
from postroom.secret import Secret
from tests.journeys.conftest import Cli


@pytest.fixture
def broken(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """A verb with a mistake in it, which repeats a secret that is open."""
    password = Secret("canary-of-the-mistake")

    async def list_(self: Any) -> None:
        raise LookupError(password.reveal())

    monkeypatch.setattr("postroom.operations.sources.Sources.list", list_)
    return cli


def test_a_mistake_of_ours_is_a_sentence(broken: Cli) -> None:
    """What happened, what to do, exit status 1; no page of code, and no secret."""
    answer = broken("source", "list")
    first, second = answer.err.splitlines()
    assert (answer.status, answer.out) == (1, "")
    assert first.startswith("postroom: This is a mistake of Postroom: LookupError: ")
    assert "with --verbose" in second
    assert "canary-of" not in answer.err


def test_with_verbose_it_says_where(broken: Cli) -> None:
    """For the report; still without a secret."""
    answer = broken("source", "list", "--verbose")
    assert "Traceback" in answer.err
    assert "in list_" in answer.err
    assert answer.err.splitlines()[-1].strip().startswith("Report the lines above")
    assert "canary-of" not in answer.err


def test_with_json_it_is_a_document(broken: Cli) -> None:
    """As every error is."""
    answer = broken("source", "list", "--json")
    assert (answer.status, answer.json["code"], answer.err) == (1, "mistake", "")
    assert "This is a mistake of Postroom" in answer.json["error"]
    assert "with --verbose" in answer.json["hint"]
    assert "canary-of" not in answer.out


@pytest.mark.bares(
    "log", why="the exception repeats it; what is written of the record is looked at"
)
def test_the_log_says_where_too() -> None:
    """A worker goes on after a mistake: what it logs is all there is for the report."""
    password = Secret("canary-of-the-mistake")
    stream = io.StringIO()
    log_to(stream)
    try:
        raise LookupError(password.reveal())
    except LookupError:
        logger("worker").exception("source %s ended", "orders-in")
    told = json.loads(stream.getvalue())
    assert "test_the_log_says_where_too" in told["trace"]
    assert told["event"].startswith("source orders-in ended (LookupError: ")
    assert "canary-of" not in stream.getvalue()

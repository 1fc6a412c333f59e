"""Settings that cannot be meant: refused with what is wrong and what would do; and those left alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.journeys.conftest import Cli


@pytest.fixture
def acme(cli: Cli, tmp_path: Path) -> Cli:
    """A connection, the source ``orders-in`` and the service ``orders-out``, all by their defaults."""
    for words in (
        ("connection", "add", "acme", "--set", "incoming.protocol=imap", "--set",
         "incoming.host=127.0.0.1", "--set", "outgoing.protocol=smtp", "--set",
         "outgoing.host=127.0.0.1"),
        ("source", "add", "orders-in", "--connection", "acme", "--set", "sink.type=directory",
         "--set", f"sink.path={tmp_path / 'orders'}"),
        ("service", "add", "orders-out", "--connection", "acme"),
    ):  # fmt: skip
        answer = cli(*words)
        assert answer.status == 0, answer.err
    return cli


@pytest.mark.parametrize(
    ("noun", "setting", "told"),
    [
        ("service", "retry.min=2h", "retry.max: 1h is shorter than min, which is 2h"),
        ("service", "retry.max=30s", "retry.max: 30s is shorter than min, which is 1m"),
        ("source", "backoff.min=5m", "backoff.max: 1m is shorter than min, which is 5m"),
        ("source", "failure={retry: {min: 1h}}",
         "failure.retry.max_wait: 150s is shorter than min, which is 1h"),
        ("source", "throttle=5/minut",
         "throttle: give a group of fields, such as {max: 5, per: minute}; per is second or minute or "
         "hour"),
        ("service", "retry=5", "retry: give a group of fields, such as {min: 1m, max: 1h, for: 5d}"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(acme: Cli, noun: str, setting: str, told: str) -> None:
    name = {"service": "orders-out", "source": "orders-in"}[noun]
    refused = acme(noun, "set", name, "--set", setting)
    assert refused.status == 2
    assert told in " ".join(refused.err.split())


def test_an_export_says_only_what_somebody_said(acme: Cli) -> None:
    """Whoever reads it sees what was decided; a default that changes later changes for the room."""
    whole = yaml.safe_load(acme("export").out)
    assert set(whole["sources"][0]) == {"name", "connection", "sink"}
    assert set(whole["services"][0]) == {"name", "connection"}
    told = acme("source", "set", "orders-in", "--set", "polling_timeout=2m", "--set",
                "stable_time=0s", "--set", "backoff={min: 5s, max: 1m}")  # fmt: skip
    assert told.status == 0, told.err
    [source] = yaml.safe_load(acme("export").out)["sources"]
    assert source["polling_timeout"] == "2m"
    assert "stable_time" not in source
    assert source["backoff"] == {"min": "5s"}


def test_a_sink_inside_the_room_is_refused(acme: Cli, tmp_path: Path) -> None:
    """Its messages would lie among the room's own files, also by way of a link or a variable."""
    room = acme.settings.room
    (tmp_path / "link").symlink_to(room)
    assert acme("variable", "set", "R", room.name).status == 0
    for path in (
        room / "sink",
        room,
        room / "x" / ".." / "y",
        tmp_path / "link" / "z",
        tmp_path / "${R}" / "sink",
    ):
        refused = acme("source", "set", "orders-in", "--set", f"sink.path={path}")
        assert refused.status == 2, path
        assert "lies inside the room" in " ".join(refused.err.split())
        assert "Choose a directory outside of it" in refused.err
    beside = acme("source", "set", "orders-in", "--set", f"sink.path={room}-sink")
    assert beside.status == 0, beside.err


def test_the_second_source_that_would_move_is_told_the_way_on(acme: Cli, tmp_path: Path) -> None:
    assert acme("source", "set", "orders-in", "--set", "folders.done=Done").status == 0
    other = ("source", "add", "s4", "--connection", "acme", "--set", "sink.type=directory",
             "--set", f"sink.path={tmp_path / 'other'}", "--set", "folders.done=Else")  # fmt: skip
    refused = acme(*other)
    assert refused.status == 2
    told = " ".join(refused.err.split())
    assert "Use --set after.done=keep, or let the other: " in told
    assert "postroom source set orders-in --set after.done=keep" in told
    assert acme(*other, "--set", "after.done=keep").status == 0


def test_releasing_nothing_says_so(acme: Cli) -> None:
    none = acme("source", "release", "orders-in")
    assert (none.status, none.out) == (0, "Nothing is held by source orders-in.\n")
    assert acme("source", "release", "orders-in", "--json").json["released"] == 0
    assert "None of these is held" in acme("source", "release", "orders-in", "7").out


def test_a_credential_without_a_server_is_tested_by_what_uses_it(
    acme: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PW", "correct-horse-battery")
    assert acme("credential", "add", "login", "--type", "password", "--user-name", "u",
                "--password-from-env", "PW").status == 0  # fmt: skip
    assert "No connection uses it yet" in acme("credential", "test", "login").err
    auth = "incoming.auth={type: secret, credential: login}"
    assert acme("connection", "set", "acme", "--set", auth).status == 0
    assert "postroom connection test acme\n" in acme("credential", "test", "login").err


def test_a_sink_may_begin_with_a_variable(acme: Cli, tmp_path: Path) -> None:
    """What it stands for is absolute, whatever directory the command is called in."""
    assert acme("variable", "set", "BASE", str(tmp_path / "base")).status == 0
    assert acme("source", "set", "orders-in", "--set", "sink.path=${BASE}/in").status == 0
    assert acme("source", "show", "orders-in", "--json").json["sink"]["path"] == "${BASE}/in"
    file = tmp_path / "room.yaml"
    file.write_text(
        "postroom: 1\nsources:\n  - {name: orders-in, connection: acme,\n"
        "     sink: {type: directory, path: '${BASE}/in'}}\n"
    )
    assert "Nothing to change." in acme("apply", str(file)).out
    assert acme("variable", "set", "HERE", "below").status == 0
    refused = acme("source", "set", "orders-in", "--set", "sink.path=${HERE}/in")
    assert refused.status == 2
    assert "${HERE}/in stands for below/in, which begins nowhere" in refused.err

"""When a source looks: push, a fixed rate, a cron table in a time zone; and how it backs off."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from postroom.errors import PostroomError
from postroom.sources.source import PUSH_POLL, Backoff, Schedule
from postroom.sources.watcher import wait_after
from tests.unit.sources.definitions import source_of


def instant(text: str) -> float:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC).timestamp()


def schedule(**fields: Any) -> Schedule:
    return source_of(schedule=fields).schedule


def test_push_is_the_default_and_polls_where_the_server_cannot() -> None:
    """Without a schedule the server pushes; the poll behind it comes after a minute."""
    assert source_of().schedule.push
    assert source_of().schedule.after(1000.0) == 1000.0 + PUSH_POLL


def test_a_fixed_rate() -> None:
    """``every`` counts from the look before."""
    assert schedule(every="90s").after(1000.0) == 1090.0


@pytest.mark.parametrize(
    ("cron", "zone", "now", "following"),
    [
        ("*/5 * * * *", "UTC", "2026-01-01T00:00:30", ["2026-01-01T00:05", "2026-01-01T00:10"]),
        ("0 9 * * *", "Europe/Berlin", "2026-01-15T12:00", ["2026-01-16T08:00"]),
        ("0 9 * * *", "Europe/Berlin", "2026-07-15T12:00", ["2026-07-16T07:00"]),
        ("0 9 * * *", "America/New_York", "2026-01-15T13:59", ["2026-01-15T14:00"]),
        # 29 March 2026, 02:00 to 03:00 is not there in Berlin: the job of 02:30 runs once, at 03:00
        (
            "30 2 * * *",
            "Europe/Berlin",
            "2026-03-28T02:00",
            ["2026-03-29T01:00", "2026-03-30T00:30"],
        ),
        # 25 October 2026, 02:00 to 03:00 is there twice: a daily job runs once, not twice
        (
            "30 2 * * *",
            "Europe/Berlin",
            "2026-10-24T12:00",
            ["2026-10-25T00:30", "2026-10-26T01:30"],
        ),
        # while a job of every half hour goes on at its pace through both
        (
            "*/30 * * * *",
            "Europe/Berlin",
            "2026-10-24T23:59",
            ["2026-10-25T00:00", "2026-10-25T00:30", "2026-10-25T01:00", "2026-10-25T01:30"],
        ),
        ("0 0 29 2 *", "UTC", "2026-01-01T00:00", ["2028-02-29T00:00"]),
        ("0 8 * * MON-FRI", "UTC", "2026-01-02T09:00", ["2026-01-05T08:00"]),
    ],
)
def test_cron_in_a_time_zone(cron: str, zone: str, now: str, following: list[str]) -> None:
    """Cron means the wall clock of its zone, at a change of daylight saving time too."""
    made, at = schedule(cron=cron, timezone=zone), instant(now)
    for expected in following:
        at = made.after(at)
        assert dt.datetime.fromtimestamp(at, dt.UTC).isoformat()[:16] == expected


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"push": True, "every": "60s"},
        {"every": "60s", "cron": "* * * * *"},
        {"every": "100ms"},
        {"every": 60},
        {"cron": "every day"},
        {"cron": "61 * * * *"},
        {"cron": "0 0 30 2 *"},  # there is no 30 February
        {"cron": "* * * * *", "timezone": "Mars/Olympus"},
        {"cron": "* * * * *", "timezone": "../../etc/passwd"},
        {"cron": "* * * * *", "timezone": "Europe"},
        {"cron": "* * * * *", "timezone": ""},
    ],
)
def test_a_schedule_that_never_comes_is_refused(fields: dict[str, Any]) -> None:
    """What cannot be a schedule is refused with a sentence when it is saved."""
    with pytest.raises(PostroomError, match="schedule"):
        schedule(**fields)


def test_waits_double_from_the_first_to_the_longest() -> None:
    """After failures of the connection: 15, 30, 60, 60 ... seconds, for ever if need be."""
    backoff = Backoff()
    assert [wait_after(backoff, n) for n in (1, 2, 3, 4, 5000)] == [15.0, 30.0, 60.0, 60.0, 60.0]
    slow = source_of(backoff={"min": "1m", "max": "1h"}).backoff
    assert [wait_after(slow, n) for n in (1, 2, 7, 8)] == [60.0, 120.0, 3600.0, 3600.0]

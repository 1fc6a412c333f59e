"""What is decided about a message before it is read: filters, start date, size, clearance."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from postroom.clock import timestamp
from postroom.errors import PostroomError
from postroom.sources.verdict import (
    Earlier,
    Facts,
    Verdict,
    again,
    chosen_attachments,
    judge,
    needs_headers,
    retry_after,
    returned,
)
from tests.unit.sources.definitions import source_of

NOON = dt.datetime(2026, 3, 10, 12, tzinfo=dt.UTC).timestamp()
ORDER = Facts("Ada <ada@partner.example>", "Order 4711", 2_000, NOON)
DENY_SPAM = {"subject": {"deny": ["spam"]}}
ONLY_PARTNER = {"from": {"allow": ["@partner\\.example"]}}


@pytest.mark.parametrize(
    ("fields", "facts", "state", "reason"),
    [
        ({}, ORDER, "pending", ""),
        # deny
        ({"ignore": DENY_SPAM}, ORDER, "pending", ""),
        ({"ignore": DENY_SPAM}, ORDER._replace(subject="SPAM!"), "ignored", "Subject matches the"),
        ({"ignore": {"from": {"deny": ["ada@"]}}}, ORDER, "ignored", "From matches the deny rule"),
        # allow
        ({"ignore": ONLY_PARTNER}, ORDER, "pending", ""),
        ({"ignore": ONLY_PARTNER}, ORDER._replace(sender="x@y.example"), "ignored", "no allow"),
        ({"ignore": ONLY_PARTNER}, ORDER._replace(sender=""), "ignored", "no allow rule"),
        ({"ignore": ONLY_PARTNER}, ORDER._replace(sender="X@PARTNER.EXAMPLE"), "pending", ""),
        # deny comes before allow
        (
            {"ignore": {"subject": {"deny": ["4711"], "allow": ["order"]}}},
            ORDER,
            "ignored",
            "deny rule '4711'",
        ),
        # both fields are asked
        (
            {"ignore": {**ONLY_PARTNER, "subject": {"allow": ["^invoice"]}}},
            ORDER,
            "ignored",
            "Subject matches no allow rule",
        ),
        ({"ignore": {"subject": {"allow": ["^invoice", "order \\d+"]}}}, ORDER, "pending", ""),
        # start
        ({"start": {"since": "2026-03-10"}}, ORDER, "pending", ""),
        ({"start": {"since": "2026-03-11"}}, ORDER, "skip", "received before 2026-03-11"),
        ({"start": {"since": "2026-03-11"}}, ORDER._replace(received=None), "pending", ""),
        (
            {"start": {"since": "2026-03-11"}, "ignore": {"subject": {"deny": ["."]}}},
            ORDER,
            "skip",
            "received before",
        ),
        ({"start": "new"}, ORDER, "pending", ""),
        # size
        ({"max_size": "2000"}, ORDER, "pending", ""),
        ({"max_size": "1999"}, ORDER, "held", "too large: 2000 bytes, the limit is 1999"),
        ({"max_size": "1KiB"}, ORDER, "held", "the limit is 1KiB"),
        ({"max_size": "1", "ignore": DENY_SPAM}, ORDER._replace(subject="spam"), "ignored", "deny"),
        # clearance
        ({"clearance": True}, ORDER, "held", "waits for clearance"),
        ({"clearance": True, "max_size": "1"}, ORDER, "held", "too large"),
        ({"clearance": True, "ignore": DENY_SPAM}, ORDER._replace(subject="spam"), "ignored", ""),
    ],
)
def test_the_verdict(fields: dict[str, Any], facts: Facts, state: str, reason: str) -> None:
    """Deny first, then allow, then all; then size and clearance (DESIGN 4.3)."""
    verdict = judge(source_of(**fields), facts)
    assert verdict.state == state
    assert reason in verdict.reason


def test_a_message_without_a_date_counts_as_new() -> None:
    """What nobody dated is collected rather than skipped, unless the start lies ahead."""
    undated = ORDER._replace(received=None)
    tomorrow = dt.datetime.fromtimestamp(timestamp(), dt.UTC).date() + dt.timedelta(days=1)
    assert judge(source_of(start={"since": tomorrow.isoformat()}), undated).state == "skip"


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({}, False),
        ({"max_size": "1", "clearance": True}, False),
        ({"ignore": DENY_SPAM}, True),
        ({"ignore": ONLY_PARTNER}, True),
        ({"order": "newest"}, False),
        ({"order": "-subject"}, True),
    ],
)
def test_headers_are_asked_for_only_when_a_rule_reads_them(
    fields: dict[str, Any], wanted: bool
) -> None:
    """Listing without header fields is much cheaper, so it is the rule."""
    assert needs_headers(source_of(**fields)) is wanted


@pytest.mark.parametrize(
    ("reprocess", "earlier", "size", "wanted"),
    [
        ("manual", Earlier("done", 10, gone=True), 11, False),
        ("automatic", Earlier("done", 10, gone=True), 10, True),
        ("automatic", Earlier("failed", 10, gone=True), 10, True),
        ("automatic", Earlier("done", 10, gone=False), 10, False),
        ("automatic", Earlier("held", 10, gone=True), 10, False),
        ("when_changed", Earlier("done", 10, gone=False), 11, True),
        ("when_changed", Earlier("done", 10, gone=True), 10, False),
        ("when_changed", Earlier("pending", 10, gone=False), 11, False),
    ],
)
def test_what_is_processed_again_under_its_old_key(
    reprocess: str, earlier: Earlier, size: int, wanted: bool
) -> None:
    """Only what was finished: when it left and is there again, or has other content."""
    assert again(source_of(reprocess=reprocess), earlier, size) is wanted


@pytest.mark.parametrize(
    ("reprocess", "verdict", "state"),
    [
        ("manual", Verdict("pending"), "held"),
        ("when_changed", Verdict("pending"), "held"),
        ("automatic", Verdict("pending"), "pending"),
        ("manual", Verdict("ignored", "spam"), "ignored"),
        ("manual", Verdict("held", "too large"), "held"),
    ],
)
def test_what_came_back_under_another_key(reprocess: str, verdict: Verdict, state: str) -> None:
    """Filters come first; then it is refused or not."""
    found = returned(source_of(reprocess=reprocess), verdict, 12)
    assert found.state == state
    assert found.reason == verdict.reason or found.reason.endswith("processed as 12")


RETRY = {"retry": {"max": 3, "min": "10s", "max_wait": "25s"}}


@pytest.mark.parametrize(
    ("failure", "retries", "wait"),
    [
        ("rollback", 0, None),
        (RETRY, 0, 10.0),
        (RETRY, 1, 20.0),
        (RETRY, 2, 25.0),
        (RETRY, 3, None),
        ({"retry": {}}, 4, 150.0),
        ({"retry": {"max": 5000}}, 4999, 150.0),
    ],
)
def test_when_a_refused_message_is_tried_again(
    failure: Any, retries: int, wait: float | None
) -> None:
    """The wait doubles up to its bound; after so many it has failed."""
    assert retry_after(source_of(failure=failure), retries) == wait


FOUND = [("application/pdf", 1_000), ("image/png", 50), ("image/png", 5_000), ("text/csv", 10)]


@pytest.mark.parametrize(
    ("rules", "chosen", "reason"),
    [
        ({}, [0, 1, 2, 3], ""),
        ({"types": {"deny": [{"type": "image/.*"}]}}, [0, 3], ""),
        ({"types": {"deny": [{"type": "image/.*", "over": "100"}]}}, [0, 1, 3], ""),
        ({"types": {"deny": [{"type": "image/.*", "over": "5000"}]}}, [0, 1, 2, 3], ""),
        ({"types": {"allow": [{"type": "APPLICATION/PDF"}]}}, [0], ""),
        ({"types": {"allow": [{"type": "image/png", "up_to": "50"}]}}, [1], ""),
        ({"types": {"allow": [{"type": "image"}]}}, [], ""),  # the whole type must match
        (
            {
                "types": {
                    "deny": [{"type": "image/.*", "over": "100"}],
                    "allow": [{"type": "image/.*"}, {"type": "text/.*"}],
                }
            },
            [1, 3],
            "",
        ),
        ({"max_total": "6060"}, [0, 1, 2, 3], ""),
        ({"max_total": "6059"}, [], "the attachments are 6060 bytes, the limit is 6059"),
        ({"max_total": "1KiB", "types": {"deny": [{"type": "image/.*"}]}}, [0, 3], ""),
        ({"max_total": "10", "types": {"allow": [{"type": "text/.*"}]}}, [3], ""),
    ],
)
def test_which_attachments_are_loaded(
    rules: dict[str, Any], chosen: list[int], reason: str
) -> None:
    """Deny first, then allow, by type and size; over the total none is loaded, and it is said."""
    attachments = source_of(attachments={"load": True, **rules}).attachments
    assert chosen_attachments(attachments, FOUND) == (chosen, reason)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"after": {"done": "move"}}, "folders.done"),
        ({"after": {"error": "copy"}}, "folders.error"),
        ({"ignore": {"subject": {"deny": ["("]}}}, "regular expression"),
        ({"start": "yesterday"}, "start"),
        ({"sink": {"type": "carrier-pigeon"}}, "sink"),
        ({"max_size": "huge"}, "max_size"),
        ({"reprocess": "never"}, "reprocess"),
        ({"failure": {"retry": {"max": 0}}}, "failure"),
        ({"failure": "retry"}, "failure"),
        ({"throttle": {"max": 0, "per": "minute"}}, "throttle"),
        ({"backoff": {"min": "0s"}}, "backoff"),
    ],
)
def test_a_definition_that_cannot_work_is_refused(fields: dict[str, Any], named: str) -> None:
    """Whatever is wrong is said with the name of the field, when it is saved and not at night."""
    with pytest.raises(PostroomError, match=named):
        source_of(**fields)


@pytest.mark.parametrize(
    ("fields", "actions"),
    [
        ({}, ("keep", "keep", "keep")),
        ({"folders": {"done": "Done"}}, ("move", "keep", "keep")),
        ({"folders": {"done": "D", "error": "E", "ignored": "I"}}, ("move", "move", "move")),
        ({"folders": {"done": "Done"}, "after": {"done": "copy"}}, ("copy", "keep", "keep")),
        ({"after": {"done": "delete", "error": "flag"}}, ("delete", "flag", "keep")),
        ({"folders": {"error": "E"}, "after": {"error": "keep"}}, ("keep", "keep", "keep")),
    ],
)
def test_what_happens_afterwards(fields: dict[str, Any], actions: tuple[str, ...]) -> None:
    """The named action, else a move where a folder is named, else nothing."""
    source = source_of(**fields)
    assert tuple(source.action(o) for o in ("done", "error", "ignored")) == actions

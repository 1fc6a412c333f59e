"""The verdict: what is decided about a message before it is read.  Pure; a table in the tests."""

from __future__ import annotations

import datetime as dt
import functools
import re
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from postroom.clock import timestamp
from postroom.fields import format_size
from postroom.sources.source import Attachments, Filter, Source, Start, TypeRule

__all__ = [
    "Earlier",
    "Facts",
    "Verdict",
    "again",
    "chosen_attachments",
    "judge",
    "needs_headers",
    "retry_after",
    "returned",
    "too_large",
]


class Facts(NamedTuple):
    """What is known of a message from listing it: decoded header texts, bytes, seconds since 1970."""

    sender: str
    subject: str
    size: int
    received: float | None


class Verdict(NamedTuple):
    """What becomes of it, and the reason as a person reads it."""

    state: Literal["pending", "ignored", "held", "skip"]
    reason: str = ""


def needs_headers(source: Source) -> bool:
    """Whether a verdict or the order asks for header fields; without, listing is much cheaper."""
    rules = (source.ignore.from_, source.ignore.subject)
    return source.order in ("subject", "-subject") or any(rule.deny or rule.allow for rule in rules)


def judge(source: Source, facts: Facts) -> Verdict:
    """Decide about one message.

    ``skip`` is for what was there before the start date and is not recorded.  Deny lists come
    first, then allow lists; the message is ignored if either field's rules ignore it.
    """
    if isinstance(source.begins, Start) and not _since(source.begins.since, facts.received):
        return Verdict("skip", f"received before {source.begins.since}")
    for label, rule, text in (
        ("From", source.ignore.from_, facts.sender),
        ("Subject", source.ignore.subject, facts.subject),
    ):
        reason = _ignored(rule, text)
        if reason:
            return Verdict("ignored", f"{label} {reason}")
    if reason := too_large(source, facts.size):
        return Verdict("held", reason)
    if source.clearance:
        return Verdict("held", "waits for clearance")
    return Verdict("pending")


def too_large(source: Source, size: int) -> str:
    """Why a message of so many bytes is held back; empty where it is not."""
    if source.max_size is None or size <= source.max_size:
        return ""
    return f"too large: {size} bytes, the limit is {format_size(source.max_size)}"


class Earlier(NamedTuple):
    """What the ledger knows of a message that is listed again under the same key."""

    state: str
    size: int
    gone: bool  # it was seen to have left


def again(source: Source, earlier: Earlier, size: int) -> bool:
    """Whether a message is processed again that has its old key (POP3 lists all there is)."""
    if earlier.state not in ("done", "failed"):
        return False
    if source.reprocess == "when_changed":
        return size != earlier.size
    return source.reprocess == "automatic" and earlier.gone


def returned(source: Source, verdict: Verdict, entry: int) -> Verdict:
    """The verdict on a message that was processed as ``entry``, left, and came back unchanged."""
    if verdict.state != "pending" or source.reprocess == "automatic":
        return verdict
    return Verdict("held", f"came back: it was processed as {entry}")


def retry_after(source: Source, retries: int) -> float | None:
    """Seconds until a message is tried again that the sink refused; None: it failed."""
    if source.failure == "rollback":
        return None
    retry = source.failure.retry
    return (
        None if retries >= retry.max else min(retry.max_wait, retry.min * 2.0 ** min(retries, 32))
    )


def _since(day: dt.date, received: float | None) -> bool:
    """Whether it was received on that day (UTC) or later; unknown counts as now: rather twice than not."""
    instant = timestamp() if received is None else received
    return dt.datetime.fromtimestamp(instant, dt.UTC).date() >= day


def _ignored(rule: Filter, text: str) -> str:
    for pattern in rule.deny:
        if _compiled(pattern).search(text):
            return f"matches the deny rule {pattern!r}"
    if rule.allow and not any(_compiled(pattern).search(text) for pattern in rule.allow):
        return "matches no allow rule"
    return ""


@functools.lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


def chosen_attachments(
    rules: Attachments, found: Sequence[tuple[str, int]]
) -> tuple[list[int], str]:
    """Which attachments are loaded, given (media type, size in bytes) of each, by position.

    An empty list with a reason when together they are over ``max_total``: then none is loaded.
    """
    chosen = [
        position
        for position, (kind, size) in enumerate(found)
        if not _matches(rules.types.deny, kind, size)
        and (not rules.types.allow or _matches(rules.types.allow, kind, size))
    ]
    total = sum(found[position][1] for position in chosen)
    if total > rules.max_total:
        return [], (
            f"the attachments are {total} bytes, the limit is {format_size(rules.max_total)}"
        )
    return chosen, ""


def _matches(rules: Iterable[TypeRule], kind: str, size: int) -> bool:
    return any(
        _compiled(rule.type).fullmatch(kind)
        and (rule.over is None or size > rule.over)
        and (rule.up_to is None or size <= rule.up_to)
        for rule in rules
    )

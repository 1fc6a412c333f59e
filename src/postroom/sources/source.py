"""The source: which mail is collected, when, what becomes of it and where it goes, declared once."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from postroom.clock import timestamp
from postroom.fields import (
    Date,
    Duration,
    Fields,
    Name,
    Rate,
    Regex,
    Size,
    check_waits,
    field,
    next_time,
)
from postroom.sinks import AnySink

__all__ = [
    "After",
    "Attachments",
    "Backoff",
    "Failure",
    "Filter",
    "Folders",
    "Ignore",
    "Retry",
    "Schedule",
    "Source",
    "Start",
    "TypeFilter",
    "TypeRule",
]

AfterAction = Literal["keep", "move", "copy", "seen", "flag", "delete"]
Order = Literal["server", "oldest", "newest", "subject", "-subject"]
NAME_TEMPLATE = "${mail:subject} (from: ${mail:from}, received: ${mail:received})"
_BY_DEFAULT = "Empty: move where that folder is named, else keep."


class Schedule(Fields):
    """When to look: pushed by the server, at a fixed rate, or by a cron table."""

    push: bool = field(False, label="Push", help="IDLE where the server has it, else polling.")
    every: Duration | None = field(None, label="Every", help="A fixed rate, such as 60s.")
    cron: str = field("", label="Cron", help="Five fields: minute hour day month weekday.")
    timezone: str = field("UTC", label="Time zone", help="For cron; a name such as Europe/Berlin.")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if sum((self.push, self.every is not None, bool(self.cron))) != 1:
            raise ValueError('give one of push: true, every: 60s, cron: "*/5 * * * *"')
        if self.every is not None and self.every < 1:
            raise ValueError("every: one second is the shortest")
        if self.cron:
            self.after(timestamp())
        return self

    def after(self, instant: float) -> float:
        """The next time to look after ``instant``; both in seconds since 1970.

        For push it is the poll that backs it up, should the server never push.
        """
        if self.push:
            return instant + PUSH_POLL
        return next_time(instant, every=self.every, cron=self.cron, timezone=self.timezone)


PUSH_POLL = 60.0
"""Seconds between polls where a server cannot push."""


class Folders(Fields):
    """The folders of a source.  ``\\Archive`` and the like stand for folders by their use."""

    input: str = field("INBOX", label="Input folder", macro=True, help="The one to watch.")
    done: str = field("", label="Done folder", macro=True, help="For what was delivered.")
    error: str = field("", label="Error folder", macro=True, help="For what the sink refused.")
    ignored: str = field("", label="Ignore folder", macro=True, help="For what a filter ignored.")


class After(Fields):
    """What happens to a message on the server afterwards; by default it is moved where a folder is named."""

    done: AfterAction | None = field(None, label="After processing", help=_BY_DEFAULT)
    error: AfterAction | None = field(None, label="After failure", help=_BY_DEFAULT)
    ignored: AfterAction | None = field(None, label="After ignoring", help=_BY_DEFAULT)


class Filter(Fields):
    """Regular expressions: deny first, then allow; with an allow list all else is ignored."""

    deny: list[Regex] = field(
        default_factory=list, label="Deny", help="Regular expressions; a match is ignored."
    )
    allow: list[Regex] = field(
        default_factory=list, label="Allow", help="If given, whatever matches none is ignored."
    )


class Ignore(Fields):
    """Which messages are not processed."""

    from_: Filter = field(default_factory=Filter, alias="from", label="From")
    subject: Filter = field(default_factory=Filter, label="Subject")


class TypeRule(Fields):
    """A media type, and the size from which (deny: over) or to which (allow: up_to) it holds."""

    type: Regex = field(label="Type", help="A regular expression for the media type.")
    over: Size | None = field(None, label="Over", help="Deny only what is larger.")
    up_to: Size | None = field(None, label="Up to", help="Allow only what is no larger.")


class TypeFilter(Fields):
    """Which attachments are loaded, by media type and size: deny first, then allow."""

    deny: list[TypeRule] = field(default_factory=list, label="Deny")
    allow: list[TypeRule] = field(default_factory=list, label="Allow")


class Attachments(Fields):
    """Whether attachments are decoded and handed to the sink beside the message."""

    load: bool = field(False, label="Load attachments", help="Decoded, beside the message.")
    max_total: Size = field("2MiB", label="At most in all", help="In one message.")
    types: TypeFilter = field(default_factory=TypeFilter, label="Types")


class Backoff(Fields):
    """How long to wait after failures of the connection, and when to forget them."""

    min: Duration = field("15s", label="First wait")
    max: Duration = field("60s", label="Longest wait")
    reset_after_successes: int = field(5, label="Reset after so many successes")
    reset_after: Duration = field("60s", label="Reset after so long without a failure")

    @model_validator(mode="after")
    def _at_some_distance(self) -> Self:
        check_waits(self)
        return self


class Start(Fields):
    """From when on messages that are already there are collected."""

    since: Date = field(label="Since", help="Received on this day or later.", default=...)


class Retry(Fields):
    """How often and how soon a message is tried again that the sink refused; the wait doubles."""

    max: int = field(5, label="At most so often")
    min: Duration = field("12s", label="First wait")
    max_wait: Duration = field("150s", label="Longest wait")

    @model_validator(mode="after")
    def _some(self) -> Self:
        if self.max < 1 or self.min < 1:
            raise ValueError("max and min: at least 1 and 1s; without retries it is rollback")
        check_waits(self, longest="max_wait")
        return self


class Failure(Fields):
    """A message that the sink refused is tried again before it counts as failed."""

    retry: Retry = field(label="Retry", default=...)


class Source(Fields):
    """A source (DESIGN 4.3)."""

    name: Name = field(label="Name")
    description: str = field("", label="Description")
    connection: str = field(label="Connection", refers_to="connection")
    worker_roles: list[str] = field(
        default_factory=list, label="Worker roles", help="Empty: any worker may collect for it."
    )
    schedule: Schedule = field(default_factory=lambda: Schedule(push=True), label="Schedule")
    start: Literal["all", "new"] | Start | None = field(
        None,
        label="Start",
        help="Of the messages that the first look finds: all, new (none), or {since: DATE}. Empty: all; "
        "where the sink is a job, which may answer them, it has to be said.",
    )
    polling_timeout: Duration = field(
        "60s",
        label="Polling time-out",
        help="A poll that makes no progress for so long counts as failed.",
    )
    stable_time: Duration = field(
        "0s",
        label="Stable time",
        help="A message is left alone until it has been there unchanged for so long.",
    )
    order: Order = field(
        "server", label="Order", help="Of the messages of one pass; -subject is Z to A."
    )
    folders: Folders = field(default_factory=Folders, label="Folders")
    after: After = field(default_factory=After, label="Afterwards")
    ignore: Ignore = field(default_factory=Ignore, label="Ignore")
    attachments: Attachments = field(default_factory=Attachments, label="Attachments")
    max_size: Size | None = field(
        None, label="Largest message", help="Larger ones are recorded and held, not dropped."
    )
    throttle: Rate | None = field(None, label="Throttle", help="New messages in that time.")
    backoff: Backoff = field(default_factory=Backoff, label="Backoff")
    failure: Literal["rollback"] | Failure = field(
        "rollback",
        label="Failure",
        help="Of a message that the sink refuses: rollback (it failed, and goes to the error "
        "folder), or {retry: {max: 5, min: 12s, max_wait: 150s}} first.",
    )
    reprocess: Literal["manual", "automatic", "when_changed"] = field(
        "manual",
        label="Reprocess",
        help="What was processed, left the folder and comes back: manual holds it until it is "
        "released, automatic processes it again, when_changed only with other content.",
    )
    clearance: bool = field(
        False, label="Wait for clearance", help="New messages are held until released."
    )
    name_template: str = field(
        NAME_TEMPLATE,
        label="Name template",
        macro=True,
        help="What a message is called in lists; for people, never to tell messages apart.",
    )
    sink: AnySink = field(label="Sink", default=...)

    @model_validator(mode="after")
    def _folders_for_moves(self) -> Self:
        for outcome in ("done", "error", "ignored"):
            action, folder = getattr(self.after, outcome), getattr(self.folders, outcome)
            if action in ("move", "copy") and not folder:
                raise ValueError(f"after.{outcome} is {action}, but folders.{outcome} names none")
        return self

    @model_validator(mode="after")
    def _answers_what_it_was_told(self) -> Self:
        if self.sink.answers and self.start is None:
            raise ValueError(
                "start: say which of the messages already there are meant - all, new (none of them) or "
                "{since: DATE} - for what the sink begins may answer them"
            )
        return self

    @property
    def begins(self) -> Literal["all", "new"] | Start:
        """What of the messages that are already there is collected."""
        return "all" if self.start is None else self.start

    @model_validator(mode="after")
    def _lets_something_through(self) -> Self:
        if self.polling_timeout < 1:
            raise ValueError("polling_timeout: one second is the shortest")
        if self.throttle is not None and self.throttle.max < 1:
            raise ValueError("throttle.max: at least 1, or nothing is ever collected")
        return self

    def action(self, outcome: Literal["done", "error", "ignored"]) -> str:
        """What to do with a message on the server: the named action, or move where a folder is."""
        named: str | None = getattr(self.after, outcome)
        return named or ("move" if getattr(self.folders, outcome) else "keep")

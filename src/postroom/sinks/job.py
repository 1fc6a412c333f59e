"""The job sink: each message begins a run of a job, in the transaction of its ledger entry."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, Literal

from postroom.clock import timestamp
from postroom.db import Tx
from postroom.errors import InvalidValue, PostroomError, Refused
from postroom.fields import Name, field
from postroom.jobs import messages, runs, store
from postroom.jobs.arguments import arguments
from postroom.services import ofrun
from postroom.services.outbox import first_id
from postroom.sinks.base import Delivery, Item, Sink

__all__ = ["MOST_WAITING", "JobSink"]

MOST_WAITING: Final = 10_000
"""Runs of a job that are not finished; while there are as many, its sources read nothing more."""
_CIRCLE_SECONDS: Final = 86400.0
"""Who writes to the mailbox that begins it, at longer intervals than this, harms nobody."""


class JobSink(Sink):
    """A run of a job for each message.

    A message that a run sent stands below that run: jobs that begin each other by mail, or one that
    begins itself, end where a circle of ``run-job`` does.

    Run and ledger entry are one transaction: there is never one without the other, so a message has
    one run however often a process is killed.
    """

    type: Literal["job"] = field(label="Type")
    job: Name = field(
        label="Job",
        help="Begun once for each message, which it finds as ${message:subject} and the like.",
    )
    parameters: dict[str, Any] = field(
        default_factory=dict,
        label="Parameters",
        help="Of the job, as they stand here: nothing is expanded in them.",
    )

    about: ClassVar[str] = (
        "A run of a job begins, with the message (its exact bytes and where it came from) beside it. "
        "While 10,000 runs of that job are not finished, the source waits."
    )
    twice: ClassVar[Literal["same"]] = "same"
    answers: ClassVar[bool] = True

    @property
    def begins(self) -> str:
        return f"a run of job {self.job} begins"

    def resolved(self, base: Path) -> JobSink:
        """As it is."""
        return self

    def prepare(self) -> None:
        """The room is there."""

    def check(self, tx: Tx) -> None:
        """Raises NotThere for the job, InvalidValue for a parameter that it has not or does not take, or
        that has a macro in it.
        """
        for name, value in self.parameters.items():
            if "${" in json.dumps(value, default=str):
                raise InvalidValue(
                    f"sink.parameters.{name}",
                    "nothing is expanded here, so a macro would reach the job as it stands; "
                    "${message:from} and the like stand in the steps of the job",
                )
        try:
            arguments(store.get(tx, self.job), self.parameters)
        except InvalidValue as error:
            raise InvalidValue(
                f"sink.parameters.{error.field}", error.sentence.partition(": ")[2]
            ) from None

    def check_room(self, tx: Tx) -> None:
        """Raises Refused(``queue_full``) while too many runs are not finished."""
        waiting = runs.open_count(tx, self.job)
        if waiting >= MOST_WAITING:
            raise Refused(
                f"{waiting:,} runs of job {self.job} are not finished; the source waits until there "
                "are fewer.",
                code="queue_full",
                temporary=True,
                hint=f"See what holds them up: postroom job runs {self.job}",
            )

    def take(self, items: Sequence[Item]) -> list[Delivery]:
        """Nothing is done here: each run is begun where the ledger is written."""
        return [Delivery(item.ledger, write=functools.partial(self._begin, item)) for item in items]

    def _begin(self, item: Item, tx: Tx) -> str:
        job = store.get(tx, self.job)
        try:
            parameters = arguments(job, self.parameters)
        except PostroomError as error:
            raise Refused(f"Job {job.name} cannot be begun: {error}") from error
        now, told = timestamp(), item.summary()
        above = ofrun.sent_by(tx, str(told["message_id"]), since=first_id(now - _CIRCLE_SECONDS))
        begin = functools.partial(
            runs.add, tx, job, cause="message", parameters=parameters, actor=f"source:{item.source}",
            now=now,
        )  # fmt: skip
        try:
            run = begin(above=above)
        except Refused as error:  # the source goes on, and somebody sees what became of the message
            run = begin()
            runs.refuse(tx, run, str(error), now=now)
        messages.keep(
            tx,
            run,
            ledger=item.ledger,
            facts=messages.facts(
                source=item.source,
                folder=str(told["folder"]),
                id=item.id,
                sender=str(told["from"]),
                subject=str(told["subject"]),
                received=item.received,
                message_id=str(told["message_id"]),
                size=item.content.size,
            ),
            content=item.content,
        )
        return f"run:{run}"

"""What input that cannot be is told: the field, what may stand there, and what was likely meant."""

from __future__ import annotations

from typing import Any

import pytest

from postroom.errors import WrongUse
from postroom.fields import parse
from postroom.operations.declared import nouns

SOURCE = {"name": "s", "connection": "c", "sink": {"type": "directory", "path": "/x"}}
SERVICE = {"name": "o2", "connection": "c"}


@pytest.mark.parametrize(
    ("noun", "given", "sentence"),
    [
        ("source", {"sink": {"type": "dirctory", "path": "/x"}},
         "source s: sink: there is no such type; did you mean directory? "
         "There are directory, maildir, job"),
        ("source", {"sink": {"type": "zip"}},
         "source s: sink: there is no such type; there are directory, maildir, job"),
        ("source", {"start": "yesterday"},
         "source s: start: choose 'all' or 'new', or {since: DATE}"),
        ("source", {"start": {"since": "yesterday"}},
         "source s: start.since: give a date such as 2027-01-31"),
        ("source", {"start": {"sinc": "2027-01-31"}},
         "source s: start.since: is needed and was not given"),
        ("source", {"schedule": {"every": "0s"}},
         "source s: schedule.every: one second is the shortest"),
        ("source", {"schedule": {"push": True, "every": "9s"}},
         'source s: schedule: give one of push: true, every: 60s, cron: "*/5 * * * *"'),
        ("service", {"queue_size": 0},
         "service s: queue_size: at least 1, or nothing is ever stored"),
        ("service", {"throttle": {"max": 0}},
         "service s: throttle.max: at least 1, or nothing is ever sent"),
        ("service", {"on_ambiguous": "x"}, "service s: on_ambiguous: choose 'hold' or 'resend'"),
    ],
)  # fmt: skip
def test_a_sentence_says_the_field_and_what_may_stand_there(
    noun: str, given: dict[str, Any], sentence: str
) -> None:
    whole = (SOURCE if noun == "source" else SERVICE) | given
    with pytest.raises(WrongUse) as error:
        parse(nouns()[noun], whole, where=f"{noun} s")
    assert error.value.sentence == sentence

"""The settings of a record as a person reads them: with their labels, without what is usual."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final, NamedTuple

from postroom.clock import parse_duration
from postroom.fields import Described, describe
from postroom.operations.declared import nouns

__all__ = ["Setting", "settings"]


class Setting(NamedTuple):
    """One setting: its label, its value (a text, or data to be written), and the noun it names."""

    label: str
    value: Any
    refers: str = ""


_GROUPS: Final = {
    "ignore.from": "From", "ignore.subject": "Subject", "attachments": "Attachments",
    "attachments.types": "Attachments", "backoff": "After a failure", "failure.retry": "Where it is refused",
    "retry": "Trying again", "limits": "At most", "sink": "Goes to", "start": "Begins",
}  # fmt: skip
"""What stands before a label that says little without its group."""
_LABELS: Final = {
    "sink.type": "Goes to", "sink.path": "Directory", "sink.job": "Job",
    "sink.summary": "A summary beside each",
    "sink.parameters": "Parameters of the job", "schedule.push": "Looks", "schedule.every": "Looks every",
    "start": "Of what was there", "start.since": "Of what was there, since",
}  # fmt: skip
_WORDS: Final[Mapping[str, Mapping[Any, str]]] = {
    "schedule.push": {True: "when the server tells; else every minute"},
    "sink.type": {"directory": "a directory", "maildir": "a maildir", "job": "a job"},
    "start": {"all": "everything", "new": "nothing"},
    "failure": {"rollback": "it failed"},
    "order": {"oldest": "the oldest first", "newest": "the newest first"},
    "reprocess": {"automatic": "is processed again", "when_changed": "is processed again if it has changed"},
    "on_ambiguous": {"resend": "it is sent again, unless the Sent folder has it"},
    "sent_copy": {"append": "is put into the Sent folder", "server": "is kept by the server",
                  "none": "is not kept"},
}  # fmt: skip
_ALWAYS: Final = ("connection", "sink.type", "schedule.push", "folders.input")
"""What is shown although it is usual."""
_NOUNS: Final = {"connection": "connection", "sink.job": "job", "service": "service"}


def settings(noun: str, record: Mapping[str, Any], without: Collection[str] = ()) -> list[Setting]:
    """What is set in a record and differs from what is usual, in the order of its declaration."""
    known = {one.name: one for one in describe(nouns()[noun])}
    flat = {name: value for name, value in _flat(record, known, "") if _top(name) not in without}
    found = []
    for name in sorted(flat, key=[*known, *flat].index):
        value, one = flat[name], known.get(name)
        usual = one is not None and _is_usual(one, value)
        if value in (None, "", [], {}, (), False) or (usual and name not in _ALWAYS):
            continue
        label = _LABELS.get(name) or _labelled(name, one.label if one else name)
        words = _WORDS.get(name, {})
        said = words.get(value, value) if isinstance(value, str | bool) else value
        refers = _NOUNS.get(name, "") if ":" not in str(value) else ""
        found.append(Setting(label, said, refers))
    return found


def _flat(
    record: Mapping[str, Any], known: Collection[str], above: str
) -> Iterator[tuple[str, Any]]:
    for name, value in record.items():
        dotted = f"{above}{name}"
        if isinstance(value, Mapping) and any(each.startswith(f"{dotted}.") for each in known):
            yield from _flat(value, known, f"{dotted}.")
        else:
            yield dotted, value


def _is_usual(one: Described, value: Any) -> bool:
    if one.type == "duration" and one.default_text and isinstance(value, str):
        return parse_duration(value) == parse_duration(one.default_text)
    return bool(value == one.default or str(value) == one.default_text)


def _top(name: str) -> str:
    return name.partition(".")[0]


def _labelled(name: str, label: str) -> str:
    group = _GROUPS.get(name.rpartition(".")[0], "")
    if not group:
        return label.replace("_", " ")
    return f"{group}: {label[:1].lower()}{label[1:]}"

"""The form of a source: what may be a word or a group is a choice, the rest is drawn from its fields."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from postroom.errors import InvalidValue, PostroomError
from postroom.operations.yamlfile import read_text
from postroom.web.controls import Options, controls, read
from postroom.web.definition import check_path, fields_of, groups, of_new, one_schedule
from postroom.web.form import Form

__all__ = ["drawn", "said"]

_CHOSEN: Final = (
    "schedule.push", "schedule.every", "schedule.cron", "schedule.timezone", "start", "start.since",
    "failure", "failure.retry.max", "failure.retry.min", "failure.retry.max_wait", "sink.type", "sink.path",
    "sink.summary", "sink.job", "sink.parameters", "attachments.types.deny", "attachments.types.allow",
)  # fmt: skip
"""Fields that this form asks for in its own way."""
_TITLES: Final = (
    ("What it is", "", ("name", "description", "connection")),
    ("Folders, and what happens there afterwards",
     "Nothing is moved, flagged or deleted before a message is durable where it goes.",
     ("folders", "after")),
    ("What is left out", "Deny first, then allow; with an allow list, whatever matches none is ignored.",
     ("ignore", "max_size", "clearance")),
    ("Attachments", "", ("attachments",)),
    ("How fast, in which order, and after failures",
     "", ("throttle", "order", "stable_time", "polling_timeout", "backoff", "reprocess", "worker_roles",
          "name_template")),
)  # fmt: skip
_CALLED: Final = {
    "ignore.from.deny": "From: deny",
    "ignore.from.allow": "From: allow",
    "ignore.subject.deny": "Subject: deny",
    "ignore.subject.allow": "Subject: allow",
    "backoff.min": "After a failure: first wait",
    "backoff.max": "After a failure: longest wait",
}
"""Labels that say less when their group is not seen."""
_OWN: Final = (
    "when", "schedule.every", "schedule.cron", "schedule.timezone", "from_when", "start.since", "failure",
    "failure.retry.max", "failure.retry.min", "failure.retry.max_wait", "sink.type", "sink.path",
    "sink.summary", "sink.job", "sink.parameters", "types",
)  # fmt: skip


def drawn(
    values: Mapping[str, Any],
    given: Mapping[str, str] | None,
    error: PostroomError | None,
    connections: Options,
    jobs: Sequence[str],
    *,
    new: bool,
) -> dict[str, Any]:
    """What the form shows: groups of controls, and the values of what it asks for in its own way."""
    skip = _CHOSEN if new else ("name", *_CHOSEN)
    shown = controls(
        fields_of("source"), values, given=given, error=error, skip=skip,
        offered={"connection": connections}, makes={"connection": "connection"},
    )  # fmt: skip
    shown = [dataclasses.replace(one, label=_CALLED.get(one.name, one.label)) for one in shown]
    own = dict.fromkeys(_OWN, "")
    if given is not None:
        own |= {name: given.get(name, "") for name in _OWN}
    else:
        own |= _own(values)
    return {"groups": groups("source", shown, _TITLES), "own": own, "jobs": list(jobs)}


def said(form: Form, *, new: bool, beside: Path | None = None) -> dict[str, Any]:
    """What the form says, as ``sources.add`` and ``sources.set`` take it.

    ``beside`` is where the directory of a source is that names none, under its name.  Raises
    InvalidValue.
    """
    skip = _CHOSEN if new else ("name", *_CHOSEN)
    found = read(fields_of("source"), form, skip=skip)
    when = form.text("when") or "push"
    asked = (form.text(f"schedule.{each}") for each in ("every", "cron", "timezone"))
    found["schedule"] = {"push": when == "push", **one_schedule(when, *asked)}
    found["start"] = _start(form)
    found["failure"] = _failure(form)
    found["sink"] = _sink(form)
    if beside is not None and found["sink"]["type"] != "job" and not found["sink"]["path"]:
        found["sink"]["path"] = str(beside / form.text("name"))
    found.setdefault("attachments", {})["types"] = _types(form)
    return of_new(found) if new else found


def _own(values: Mapping[str, Any]) -> dict[str, Any]:
    """How a saved source answers what is asked in the form's own way."""
    schedule = values.get("schedule") or {"push": True}
    start, failure = values.get("start"), values.get("failure")
    sink = values.get("sink") or {}
    retry = failure.get("retry", {}) if isinstance(failure, Mapping) else {}
    types = (values.get("attachments") or {}).get("types") or {}
    kept = {name: rules for name, rules in types.items() if rules}
    return {
        "when": next((way for way in ("cron", "every", "push") if schedule.get(way)), "push"),
        **{f"schedule.{each}": schedule.get(each) or "" for each in ("every", "cron", "timezone")},
        "from_when": "since" if isinstance(start, Mapping) else start or "",
        "start.since": str(start.get("since", "")) if isinstance(start, Mapping) else "",
        "failure": "retry" if retry else "rollback",
        **{f"failure.retry.{each}": retry.get(each, "") for each in ("max", "min", "max_wait")},
        "sink.type": sink.get("type", "directory"),
        "sink.path": sink.get("path", ""),
        "sink.summary": "yes" if sink.get("summary") else "",
        "sink.job": sink.get("job", ""),
        "sink.parameters": _written(sink.get("parameters")),
        "types": _written(kept),
    }


def _start(form: Form) -> Any:
    chosen = form.text("from_when")
    if chosen == "since":
        if not form.text("start.since"):
            raise InvalidValue("start.since", "give the day from which on messages are collected")
        return {"since": form.text("start.since")}
    if not chosen and form.text("sink.type") == "job":
        raise InvalidValue("", "Choose what the job gets of the messages that are there already.")
    return chosen or None


def _failure(form: Form) -> Any:
    if form.text("failure") != "retry":
        return "rollback"
    given = {each: form.text(f"failure.retry.{each}") for each in ("max", "min", "max_wait")}
    return {"retry": {name: value for name, value in given.items() if value}}


def _sink(form: Form) -> dict[str, Any]:
    """With None for what the sinks of other types have."""
    kind = form.text("sink.type")
    found: dict[str, Any] = {
        "type": kind,
        **dict.fromkeys(("path", "summary", "job", "parameters")),
    }
    if kind == "job":
        parameters = read_text(form.raw("sink.parameters"), "sink.parameters").data
        return {**found, "job": form.text("sink.job"), "parameters": parameters}
    found["path"] = form.text("sink.path")
    check_path(found["path"], "sink.path")
    if kind == "directory":
        found["summary"] = form.ticked("sink.summary")
    return found


def _types(form: Form) -> dict[str, Any]:
    types = read_text(form.raw("types"), "attachments.types").data or {}
    if not isinstance(types, Mapping):
        raise InvalidValue("attachments.types", "give deny: and allow:, each with a list below it")
    return {"deny": [], "allow": [], **types}


def _written(data: Any) -> str:
    """Data as somebody would type it."""
    if not data:
        return ""
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, default_flow_style=False)

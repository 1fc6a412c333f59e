"""The form of a job: its settings are drawn from their fields, its steps and parameters are YAML."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import yaml

from postroom.errors import InvalidValue, PostroomError
from postroom.operations.yamlfile import YamlText, read_text
from postroom.web.controls import controls, read
from postroom.web.definition import check_path, fields_of, groups, of_new, one_schedule
from postroom.web.form import Form

__all__ = ["BEGINNINGS", "Misplaced", "begun", "drawn", "misplaced", "said", "written"]

_CODE: Final = ("python", "command")
_CHOSEN: Final = (
    "credentials",
    "schedule.every", "schedule.cron", "schedule.timezone", "schedule.misfire", "parameters", "steps",
    "retry.max", "retry.min", "retry.max_wait", "python.call", "python.file", "python.function",
    "python.sha256", "command.words", "command.hand_over.by", "command.hand_over.environment",
    "command.directory",
)  # fmt: skip
"""Fields that this form asks for in its own way."""
_TITLES: Final = (
    ("What it is", "", ("name", "description")),
    ("Runs", "", ("overlap", "if_killed", "keep", "limits", "worker_roles")),
)  # fmt: skip
_OWN: Final = (
    "credentials",
    "does", "steps", "parameters", "when", "schedule.every", "schedule.cron", "schedule.timezone",
    "schedule.misfire", "again", "retry.max", "retry.min", "retry.max_wait", "python.what",
    "python.function", "command.words", "command.hand_over.by", "command.hand_over.environment",
    "command.directory",
)  # fmt: skip
_PLACE: Final = re.compile(r"\b(steps|parameters)((?:\.[\w-]+)*)")


BEGINNINGS: Final[Mapping[str, tuple[str, tuple[dict[str, Any], ...]]]] = {
    "file": ("putting unseen messages into a folder", (
        {"move-email": {"via": "", "ids": "${step:found.ids}", "to": "Done", "create": True}},
    )),
    "forward": ("passing unseen messages on", (
        {"for_each": "${step:found.items}", "steps": [
            {"forward-email": {"via": "", "id": "${item:id}", "to": ["somebody@example.com"]}},
            {"flag-email": {"via": "", "ids": ["${item:id}"], "add": ["seen"]}},
        ]},
    )),
    "answer": ("answering unseen messages", (
        {"for_each": "${step:found.items}", "steps": [
            {"reply-email": {"via": "", "id": "${item:id}", "text": "Thank you, we have it."}},
        ]},
    )),
}  # fmt: skip
"""What a new job begins with: what it is for, and the steps behind that which finds the messages."""


def begun(purpose: str, via: str) -> list[dict[str, Any]]:
    """The steps that a new job begins with, over a connection; none where there is none."""
    if not via:
        return []
    _, steps = BEGINNINGS.get(purpose) or BEGINNINGS["file"]
    found = {"list-email": {"via": via, "search": "unseen"}, "name": "found"}
    return [found, *(_over(step, via) for step in steps)]


def _over(step: Mapping[str, Any], via: str) -> dict[str, Any]:
    done: dict[str, Any] = {}
    for name, value in step.items():
        if name == "steps":
            done[name] = [_over(each, via) for each in value]
        else:
            done[name] = {**value, "via": via} if isinstance(value, Mapping) else value
    return done


class Misplaced(NamedTuple):
    """Where in a text that was typed a mistake is: the field, the line, and what stands there."""

    field: str
    line: int
    text: str


def drawn(
    values: Mapping[str, Any],
    given: Mapping[str, str] | None,
    error: PostroomError | None,
    *,
    new: bool,
    code: bool,
) -> dict[str, Any]:
    """What the form shows; ``code``: whether it is one of somebody who may save what runs code."""
    skip = {*_CHOSEN, *(() if new else ("name",)), *(() if code else _CODE)}
    skip |= {one for one in _CHOSEN if not code}
    shown = controls(fields_of("job"), values, given=given, error=error, skip=skip)
    own = dict.fromkeys(_OWN, "")
    own |= {name: given.get(name, "") for name in _OWN} if given is not None else _own(values)
    drawn_groups = [one for one in groups("job", shown, _TITLES) if one[2]]
    return {"groups": drawn_groups, "own": own, "code": code}


def said(form: Form, *, new: bool, code: bool) -> dict[str, Any]:
    """What the form says, as ``jobs.add`` and ``jobs.set`` take it.  Raises InvalidValue."""
    skip = {*_CHOSEN, *(() if new else ("name",)), *(() if code else _CODE)}
    found = read(fields_of("job"), form, skip=skip)
    when = form.text("when")
    if when in ("every", "cron"):
        asked = (form.text(f"schedule.{each}") for each in ("every", "cron", "timezone"))
        misfire = form.text("schedule.misfire") or "once"
        found["schedule"] = {**one_schedule(when, *asked), "misfire": misfire}
    else:
        found["schedule"] = None
    found["parameters"] = _map(form, "parameters")
    found["retry"] = None
    if form.ticked("again"):
        given = {each: form.text(f"retry.{each}") for each in ("max", "min", "max_wait")}
        found["retry"] = of_new(given)
    does = form.text("does") if code else "steps"
    found |= dict.fromkeys(("steps", "python", "command"))
    found[does if does in ("python", "command") else "steps"] = _does(does, form)
    found["credentials"] = form.texts("credentials") if code and does != "steps" else []
    return of_new(found) if new else found


def misplaced(error: PostroomError, form: Form) -> Misplaced | None:
    """Where the mistake is, if it is one of a text that was typed as YAML."""
    field = str(error.facts.get("field", ""))
    if "line" in error.facts:
        name, line = field, int(error.facts["line"])
    elif (place := _PLACE.search(error.sentence)) is not None:
        name = place[1]
        try:
            line = read_text(form.raw(name), name).line_of(place[2])
        except InvalidValue:
            return None
    else:
        return None
    lines = form.raw(name).split("\n")
    return Misplaced(name, line, lines[line - 1] if 0 < line <= len(lines) else "")


def written(data: Any) -> str:
    """Data as somebody would type it."""
    if not data:
        return ""
    return yaml.safe_dump(
        data, sort_keys=False, allow_unicode=True, default_flow_style=False, width=100
    )


def _own(values: Mapping[str, Any]) -> dict[str, Any]:
    """How a saved job answers what is asked in the form's own way."""
    schedule, retry = values.get("schedule") or {}, values.get("retry") or {}
    python, command = values.get("python") or {}, values.get("command") or {}
    hand_over = command.get("hand_over") or {}
    return {
        "does": values.get("does", "steps"),
        "credentials": "\n".join(values.get("credentials") or ()),
        "steps": written(values.get("steps")),
        "parameters": written(_brief(values.get("parameters"))),
        "when": next((way for way in ("every", "cron") if schedule.get(way)), ""),
        **{
            f"schedule.{each}": schedule.get(each) or ""
            for each in ("every", "cron", "timezone", "misfire")
        },
        "again": "yes" if retry else "",
        **{f"retry.{each}": retry.get(each, "") for each in ("max", "min", "max_wait")},
        "python.what": python.get("file") or python.get("call") or "",
        "python.function": python.get("function", "") if python.get("file") else "",
        "command.words": "\n".join(command.get("words") or ()),
        "command.hand_over.by": hand_over.get("by", ""),
        "command.hand_over.environment": written(hand_over.get("environment")),
        "command.directory": command.get("directory", ""),
    }


def _brief(parameters: Any) -> dict[str, Any]:
    """Parameters without what is the default of each."""
    return {name: of_new(one) for name, one in (parameters or {}).items()}


def _does(does: str, form: Form) -> Any:
    if does == "python":
        what = form.text("python.what")
        if not what.endswith(".py"):
            return {"call": what}
        check_path(what, "python.file")
        return of_new({"file": what, "function": form.text("python.function")})
    if does == "command":
        words = [line for line in form.raw("command.words").split("\n") if line]
        check_path(words[0] if words and "/" in words[0] else "", "command.words")
        handed = {
            "by": form.text("command.hand_over.by"),
            "environment": _map(form, "command.hand_over.environment"),
        }
        directory = form.text("command.directory")
        check_path(directory, "command.directory")
        return {"words": words, **of_new({"hand_over": handed, "directory": directory})}
    steps = read_text(form.raw("steps"), "steps").data
    if steps is not None and not isinstance(steps, Sequence | Mapping):
        raise InvalidValue("steps", "give a list: each step begins with a hyphen", line=1)
    return steps


def _map(form: Form, field: str) -> dict[str, Any]:
    text: YamlText = read_text(form.raw(field), field)
    if text.data is not None and not isinstance(text.data, Mapping):
        raise InvalidValue(field, "give NAME: ..., one below the other", line=1)
    return dict(text.data or {})

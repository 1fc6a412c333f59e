"""The parameters of a run: what somebody said, held against what its job declares (pure)."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from typing import Any

from postroom.errors import InvalidValue, UnknownField
from postroom.fields import nearest
from postroom.jobs.job import Job, Parameter
from postroom.jobs.store import json_bytes

__all__ = ["arguments", "check_defaults"]

MOST_BYTES = 64 * 1024


def arguments(job: Job, given: Mapping[str, Any]) -> dict[str, Any]:
    """The value of every parameter; texts are read as the type that is declared.

    Raises UnknownField with the nearest name, InvalidValue for one that is needed or of another type.
    """
    for name in given:
        if name not in job.parameters:
            close = nearest(name, job.parameters)
            known = (
                f"Parameters: {', '.join(job.parameters)}." if job.parameters else "It has none."
            )
            raise UnknownField(
                f"Job {job.name} has no parameter {name!r}.",
                hint=f"Did you mean {close}?" if close else known,
                field=name,
            )
    found = {}
    for name, one in job.parameters.items():
        value = given.get(name, one.default)
        if value is None:
            raise InvalidValue(
                name, f"is needed to run job {job.name}, and has no default",
                hint=f"By hand it is given so: postroom job run {job.name} -p {name}=VALUE",
            )  # fmt: skip
        found[name] = _read(name, one, value)
    try:
        size = json_bytes(found)
    except ValueError as error:
        raise InvalidValue("parameters", f"are kept as JSON: {error}") from None
    if size > MOST_BYTES:
        raise InvalidValue("parameters", f"are larger than {MOST_BYTES // 1024} KiB in all")
    return found


def check_defaults(job: Job) -> None:
    """What a schedule begins has no one to ask: every parameter has a default, of its type.

    Raises InvalidValue.
    """
    for name, one in job.parameters.items():
        if one.default is not None:
            _read(f"parameters.{name}.default", one, one.default)
        elif job.schedule is not None:
            raise InvalidValue(
                f"parameters.{name}.default",
                "is needed: nobody is asked when its schedule begins it",
            )


def _read(name: str, one: Parameter, value: Any) -> Any:
    read = {
        "text": _text,
        "number": _number,
        "yes or no": _yes_or_no,
        "date": _date,
        "list": _list,
    }[one.type]
    try:
        return read(value)
    except ValueError as error:
        raise InvalidValue(name, str(error)) from None


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("give a text")
    return str(value)


def _number(value: Any) -> int | float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    for kind in (int, float):
        try:
            found = kind(value)
        except (TypeError, ValueError):
            continue
        if math.isfinite(found):
            return found
    raise ValueError("give a number")


def _yes_or_no(value: Any) -> bool:
    known = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
    if isinstance(value, bool):
        return value
    if str(value).casefold() not in known:
        raise ValueError("give yes or no")
    return known[str(value).casefold()]


def _date(value: Any) -> str:
    try:
        return dt.date.fromisoformat(str(value)).isoformat()
    except ValueError:
        raise ValueError("give a date such as 2027-01-31") from None


def _list(value: Any) -> list[Any]:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    if not isinstance(value, list):
        raise ValueError("give a list, or a text with commas")
    return value

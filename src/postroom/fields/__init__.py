"""Fields: every setting is declared once; forms, flags, JSON Schema, docs and masks follow from it.

A declaration is a pydantic model derived from :class:`Fields` whose members are made by
:func:`field`.  :func:`parse` turns input into it with errors a person can use (and that never
repeat the input), :func:`describe` lists what was declared, :func:`shown` writes it back.
"""

from postroom.fields.declare import Fields, field
from postroom.fields.described import Described, describe, model_of, sealed_in
from postroom.fields.record import assign, nearest, parse, shown
from postroom.fields.timetable import next_time
from postroom.fields.values import (
    Date,
    Duration,
    Name,
    Rate,
    Regex,
    Size,
    check_name,
    check_waits,
    format_size,
    made_absolute,
    parse_size,
)

__all__ = [
    "Date",
    "Described",
    "Duration",
    "Fields",
    "Name",
    "Rate",
    "Regex",
    "Size",
    "assign",
    "check_name",
    "check_waits",
    "describe",
    "field",
    "format_size",
    "made_absolute",
    "model_of",
    "nearest",
    "next_time",
    "parse",
    "parse_size",
    "sealed_in",
    "shown",
]

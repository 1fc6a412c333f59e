"""What macros stand for, for ``postroom explain macros`` and the docs."""

from __future__ import annotations

from typing import Final

__all__ = ["MACROS", "STEP_MACROS"]

MACROS: Final[dict[str, tuple[str, str]]] = {
    "var": ("${NAME}, ${var:NAME}, ${lay:NAME}", "A variable of the room."),
    "env": (
        "${env:NAME}",
        "An environment variable of the process, once `postroom variable allow-env NAME` allows it.",
    ),
    "mail": (
        "${mail:folder}, ${mail:from}, ${mail:subject}, ${mail:received}",
        "Facts of a message; only in `name_template` and in the path of a sink, where they are made "
        "safe file names. `from` is the bare address.",
    ),
    "date": (
        "${date:FORMAT}",
        "When the message was first seen, in UTC, such as `${date:%Y-%m-%d}`; in the same places, and in "
        "the steps of a job: when the run began.",
    ),
    "localhost": ("${localhost:canonical-name}", "The name of this host."),
}

STEP_MACROS: Final[dict[str, tuple[str, str]]] = {
    "param": ("${param:NAME}", "A parameter of the job."),
    "step": ("${step:NAME.FIELD}", "What an earlier step gave, such as `${step:found.ids}`."),
    "item": ("${item}, ${item:FIELD}", "The present one of a `for_each`."),
    "run": (
        "${run:id}, ${run:job}, ${run:started}, ${run:attempt}",
        "Facts of the run.",
    ),
    "message": (
        "${message:folder}, ${message:from}, ${message:subject}, ${message:received}, ${message:id}, "
        "${message:message_id}",
        "Facts of the message that started the run.",
    ),
}
"""Those that stand only in the steps of a job, and in the words of its command."""

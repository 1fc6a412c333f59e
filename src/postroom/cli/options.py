"""The options that every verb has; they may stand anywhere in the command line."""

from __future__ import annotations

import dataclasses
from typing import Final

from postroom.errors import WrongUse

__all__ = [
    "ABOUT",
    "BEGIN",
    "EVERY_OPTION",
    "EVERY_VERB",
    "GLOBAL_HELP",
    "OPTIONS",
    "Options",
    "take_options",
]

ABOUT: Final = "Postroom gives applications and jobs working email, and gives nobody a password."

BEGIN: Final = "Begin with: postroom demo, or postroom init. Each noun: postroom NOUN --help"

EVERY_OPTION: Final = {
    "--room PATH": "The room's directory (or POSTROOM_ROOM).",
    "--kek SOURCE": "Where its key is, such as file:PATH (or POSTROOM_KEK).",
    "--json": "One JSON document on standard output.",
    "-y, --yes": "Do not ask.",
    "-v, --verbose": "Log to standard error.",
}
"""The options that may stand with every verb, and what they do."""

GLOBAL_HELP: Final = "Every verb takes these: " + " ".join(
    f"{flag}: {about}" for flag, about in EVERY_OPTION.items()
)

EVERY_VERB: Final = (
    "Every verb takes --room, --kek, --json, --yes and --verbose: see postroom --help."
)


@dataclasses.dataclass(slots=True)
class Options:
    """What was said for the command as a whole."""

    room: str | None = None
    kek: str | None = None
    json: bool = False
    yes: bool = False
    verbose: bool = False
    logs: bool = False
    """Standard error is a log that programs read: what people are told there is a JSON line too."""


OPTIONS = Options()
"""Those of this process: one process runs one command."""

_VALUED = {"--room": "room", "--kek": "kek"}
_FLAGS = {"--json": "json", "--yes": "yes", "-y": "yes", "--verbose": "verbose", "-v": "verbose"}


def take_options(argv: list[str]) -> list[str]:
    """Take these options out of a command line, up to ``--``, into :data:`OPTIONS`; give the rest."""
    for field in dataclasses.fields(Options):
        setattr(OPTIONS, field.name, field.default)
    rest: list[str] = []
    # known first: what is wrong with the others is then said as JSON too
    OPTIONS.json = "--json" in (argv[: argv.index("--")] if "--" in argv else argv)
    words = iter(argv)
    for word in words:
        name, has_value, value = word.partition("=")
        if word == "--":
            return [*rest, word, *words]
        if name in _VALUED:
            given = value if has_value else next(words, None)
            if not given:
                raise WrongUse(f"{name} needs a value.")
            setattr(OPTIONS, _VALUED[name], given)
        elif word in _FLAGS:
            setattr(OPTIONS, _FLAGS[word], True)
        else:
            rest.append(word)
    return rest

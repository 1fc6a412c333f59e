"""What a meaning is made of: a sentence, the usual cause, what to do, and whether trying again helps."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

__all__ = ["AGAIN", "Again", "Meaning"]

Again = Literal["yes", "no", "sometimes"]


class Meaning(NamedTuple):
    """What a code means; ``again``: whether the same request may work later without a change."""

    means: str
    cause: str
    do: str
    again: Again = "no"


AGAIN: Final[dict[Again, str]] = {
    "yes": "Temporary: the same may work later, without a change.",
    "no": "Not temporary: trying the same again does not help until something is changed.",
    "sometimes": "It depends on the case; the error itself says which (`temporary`).",
}

"""Where a stored secret would go elsewhere: the lines are shown, and agreed to one by one or not at all."""

from __future__ import annotations

import json

from postroom.errors import PostroomError
from postroom.web.form import Form

__all__ = ["Pair", "agreed", "pairs_of"]

Pair = tuple[str, str]
"""A credential, or a sign-in, and a line of where it may go."""


def agreed(form: Form) -> frozenset[Pair]:
    """What somebody was shown and has agreed to with this form; nothing unless they pressed that button."""
    if not form.ticked("rebind"):
        return frozenset()
    return frozenset(_pairs(form))


def pairs_of(error: PostroomError | None, form: Form) -> list[tuple[str, str, str]]:
    """What is to be asked about: the credential, the line, and both as the form carries them.

    Empty unless the error asks.  What was agreed to before is asked about again, with it.
    """
    if error is None or error.code != "secret_reentry_required":
        return []
    new = {(str(error.facts["credential"]), str(line)) for line in error.facts["lines"]}
    return [(*pair, json.dumps(pair)) for pair in sorted(new | set(agreed(form)))]


def _pairs(form: Form) -> list[Pair]:
    found = []
    for text in form.texts("line"):
        try:
            credential, line = json.loads(text)
        except (ValueError, TypeError):
            continue
        found.append((str(credential), str(line)))
    return found

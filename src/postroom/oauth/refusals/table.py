"""One row of what refusals mean: a sentence, an action, and whether trying again makes sense."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Meaning"]


class Meaning(NamedTuple):
    """What a refusal means to a person.

    ``key`` is the code or name that the server says.  ``sign_in``: the grant of a person has ended
    for certain, so that only a new sign-in helps; a refusal that an administrator or a setting can
    lift is permanent, but the stored sign-in may still be good afterwards.  ``of_scopes``: it is
    these scopes that nobody consented to; others of the same sign-in are as good as before.
    """

    key: str
    sentence: str
    action: str
    temporary: bool = False
    sign_in: bool = False
    of_scopes: bool = False

"""Passwords of people: Argon2id (RFC 9106) in PHC form, with a floor that a database row cannot lower."""

from __future__ import annotations

import asyncio
import functools
import os
import re
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from postroom.errors import InvalidValue
from postroom.secret import Secret

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

__all__ = [
    "LONGEST",
    "SHORTEST",
    "check_password",
    "hash_password",
    "is_old",
    "is_sound",
    "verify_password",
]

SHORTEST: Final = 12
"""Characters that a password of a person needs at least."""
LONGEST: Final = 1024


T = TypeVar("T")


class _Cost(NamedTuple):
    """Memory in KiB, passes, lanes."""

    memory: int
    passes: int
    lanes: int


# 64 MiB and 2 passes: dearer than every row of OWASP's cheat sheet on password storage.  One lane: the
# others would take the cores of whoever else is being served.
_COST: Final = _Cost(64 * 1024, 2, 1)
# Its cheapest row is the floor: who edits a row to make guessing cheap is refused ...
_FLOOR: Final = _Cost(19 * 1024, 2, 1)
# ... and so is who edits it to exhaust the machine.
_CEILING: Final = _Cost(1024 * 1024, 16, 16)
_NOBODY: Final = "$argon2id$v=19$m={},t={},p={}${}${}".format(*_COST, "A" * 22, "A" * 43)
"""Of no password that anybody knows: it is compared where there is no user, so that both cost the same."""
_AT_ONCE: Final = 2
"""Hashes that are made at a time: each holds its memory."""
_PHC: Final = re.compile(
    r"\$argon2id\$v=19\$m=(\d{1,10}),t=(\d{1,10}),p=(\d{1,10})\$([A-Za-z0-9+/]{22,86})\$([A-Za-z0-9+/]{43,86})"
)


def check_password(password: Secret, *known: str) -> None:
    """Raise InvalidValue for a password that is short, long, or made of what others know (``known``).

    Nothing else is asked for (NIST SP 800-63B: no rules of composition, no expiry).
    """
    text = _normal(password)
    if len(text) < SHORTEST:
        raise InvalidValue(
            "password", f"it is shorter than {SHORTEST} characters; take four or five random words"
        )
    if len(text) > LONGEST:
        raise InvalidValue("password", f"it is longer than {LONGEST} characters")
    bare = text.casefold()
    for word in ("postroom", "password", *known):
        if word:
            bare = bare.replace(word.casefold(), "")
    if len(set(bare)) < 5:
        raise InvalidValue(
            "password", "it is easily guessed; take four or five random words instead"
        )


async def hash_password(password: Secret) -> str:
    """The password as it is kept."""
    return await _in_turn(_hash, password)


async def verify_password(password: Secret, kept: str) -> bool:
    """Whether a password is the one that is kept.

    It costs the same where none is (``kept`` is empty), or one below the floor, which nothing passes.
    """
    return await _in_turn(_verify, password, kept)


def is_sound(kept: str) -> bool:
    """Whether a password is kept in a way that is accepted: neither below the floor nor beyond reason."""
    cost = _cost_of(kept)
    return cost is not None and not any(map(_outside, cost, _FLOOR, _CEILING))


def is_old(kept: str) -> bool:
    """Whether a password is kept in another way than it would be today."""
    return _cost_of(kept) != _COST


async def _in_turn(work: Callable[..., T], *given: object) -> T:
    return await asyncio.get_running_loop().run_in_executor(_threads(), work, *given)


@functools.cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="passwords")


def _hash(password: Secret) -> str:
    return _argon2id(os.urandom(16)).derive_phc_encoded(_normal(password).encode())


def _verify(password: Secret, kept: str) -> bool:
    from cryptography.exceptions import InvalidKey
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    sound = is_sound(kept)
    try:
        Argon2id.verify_phc_encoded(_normal(password).encode(), kept if sound else _NOBODY)
    except InvalidKey:
        return False
    return sound


def _outside(value: int, least: int, most: int) -> bool:
    return not least <= value <= most


def _cost_of(kept: str) -> _Cost | None:
    found = _PHC.fullmatch(kept)
    return None if found is None else _Cost(int(found[1]), int(found[2]), int(found[3]))


def _argon2id(salt: bytes) -> Argon2id:
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    return Argon2id(
        salt=salt,
        length=32,
        iterations=_COST.passes,
        lanes=_COST.lanes,
        memory_cost=_COST.memory,
    )


def _normal(password: Secret) -> str:
    """Brought to NFC, since keyboards differ (RFC 8265 section 4.2)."""
    return unicodedata.normalize("NFC", password.reveal())

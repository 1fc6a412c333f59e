"""Passwords of people: what is kept of one, what passes, and the floor below which nothing does."""

from __future__ import annotations

import re

import pytest

from postroom.access.passwords import (
    check_password,
    hash_password,
    is_old,
    is_sound,
    verify_password,
)
from postroom.errors import InvalidValue
from postroom.secret import Secret

pytestmark = pytest.mark.usefixtures("true_cost")


async def test_what_is_kept_of_a_password_says_how_it_was_made_and_is_never_twice_the_same() -> (
    None
):
    one = await hash_password(Secret("correct horse battery"))
    two = await hash_password(Secret("correct horse battery"))
    assert re.match(r"\$argon2id\$v=19\$m=65536,t=2,p=1\$", one)
    assert one != two
    assert await verify_password(Secret("correct horse battery"), one)
    assert not await verify_password(Secret("correct horse batterY"), one)
    assert is_sound(one)
    assert not is_old(one)


async def test_the_same_letters_typed_on_another_keyboard_are_the_same_password() -> None:
    """RFC 8265 section 4.2: a letter with its mark, and a letter and a mark."""
    kept = await hash_password(Secret("caf\u00e9 caf\u00e9 caf\u00e9 ole"))
    assert await verify_password(Secret("cafe\u0301 cafe\u0301 cafe\u0301 ole"), kept)


@pytest.mark.parametrize(
    "cost", ["m=8,t=2,p=1", "m=19455,t=2,p=1", "m=65536,t=1,p=1", "m=99999999,t=2,p=1", "m=65536,t=99,p=1"]
)  # fmt: skip
async def test_a_hash_below_the_floor_or_beyond_reason_lets_nobody_in(cost: str) -> None:
    """T24: who edits the row to make guessing cheap, or to exhaust the machine, is refused."""
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    weak = Argon2id(salt=bytes(16), length=32, iterations=2, lanes=1, memory_cost=64)
    kept = weak.derive_phc_encoded(b"correct horse battery")
    edited = kept.replace("m=64,t=2,p=1", cost)
    assert edited != kept
    for each in (kept, edited):
        assert not is_sound(each)
        assert not await verify_password(Secret("correct horse battery"), each)


@pytest.mark.parametrize(
    "kept", ["", "correct horse battery", "$argon2i$v=19$m=65536,t=2,p=1$aaaa$bbbb", "$2b$12$x"]
)
async def test_what_is_no_hash_of_ours_lets_nobody_in(kept: str) -> None:
    assert not await verify_password(Secret("correct horse battery"), kept)


@pytest.mark.parametrize(
    ("password", "says"),
    [
        ("a little", "shorter than 12"),
        ("x" * 1025, "longer than 1024"),
        ("aaaaaaaaaaaaaaaa", "easily guessed"),
        ("annannannannann1", "easily guessed"),
        ("postroompostroom12", "easily guessed"),
        ("Password123123", "easily guessed"),
    ],
)
def test_a_password_that_is_easily_guessed_is_refused(password: str, says: str) -> None:
    with pytest.raises(InvalidValue, match=says) as refused:
        check_password(Secret(password), "ann")
    assert password not in str(refused.value)


def test_nothing_else_is_asked_of_a_password() -> None:
    for fine in ("correct horse battery", "lauter kleine worte hier", "x9$Kq2!vB7&n"):
        check_password(Secret(fine), "ann", "")
        with pytest.raises(InvalidValue):  # and what was fine is not, of whoever is called so
            check_password(Secret(fine), fine, "")

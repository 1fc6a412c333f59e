"""What all targets share: their names, their corpus, the time one input may take, and splits."""

from __future__ import annotations

import importlib
import itertools
import random
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

__all__ = ["CORPUS", "LONGEST", "TARGETS", "TooSlow", "split", "splits", "target", "timed"]

CORPUS = Path(__file__).parent / "corpus"
"""One folder a target; every file in it is an input."""

LONGEST = 2.0
"""Seconds of processor time that one input may take."""

TARGETS = (
    "addresses", "charsets", "draft", "filenames", "headers", "imap", "macros", "message",
    "names", "oauth", "pop3", "roomfile", "seal", "smtp",
)  # fmt: skip


class TooSlow(AssertionError):
    """One input took longer than ``LONGEST``."""


class Target(NamedTuple):
    """One reader: its entry, the words its inputs are made of, and the inputs that are kept."""

    name: str
    check: Callable[[bytes], None]
    words: tuple[bytes, ...]

    def corpus(self) -> list[Path]:
        """Its files, in order."""
        return sorted((CORPUS / self.name).iterdir())


def target(name: str) -> Target:
    """The target of that name, imported now: whoever watches its coverage begins before."""
    module = importlib.import_module(f"tests.fuzz.{name}")
    return Target(name, timed(module.check), module.WORDS)


def timed(check: Callable[[bytes], None]) -> Callable[[bytes], None]:
    """The same entry; it raises TooSlow over ``LONGEST``, waiting for the processor not counted."""

    def run(data: bytes) -> None:
        begin = time.process_time()
        check(data)
        took = time.process_time() - begin
        if took > LONGEST:
            raise TooSlow(f"{took:.1f} s for {len(data)} bytes")

    return run


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    """The bytes cut at these places, which count modulo their number; no piece is empty."""
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(places) if a < b]


def splits(data: bytes) -> Iterator[list[bytes]]:
    """Some ways to cut the bytes, always the same for the same bytes: in two, in many, in all."""
    chosen = random.Random(zlib.crc32(data))
    yield split(data, [chosen.randrange(len(data) + 1)])
    yield split(data, [chosen.randrange(len(data) + 1) for _ in range(8)])
    if len(data) <= 400:
        yield split(data, list(range(len(data))))

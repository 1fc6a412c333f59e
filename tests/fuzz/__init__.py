"""Fuzzing (T83): for every reader of bytes that strangers wrote, one entry and the corpus it has met.

A target is a module here with two names: ``check(data)``, which raises for whatever must not be, and
``WORDS``, what such bytes are made of.  ``make fuzz`` searches with coverage as its guide
(:mod:`tests.fuzz.search`); ``tests/unit/test_fuzz.py`` replays the corpus and tries some more.
"""

from __future__ import annotations

__all__: list[str] = []

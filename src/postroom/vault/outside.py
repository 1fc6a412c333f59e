"""KEK sources of other packages: an entry point of the group ``postroom.kek`` for each kind.

The entry point's name is the word before the colon of ``--kek KIND:REFERENCE``; it leads to a
function ``load(reference: str) -> bytes | str`` that gives 32 bytes, or a text as a key file has it.
TimeoutError and ConnectionError (and what derives from them) mean that trying again makes sense.
"""

from __future__ import annotations

import importlib.metadata
import queue
import threading
from typing import Any, Final

from postroom.errors import Locked
from postroom.secret import Secret
from postroom.vault.keyfile import parse_key
from postroom.vault.seal import KEY_BYTES

__all__ = ["GROUP", "WAIT_SECONDS", "kinds", "load_outside"]

GROUP: Final = "postroom.kek"
WAIT_SECONDS: Final = 30.0
"""A key service that says nothing for so long does not answer."""


def kinds() -> set[str]:
    """The kinds of source that installed packages add."""
    return {each.name for each in importlib.metadata.entry_points(group=GROUP)}


def load_outside(kind: str, reference: str, *, seconds: float = WAIT_SECONDS) -> Secret:
    """The key that a package gives for ``kind:reference``.

    Raises Locked: ``key_missing`` when it gives none (``temporary`` if it could not be reached),
    ``key_unsafe`` when what it gives is no key.  What the package says in its error is not shown:
    nobody knows what stands in it.
    """
    [found] = importlib.metadata.entry_points(group=GROUP, name=kind)
    answer: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def call() -> None:
        try:
            answer.put(found.load()(reference))
        except Exception as error:  # noqa: BLE001  # foreign code: whatever it raises is a refusal
            answer.put(error)

    # a daemon: a client that hangs must not keep the process from saying so and ending
    threading.Thread(target=call, name=f"postroom-kek-{kind}", daemon=True).start()
    try:
        given = answer.get(timeout=seconds)
    except queue.Empty:
        given = TimeoutError()
    if isinstance(given, Exception):
        raise _refusal(f"{kind}:{reference}", given)
    if isinstance(given, bytes) and len(given) == KEY_BYTES:
        return Secret(given)
    if isinstance(given, str):
        return parse_key(given, f"What {kind}:{reference} gives")
    raise Locked(
        f"What {kind}:{reference} gives is no key: it should be {KEY_BYTES} bytes.",
        code="key_unsafe",
        hint=f"The package that adds {kind}: must be put right.",
    )


def _refusal(source: str, error: Exception) -> Locked:
    temporary = isinstance(error, TimeoutError | ConnectionError)
    return Locked(
        f"The key source {source} did not answer."
        if temporary
        else f"The key source {source} gave no key ({type(error).__name__}).",
        code="key_missing",
        temporary=temporary,
        hint="Try again when it does."
        if temporary
        else "Look at the settings and the log of that key service.",
    )

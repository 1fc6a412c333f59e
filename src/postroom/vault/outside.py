"""KEK sources of other packages: an entry point of the group ``postroom.kek`` for each kind.

The entry point's name is the word before the colon of ``--kek KIND:REFERENCE``; it leads to a
function ``load(reference: str) -> bytes | str`` that gives 32 bytes, or a text as a key file has it.
TimeoutError and ConnectionError (and what derives from them) mean that trying again makes sense: it
is tried again a few times here, and then the room opens locked with the exit status for that.
"""

from __future__ import annotations

import importlib.metadata
import queue
import threading
import time
from typing import Any, Final

from postroom.errors import Locked
from postroom.secret import Secret
from postroom.vault.keyfile import parse_key
from postroom.vault.seal import KEY_BYTES

__all__ = ["GROUP", "PAUSES", "WAIT_SECONDS", "kinds", "load_outside"]

GROUP: Final = "postroom.kek"
_TEMPORARY: Final = (TimeoutError, ConnectionError)
WAIT_SECONDS: Final = 30.0
"""A key service that says nothing for so long does not answer."""
PAUSES: Final = (0.3, 1.0, 3.0)
"""Seconds before each further try: a throttled service wants a pause, a person an answer."""


def kinds() -> set[str]:
    """The kinds of source that installed packages add."""
    return {each.name for each in importlib.metadata.entry_points(group=GROUP)}


def load_outside(kind: str, reference: str, *, seconds: float | None = None) -> Secret:
    """The key that a package gives for ``kind:reference``.

    All its tries end within ``seconds`` (WAIT_SECONDS).  Raises Locked: ``key_unreachable`` when it
    cannot be reached (``temporary``), ``key_missing`` when it gives none, ``key_unsafe`` when what it
    gives is no key.  What the package says in its error is not shown: nobody knows what stands in it.
    """
    [found] = importlib.metadata.entry_points(group=GROUP, name=kind)
    answer: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def asked() -> Any:
        try:
            return found.load()(reference)
        except Exception as error:  # noqa: BLE001  # foreign code: whatever it raises is a refusal
            return error

    def call() -> None:
        given = asked()
        for pause in PAUSES:
            if not isinstance(given, _TEMPORARY):
                break
            time.sleep(pause)
            given = asked()
        answer.put(given)

    # a daemon: a client that hangs must not keep the process from saying so and ending
    threading.Thread(target=call, name=f"postroom-kek-{kind}", daemon=True).start()
    try:
        given = answer.get(timeout=WAIT_SECONDS if seconds is None else seconds)
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
    if isinstance(error, _TEMPORARY):
        return Locked(
            f"The key source {source} did not answer.",
            code="key_unreachable",
            temporary=True,
            hint="Try again when it does.",
        )
    return Locked(
        f"The key source {source} gave no key ({type(error).__name__}).",
        code="key_missing",
        hint="Look at the settings and the log of that key service.",
    )

"""The search (T83): ``python -m tests.fuzz.search SECONDS [TARGET...]`` lets atheris loose on the targets.

One process a target, guided by the coverage of ``postroom``, from the corpus on.  What it learns lies
in ``.fuzz`` and is taken up again; an input that breaks a target ends its search and lies there too.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.fuzz.target import CORPUS, LONGEST, TARGETS

__all__ = ["main", "search"]

KEPT: Final = Path(__file__).parents[2] / ".fuzz"
MEGABYTES: Final = 512
"""Of memory that one target may have in all, and of one allocation."""

ONE: Final = """
import sys
import atheris
name, options = sys.argv[1], sys.argv[2:]
with atheris.instrument_imports(include=["postroom"]):
    from tests.fuzz.target import target
    check = target(name).check
atheris.Setup([name, *options], check)
atheris.Fuzz()
"""


def search(name: str, seconds: int) -> tuple[int, str]:
    """How many inputs one target was given, and what broke it (an empty text: nothing)."""
    learned = KEPT / name
    learned.mkdir(parents=True, exist_ok=True)
    words = KEPT / f"{name}.words"
    words.write_text("".join(f'"{_quoted(word)}"\n' for word in _words(name)))
    options = (
        str(learned),
        str(CORPUS / name),
        f"-dict={words}",
        f"-max_total_time={seconds}",
        f"-rss_limit_mb={MEGABYTES}",
        f"-timeout={int(10 * LONGEST)}",  # by the clock; the target itself measures the processor
        "-max_len=4096",
        "-print_final_stats=1",
        f"-artifact_prefix={KEPT}/{name}-",
    )
    done = subprocess.run(
        [sys.executable, "-c", ONE, name, *options], capture_output=True, check=False
    )
    said = (done.stdout + done.stderr).decode("utf-8", "backslashreplace")
    runs = re.search(r"number_of_executed_units: (\d+)|^#(\d+)\s+DONE", said, re.MULTILINE)
    count = int(runs[1] or runs[2]) if runs else 0
    told = re.sub(r"(?m)^(?:#\d|INFO:|stat::).*\n", "", said)  # without its progress
    return count, "" if done.returncode == 0 else told or f"exit {done.returncode}"


def main(words: list[str]) -> int:
    """Search each target; 1 when one was broken, 2 for a word that is none."""
    seconds, names = words[:1], words[1:] or TARGETS
    if not seconds or not seconds[0].isdecimal() or set(names) - set(TARGETS):
        print(f'usage: make fuzz SECONDS=60 TARGETS="{" ".join(TARGETS)}"', file=sys.stderr)
        return 2
    broken = 0
    for name in names:
        count, said = search(name, int(seconds[0]))
        broken += bool(said)
        if said:
            print(said)
        state = "BROKEN" if said else "ok    "
        print(f"  {state}{name:14}{count:12,} inputs", flush=True)
    if broken:
        print(
            f"Copy the input into {CORPUS.relative_to(KEPT.parent)}/TARGET, then mend the reader."
        )
    return int(bool(broken))


def _words(name: str) -> tuple[bytes, ...]:
    from tests.fuzz.target import target

    return target(name).words


def _quoted(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

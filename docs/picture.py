"""Draw docs/images/demo.svg from what a real run of the demo prints: ``python -m docs.picture``."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

__all__ = ["captured", "main", "picture"]

HERE = Path(__file__).parent
WIDTH = 92
_FONTS = re.compile(r"@font-face\s*{[^}]*}\s*")


def captured() -> str:
    """What ``make demo`` prints in a clone that is set up, run in a directory of its own."""
    with tempfile.TemporaryDirectory(prefix="postroom-picture-") as directory:
        command = Path(directory, ".venv", "bin", "postroom")  # where make demo has it
        command.parent.mkdir(parents=True)
        command.write_text("import sys\nfrom postroom.cli import main\nsys.exit(main())\n")
        done = subprocess.run(  # noqa: S603  # our own program
            [sys.executable, str(command.relative_to(directory)), "demo"],
            cwd=directory,
            env={
                "PYTHONPATH": str(HERE.parent / "src"),
                "PATH": "/usr/bin:/bin",
                "HOME": directory,
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=True,
            timeout=120,
        )
        return done.stdout.replace(directory, "~")


def picture(text: str) -> str:
    """The text as an SVG of a terminal, without fonts from elsewhere."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(Text("$ make demo", style="bold"))
    for line in text.rstrip("\n").splitlines():
        console.print(Text(line, style=_style(line)), soft_wrap=True)
    return _FONTS.sub("", console.export_svg(title="Postroom", unique_id="demo"))


def _style(line: str) -> str:
    if re.match(r"\d+\. ", line):
        return "cyan"
    return "bold green" if re.match(r"[A-Z]", line) else ""


def main() -> int:
    """Run the demo and draw it."""
    (HERE / "images").mkdir(exist_ok=True)
    (HERE / "images" / "demo.svg").write_text(picture(captured()), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

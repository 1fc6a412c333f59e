"""The root of the command line: the table of verbs, the options of all of them, errors and exits."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import traceback
from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperGroup

from postroom.cli import show
from postroom.cli.options import GLOBAL_HELP, OPTIONS, take_options
from postroom.errors import FAILED, PostroomError
from postroom.secret import Scrubber, open_secrets

__all__ = ["VERBS", "Root", "report", "run"]

VERBS: Final[dict[str, tuple[str, str]]] = {
    "demo": ("demo.verb", "Show it all: collect and send over real servers on this machine."),
    "init": ("room", "Make a room and its key."),
    "apply": ("room", "Make the room what a room file says; shows the plan first."),
    "export": ("room", "Write the room as a room file, without secrets."),
    "send": ("send", "Send a message through the outbox."),
    "worker": ("work", "Collect for every source and send for every service, until stopped."),
    "explain": ("explain", "Explain a noun, a credential type, a sink or an error code."),
    "credential": ("credential", "Sealed credentials: add, set, list, show, test, delete, usage."),
    "connection": ("connection", "Email connections: add, set, list, show, test, delete, usage."),
    "source": ("source", "Sources: add, run, watch, ledger, release, reset."),
    "service": ("service", "Services to send with: add, set, list, show, delete."),
    "outbox": ("outbox", "The outbox: list, show, drain, hold, release, retry, cancel."),
    "mail": ("mail", "Messages in folders: list, search, read, save, move, copy, flag, delete."),
    "variable": ("variable", "Variables of the room, for macros."),
    "keys": ("keys", "The room's keys: status."),
    "audit": ("audit", "The audit record: list, verify."),
}
"""Verb or noun: the module in this package that has it (as ``app``), and one line about it."""


class Root(TyperGroup):
    """Knows every verb by name and loads the module of the one that is used."""

    def list_commands(self, ctx: Any) -> list[str]:
        """In the order of the table."""
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Load the verb; None when there is none of that name."""
        if cmd_name not in VERBS:
            return None
        module = import_module(f"postroom.cli.{VERBS[cmd_name][0]}")
        command = typer.main.get_command(module.app)
        return getattr(command, "commands", {}).get(cmd_name, command)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The help of the root, without loading a single verb."""
        with formatter.section("Verbs and nouns"):
            formatter.write_dl([(name, about) for name, (_, about) in VERBS.items()])


app = typer.Typer(
    cls=Root,
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    help="Postroom gives applications and jobs working email, and gives nobody a password.",
    epilog=GLOBAL_HELP,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _root() -> None:
    """Postroom gives applications and jobs working email, and gives nobody a password."""


def run(argv: list[str]) -> int:
    """Run one command; whatever goes wrong becomes one sentence and an exit status."""
    try:
        rest = take_options(argv)
        return _status(
            typer.main.get_command(app)(args=rest, prog_name="postroom", standalone_mode=False)
        )
    except PostroomError as error:
        return report(error)
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # whoever read our output has gone; keep the interpreter from saying so at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:  # noqa: BLE001  # the roof: nothing is above to hear of it
        shown = getattr(error, "format_message", None)  # a usage error of the parser
        if shown is None:
            return _mistake(error)
        print(f"postroom: {shown()}", file=sys.stderr)
        context = getattr(error, "ctx", None)
        if context is not None:
            print(f"Try: {context.command_path} --help", file=sys.stderr)
        return 2


def _status(result: Any) -> int:
    return result if isinstance(result, int) else 0


def _mistake(error: Exception) -> int:
    """A mistake of ours: where it happened, for a bug report, without any secret that is open."""
    told = "".join(traceback.format_exception(error))
    print(Scrubber(open_secrets()).text(told), end="", file=sys.stderr)
    return FAILED


def report(error: PostroomError) -> int:
    """Say what went wrong: a sentence for people, or the same as JSON; gives the exit status."""
    if OPTIONS.json:
        print(json.dumps({"v": 1, **error.as_json()}, default=str))
        return error.exit_status
    print(f"postroom: {show.plain(error.sentence)}", file=sys.stderr)
    said = getattr(error, "said", "")
    if said:
        print(f"  they said: {show.plain(said)}", file=sys.stderr)
    for line in error.facts.get("lines", ()) if error.code == "secret_reentry_required" else ():
        print(f"  {line}", file=sys.stderr)
    if error.hint:
        print(f"  {show.plain(error.hint)}", file=sys.stderr)
    with contextlib.suppress(OSError):
        sys.stderr.flush()
    return error.exit_status

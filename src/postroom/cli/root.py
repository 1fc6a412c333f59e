"""The root of the command line: the table of verbs, the options of all of them, errors and exits."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from importlib import import_module
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from postroom import __version__
from postroom.cli import show
from postroom.cli.options import ABOUT, BEGIN, EVERY_OPTION, OPTIONS, take_options
from postroom.cli.wronguse import no_such_verb, wrong_use
from postroom.errors import FAILED, OK, WRONG_USE, PostroomError, WrongUse
from postroom.secret import Scrubber, open_secrets

__all__ = ["VERBS", "Root", "report", "run"]

VERBS: Final[dict[str, tuple[str, str]]] = {
    "demo": ("demo.verb", "Show it all: collect and send over real servers on this machine."),
    "init": ("room", "Make a room and its key."),
    "apply": ("room", "Make the room what a room file says; the plan comes first."),
    "export": ("room", "Write the room as a room file, without secrets."),
    "upgrade": ("room", "Bring a room of an earlier release to this one; a copy is kept."),
    "send": ("send", "Send a message through the outbox."),
    "exec": ("execute", "Run a program with a stored credential, for shell scripts."),
    "serve": ("serve", "Serve the room: web page, REST API and worker in one process."),
    "worker": ("work", "Collect for every source, send for every service, run jobs."),
    "explain": ("explain", "What a noun, a type, a sink or any error is, of any program."),
    "guide": ("guide", "How an app is registered at Microsoft or Google, with the values to copy."),
    "status": ("status", "How the room is, what is in it, and what needs a person."),
    "account": ("account", "Email accounts, connected at once: recognise, test, connect."),
    "credential": ("credential", "Sealed credentials: add, set, list, show, test ..."),
    "connection": ("connection", "Email connections: add, set, list, show, test, log ..."),
    "source": ("source", "Mail collected: add, run, watch, ledger, release ..."),
    "service": ("service", "Mail sent: add, set, list, show ..."),
    "outbox": ("outbox", "What waits and was sent: list, show, drain, retry ..."),
    "mail": ("mail", "Messages in folders: list, search, read, save, reply ..."),
    "job": ("job", "Jobs with credentials and mail: list, run, runs, log, cancel ..."),
    "notify": ("notify", "Who is told of expiries, sign-ins, failures: add, test, check ..."),
    "variable": ("variable", "Variables of the room, for macros: ${NAME}."),
    "user": ("user", "Users of the page and the API: list, add, set, invite ..."),
    "token": ("token", "API tokens for programs: list, add, revoke."),
    "erase": ("erase", "Remove what the room keeps of one person; the plan comes first."),
    "keys": ("keys", "The room's keys: status, doctor, rotate, kit, kek ..."),
    "audit": ("audit", "The audit record: list, verify, heads ..."),
    "backup": ("backup", "Backups of the room: create, verify, restore."),
}
"""Verb or noun: the module in this package that has it (as ``app``), and one line about it."""

LOGGING: Final = ("worker", "serve")
"""The verbs whose standard error is a log: for people on a terminal, else for programs."""

_REPORT: Final = "Report the lines above, with the version (postroom --version)."
_AGAIN: Final = (
    "Report it: the same command with --verbose shows where it happened, for the report."
)

INTERRUPTED: Final = 130
"""The exit status after Ctrl-C, as shells have it: 128 and the number of the signal."""


class Root(TyperGroup):
    """Knows every verb by name and loads the module of the one that is used."""

    def list_commands(self, ctx: Any) -> list[str]:
        """In the order of the table."""
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Load the verb.  Raises WrongUse with the nearest when there is none of that name."""
        if cmd_name not in VERBS:
            raise no_such_verb(cmd_name, VERBS, "postroom")
        module = import_module(f"postroom.cli.{VERBS[cmd_name][0]}")
        command = typer.main.get_command(module.app)
        return getattr(command, "commands", {}).get(cmd_name, command)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Of the usage line."""
        return ["VERB ...", "|", "NOUN VERB ..."]

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The help of the root, without loading a single verb."""
        with formatter.section("Verbs and nouns"):
            formatter.write_dl([(name, about) for name, (_, about) in VERBS.items()])

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """The options of every verb, and where to begin."""
        with formatter.section("Options of every verb"):
            formatter.write_dl(list(EVERY_OPTION.items()))
        formatter.write_paragraph()
        formatter.write_text(BEGIN)


app = typer.Typer(
    cls=Root,
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    help=ABOUT,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        show.say(f"postroom {__version__}", version=__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass


def run(argv: list[str]) -> int:
    """Run one command; whatever goes wrong becomes one sentence and an exit status."""
    try:
        status = _run(argv)
        sys.stdout.flush()
        return status
    except PostroomError as error:
        return report(error)
    except KeyboardInterrupt:
        return _stopped()
    except BrokenPipeError:
        # whoever read our output has gone; keep the interpreter from saying so at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except typer.Abort:  # end of input where an answer was expected
        return report(WrongUse("Nothing was answered, so nothing was done."))
    except Exception as error:  # noqa: BLE001  # the roof: nothing is above to hear of it
        return _usage(error) if hasattr(error, "format_message") else _mistake(error)


def _run(argv: list[str]) -> int:
    rest = take_options(argv)
    if rest[:1] and rest[0] in LOGGING and not OPTIONS.json and not sys.stderr.isatty():
        OPTIONS.logs = True
        _logged().begin()
    result = typer.main.get_command(app)(args=rest, prog_name="postroom", standalone_mode=False)
    if result == INTERRUPTED:  # the parser's word for Ctrl-C
        return _stopped()
    return result if isinstance(result, int) else OK


def _logged() -> Any:
    """Loaded only where standard error is a log: every other command is quicker without."""
    return import_module("postroom.cli.logged")


def _stopped() -> int:
    show.stopped()
    return INTERRUPTED


def _usage(error: Any) -> int:
    """A usage error of the parser, in the form of all errors; without a verb it is the help."""
    context: Any = getattr(error, "ctx", None)
    bare = type(error).__name__ == "NoArgsIsHelpError"  # its message is the whole help
    if bare and not OPTIONS.json:
        print(context.get_help(), file=sys.stderr)
        return WRONG_USE
    if bare:
        return report(WrongUse("A verb is missing.", hint=f"See: {context.command_path} --help"))
    return report(wrong_use(error))


def _mistake(error: Exception) -> int:
    """A mistake of ours: a sentence as of any error, and with --verbose where it happened.

    No secret that is open is in either.
    """
    clean = Scrubber(open_secrets()).text
    told = PostroomError(
        f"This is a mistake of Postroom: {clean(f'{type(error).__name__}: {error}')}",
        code="mistake",
        hint=_REPORT if OPTIONS.verbose else _AGAIN,
    )
    trace = clean("".join(traceback.format_exception(error)))
    if OPTIONS.logs:
        _logged().mistake(told, trace)
        return told.exit_status
    if OPTIONS.verbose:
        print(trace, end="", file=sys.stderr)
    return report(told)


def report(error: PostroomError) -> int:
    """Say what went wrong: a sentence for people, or the same as JSON; gives the exit status."""
    if OPTIONS.json:
        print(show.document(error.as_json()))
        return error.exit_status
    if OPTIONS.logs:
        _logged().failed(error)
        return error.exit_status
    show.note(f"postroom: {error.sentence}", indent=2)
    said = getattr(error, "said", "")
    if said:
        show.note(f"  They said: {said}", indent=4)
    for line in error.facts.get("lines", ()) if error.code == "secret_reentry_required" else ():
        show.note(f"  {line}")
    if error.hint:
        show.note(f"  {error.hint}", indent=2)
    with contextlib.suppress(OSError):
        sys.stderr.flush()
    return error.exit_status

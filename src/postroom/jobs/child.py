"""A ``python`` job, in a process of its own: finds its function and calls it with a context.

Started by jobs/python.py as ``python -P -m postroom.jobs.child``.  It is handed its credentials by the
file descriptor that POSTROOM_FD names; on 4 the worker tells what to call and answers, on 5 this asks:
JSON lines.  What the function prints is the run's output.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import linecache
import os
import sys
import threading
import traceback
import types
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final

from postroom.errors import CODES, PostroomError, Refused

__all__ = ["ANSWERS", "ASKS", "Channel", "main"]

ANSWERS: Final = 4
ASKS: Final = 5
_MODULE: Final = "postroom_job"
_OURS: Final = str(Path(__file__).parents[1])
_STANDARD: Final = str(Path(os.__file__).parent)


class Channel:
    """Asks the worker, and gets its answers, from any thread."""

    def __init__(self, answers: int, asks: int) -> None:
        self._file = open(answers, "rb")  # noqa: SIM115  # open as long as the process
        self._asks = asks
        self._writing = threading.Lock()
        self._waiting: dict[int, Future[Any]] = {}
        self._last = 0

    def first(self) -> dict[str, Any]:
        """What the worker says before it is asked; then its answers are listened for."""
        told: dict[str, Any] = json.loads(self._file.readline())
        threading.Thread(target=self._listen, daemon=True).start()
        return told

    def say(self, **said: Any) -> None:
        """Tell the worker; raises TypeError or ValueError for what JSON cannot hold."""
        data = json.dumps(said, default=_plain).encode() + b"\n"
        with self._writing:
            while data:
                data = data[os.write(self._asks, data) :]

    def ask(self, command: str, parameters: dict[str, Any]) -> Future[Any]:
        """Have the worker do a command."""
        answer: Future[Any] = Future()
        with self._writing:
            self._last += 1
            number = self._last
        self._waiting[number] = answer
        self.say(id=number, do=command, parameters=parameters)
        return answer

    def _listen(self) -> None:
        for line in self._file:
            told = json.loads(line)
            answer = self._waiting.pop(told["id"])
            if "error" in told:
                answer.set_exception(_error_of(told["error"]))
            else:
                answer.set_result(told["result"])
        for answer in self._waiting.values():
            answer.set_exception(Refused("The worker is gone."))


def _plain(value: Any) -> Any:
    """What JSON does not know itself: addresses, attachments, paths, instants.  Never a secret."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if hasattr(value, "address") and hasattr(value, "name"):
        return {"name": value.name, "address": value.address}
    if hasattr(value, "data") and hasattr(value, "content_type"):
        import base64

        content = base64.b64encode(value.data).decode()
        return {"name": value.name, "type": value.content_type, "content": content}
    raise TypeError(f"{type(value).__name__} is nothing that JSON can hold")


def _error_of(told: dict[str, Any]) -> PostroomError:
    code = told.pop("code")
    return PostroomError(
        told.pop("error"),
        code=code if code in CODES else "refused",
        hint=told.pop("hint", ""),
        temporary=told.pop("temporary", False),
        **told,
    )


# ------------------------------------------------------------------------------ the function


def _function(told: dict[str, Any]) -> Callable[[Any], Any]:
    """The function that the job names.  Raises Refused when there is none."""
    if told["call"]:
        name, _, attribute = told["call"].partition(":")
        module = importlib.import_module(name)
    else:
        attribute = told["function"]
        module = types.ModuleType(_MODULE)
        module.__file__ = name = told["file"]
        sys.modules[_MODULE] = module
        source = told["script"]
        # what was compared with what was saved is what runs, and what a traceback shows
        linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
        exec(compile(source, name, "exec"), module.__dict__)  # noqa: S102  # it is the job's code
    found = getattr(module, attribute, None)
    if not callable(found):
        raise Refused(
            f"{name} has no function {attribute!r}.",
            hint="Name another one in the job's python: or write def main(context): ...",
        )
    return found  # type: ignore[no-any-return]


def _called(function: Callable[[Any], Any], make: Callable[[bool], Any]) -> tuple[Any, Any]:
    """What the function gives, and the context it was called with."""
    if inspect.iscoroutinefunction(function):
        context = make(True)
        return asyncio.run(function(context)), context
    context = make(False)
    return function(context), context


def _raised(error: BaseException) -> dict[str, Any]:
    """An exception: its type and text, and the lines of the job's own code; no value of a variable."""
    kind = type(error).__name__
    text = error.sentence if isinstance(error, PostroomError) else str(error)
    found: dict[str, Any] = {"type": kind, "text": text, "trace": list(_trace(error))}
    if isinstance(error, PostroomError):
        found["error"] = error.as_json()
    return found


def _trace(error: BaseException) -> Iterator[str]:
    frames = traceback.extract_tb(error.__traceback__)
    own = [one for one in frames if not one.filename.startswith((_OURS, _STANDARD, "<frozen"))]
    for one in own:
        yield f"{one.filename}, line {one.lineno}, in {one.name}: {(one.line or '').strip()}"
    if isinstance(error, SyntaxError) and error.filename:
        yield f"{error.filename}, line {error.lineno}: {(error.text or '').strip()}"


def main() -> int:
    """Call the function, and tell the worker what came of it."""
    from postroom.jobs.context import context_of

    channel = Channel(ANSWERS, ASKS)
    handed = int(os.environ.pop("POSTROOM_FD"))
    with open(handed, encoding="utf-8", errors="surrogateescape") as file:
        given = json.load(file)
    for fd in (ANSWERS, ASKS):
        os.set_inheritable(fd, False)  # programs that the function starts have no part in it
    told = channel.first()
    try:
        value, context = _called(
            _function(told), lambda by_await: context_of(channel, given, told, by_await=by_await)
        )
        channel.say(returned=value, state=context.state)
    except SystemExit as error:
        if error.code not in (None, 0):
            channel.say(raised=_raised(error))
            return 1
        channel.say(returned=None, state=None)
    except BaseException as error:  # noqa: BLE001  # whatever the job's code raises is told
        channel.say(raised=_raised(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

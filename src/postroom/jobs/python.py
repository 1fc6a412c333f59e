"""Running a ``python`` job: its function in a process of its own, which asks here for every command."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import IO, Any, Final

from postroom.errors import CODES, PostroomError, Refused
from postroom.jobs.child import ANSWERS, ASKS
from postroom.jobs.handing import Granted, Told
from postroom.jobs.job import Job
from postroom.jobs.output import OnOutput
from postroom.jobs.process import Ended, run_program, why_it_ended
from postroom.jobs.runner import check_result
from postroom.jobs.scrubbing import holds_secret
from postroom.log import logger
from postroom.secret import MASK, Scrubber, Secret, open_secrets

__all__ = ["Execute", "Running", "run_python"]

_log: Final = logger("jobs")

Execute = Callable[[str, dict[str, Any]], Awaitable[dict[str, Any]]]
"""Does a built-in command by its name and parameters, and gives its result; raises PostroomError."""

LINE_BYTES: Final = 32 << 20
"""What the function may say in one go: a draft with its attachments."""
AT_ONCE: Final = 8
"""Commands of one run that are done at the same time."""
_LEVELS: Final = ("info", "warning", "error")
_SHAPES: Final[dict[str, dict[str, Any]]] = {
    "do": {"do": str, "id": int, "parameters": dict},
    "log": {"log": str, "text": str},
    "returned": {"state": dict | None},
    "raised": {"raised": dict},
}
"""What child.py says: the key that each has, and what else it has, with its types."""
_RAISED: Final = {"type": str, "text": str, "trace": list}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """What one attempt of a run has: ``script`` are the bytes that were compared (code.py)."""

    runs: Path
    told: Told
    execute: Execute
    say: OnOutput
    """Takes a line for the run's log: info, warning, error, or output; and its text."""
    granted: Granted = dataclasses.field(default_factory=dict)
    script: bytes = b""
    state: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    message: bytes | None = None
    attempt: int = 1


async def run_python(job: Job, running: Running) -> tuple[Any, dict[str, Any]]:
    """Call the function of a job; gives what it gave, and the state it left.

    Raises what the function raised: a PostroomError with its code, of anything else Refused
    (``program_failed``) with its type and text; where it was raised goes to the log.  Raises as
    run_program does.  Cancelled, it ends the process before it returns.
    """
    with contextlib.ExitStack() as theirs:
        child_reads, answers = os.pipe()
        asks, child_writes = os.pipe()
        for fd in (child_reads, child_writes):
            theirs.callback(os.close, fd)
        talk = _Talk(running)
        with os.fdopen(asks, "rb", 0) as source, os.fdopen(answers, "wb", 0) as sink:
            listening = asyncio.create_task(talk.listen(source, sink, _orders(job, running)))
            fds = {ANSWERS: child_reads, ASKS: child_writes}
            program = asyncio.create_task(_program(job, running, fds))
            try:
                await asyncio.wait({program, listening}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                program.cancel()  # unless it has ended: then it said what nobody understands
                await asyncio.wait({program})
                theirs.close()
                await talk.close(listening)
    listening.result()
    ended = program.result()
    if talk.ending is None:
        why = why_it_ended(ended, job.limits)
        if ended.ok:
            why = "Its process ended before its function did."
        raise Refused(why, code="timed_out" if ended.why == "time" else "program_failed")
    return talk.outcome()


async def _program(job: Job, running: Running, fds: Mapping[int, int]) -> Ended:
    paths = os.environ.get("PYTHONPATH")
    return await run_program(
        [sys.executable, "-P", "-u", "-m", "postroom.jobs.child"],
        runs=running.runs,
        told=running.told,
        credentials=running.granted,
        environment={"PYTHONPATH": paths} if paths else {},
        fds=fds,
        stdin=running.message or b"",
        limits=job.limits,
        on_output=lambda stream, line: running.say("output", line),
    )


def _orders(job: Job, running: Running) -> dict[str, Any]:
    assert job.python is not None  # noqa: S101  # whoever calls has looked
    return {
        "call": job.python.call,
        "file": job.python.file,
        "function": job.python.function,
        "script": running.script.decode("utf-8", "surrogateescape"),
        "state": dict(running.state),
        "message": running.message is not None,
        "attempt": running.attempt,
        "sealed": {
            name: [field for field, value in fields.items() if isinstance(value, Secret)]
            for name, fields in running.granted.items()
        },
    }


class _Talk:
    """The worker's side of the conversation with one function."""

    def __init__(self, running: Running) -> None:
        self._running = running
        handed = [one for fields in running.granted.values() for one in fields.values()]
        self._secrets = [one for one in handed if isinstance(one, Secret)]
        self._commands: set[asyncio.Task[None]] = set()
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._transport: asyncio.WriteTransport | None = None
        self._flow = _Flow()
        self._over = False
        self.ending: dict[str, Any] | None = None

    async def listen(self, asks: IO[bytes], answers: IO[bytes], orders: dict[str, Any]) -> None:
        """Tell it what to call, and do what it asks until it says nothing any more.

        Nothing more is read while AT_ONCE commands are under way, or while it does not read the answers
        of that many: whatever it does, no more than that is in memory here.
        """
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=LINE_BYTES)
        reading, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), asks
        )
        self._transport, _ = await loop.connect_write_pipe(lambda: self._flow, answers)
        try:
            self._say(orders)
            while line := await reader.readline():
                await self._hear(_understood(line))
        except ValueError:
            raise _not_understood("The function's process said what is not understood.") from None
        finally:
            if not reading.is_closing():
                reading.close()

    async def close(self, listening: asyncio.Task[None]) -> None:
        """End what was asked for and is not done, and hear what else is left."""
        self._over = True
        for each in self._commands:
            each.cancel()
        await asyncio.wait({listening, *self._commands})
        if self._transport is not None and not self._transport.is_closing():
            self._transport.abort()

    def outcome(self) -> tuple[Any, dict[str, Any]]:
        """What the function gave and left; raises what it raised."""
        ending = self.ending or {}
        if "raised" not in ending:
            try:
                return self._given(ending["returned"], ending["state"])
            except RecursionError:
                raise _not_understood("What it gave is nested too deep.") from None
        told = json.dumps(ending["raised"], ensure_ascii=False).encode("utf-8", "replace")
        raised = self._clean(json.loads(told))  # without half characters, which nobody can write
        for line in raised["trace"]:
            self._running.say("error", str(line))
        if error := raised.get("error"):
            raise _error_of(error)
        text = f"{raised['type']}: {raised['text']}".removesuffix(": ")
        raise Refused(text, code="program_failed")

    def _given(self, result: Any, state: dict[str, Any] | None) -> tuple[Any, dict[str, Any]]:
        """Both are kept in the clear: secrets leave a result, and a state with one is refused."""
        check_result(result)  # before it is looked through: of what is too large that takes long
        if state is None:
            return self._clean(result), dict(self._running.state)
        if holds_secret(state, self._secrets):
            raise Refused(
                "context.state holds something that the job was handed; it would be kept in the clear.",
                code="program_failed",
                hint="Keep it in a credential, or what it is good for, not itself.",
            )
        return self._clean(result), state

    def _clean(self, value: Any) -> Any:
        return _without(value, Scrubber([*self._secrets, *open_secrets()]).text)

    async def _hear(self, told: dict[str, Any]) -> None:
        if "do" in told:
            await self._turns.acquire()  # _do gives it back
            if self._over:
                self._turns.release()
                return
            task = asyncio.create_task(self._do(told))
            self._commands.add(task)
            task.add_done_callback(self._commands.discard)
        elif "log" in told:
            level = told["log"] if told["log"] in _LEVELS else "info"
            self._running.say(level, self._scrubbed(told["text"]))
        else:
            self.ending = told

    async def _do(self, told: dict[str, Any]) -> None:
        try:
            self._say({"id": told["id"], **await self._done(told)})
            await self._flow.free.wait()
        finally:
            self._turns.release()

    async def _done(self, told: dict[str, Any]) -> dict[str, Any]:
        try:
            return {"result": await self._running.execute(told["do"], told["parameters"])}
        except PostroomError as error:
            return {"error": error.as_json()}
        except Exception as error:  # noqa: BLE001  # a mistake of ours ends one call, and no worker
            _log.exception("a command of run %s failed", self._running.told.run)
            said = f"A mistake of Postroom's: {type(error).__name__}. The worker's log has it."
            return {"error": {"code": "mistake", "error": said}}

    def _say(self, said: dict[str, Any]) -> None:
        if self._transport is not None:
            self._transport.write(json.dumps(said, default=str).encode() + b"\n")

    def _scrubbed(self, text: str) -> str:
        return Scrubber([*self._secrets, *open_secrets()]).text(text)


class _Flow(asyncio.BaseProtocol):
    """Whether the function's process reads what it is told; ``free`` is set while it does."""

    def __init__(self) -> None:
        self.free = asyncio.Event()
        self.free.set()

    def pause_writing(self) -> None:
        """The pipe is full."""
        self.free.clear()

    def resume_writing(self) -> None:
        """It reads again."""
        self.free.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody reads any more, and nothing is kept for anybody."""
        self.free.set()


def _without(value: Any, scrubbed: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return scrubbed(value)
    if isinstance(value, list):
        return [_without(one, scrubbed) for one in value]
    if isinstance(value, dict):
        return {scrubbed(key): _without(one, scrubbed) for key, one in value.items()}
    if isinstance(value, int | float) and scrubbed(str(value)) != str(value):
        return MASK
    return value


def _understood(line: bytes) -> dict[str, Any]:
    """What the function's process said.  Raises ValueError for what child.py never says."""
    try:
        told = json.loads(line)
    except RecursionError:
        raise ValueError("nested too deep") from None
    shape = next((_SHAPES[key] for key in _SHAPES if isinstance(told, dict) and key in told), None)
    if shape is None or not _has(told, shape):
        raise ValueError("nothing that it says")
    if "raised" in shape and not _has(told["raised"], _RAISED):
        raise ValueError("not how it says what was raised")
    return told  # type: ignore[no-any-return]


def _has(told: dict[str, Any], shape: Mapping[str, Any]) -> bool:
    return all(key in told and isinstance(told[key], kind) for key, kind in shape.items())


def _not_understood(said: str) -> Refused:
    hint = f"A draft or a result may have {LINE_BYTES >> 20} MiB at most."
    return Refused(said, code="program_failed", hint=hint)


def _error_of(told: dict[str, Any]) -> PostroomError:
    """An error that a command raised and the function let go."""
    code = str(told.get("code", ""))
    return PostroomError(
        str(told.get("error", "")),
        code=code if code in CODES else "program_failed",
        hint=str(told.get("hint", "")),
        temporary=told.get("temporary") is True,
    )

"""``python`` jobs: a function in a process of its own, what it is given, asks for, gives and raises."""

from __future__ import annotations

import asyncio
import os
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from postroom.errors import InvalidValue, NotThere, PostroomError, Refused
from postroom.fields import parse
from postroom.jobs import code
from postroom.jobs.handing import Told
from postroom.jobs.job import Job
from postroom.jobs.python import AT_ONCE, Running, run_python
from postroom.secret import Secret

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the guard watches /proc")

PASSWORD = "Canary-py-93bb01f2c47d"
MESSAGE = b"From: a@example.com\r\nSubject: Invoice 7\r\n\r\nHello\r\n"


class Function:
    """A script whose function is called; the commands it asked for, and the lines of its log."""

    def __init__(self, tmp_path: Path) -> None:
        self.runs = tmp_path / "runs"
        self.file = tmp_path / "nightly.py"
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.lines: list[tuple[str, str]] = []

    async def execute(self, name: str, parameters: dict[str, Any]) -> dict[str, Any]:
        self.asked.append((name, parameters))
        if name == "delete-email":
            raise NotThere("There is no message '9'.", hint="List them.", ids=["9"])
        if name == "list-email":
            return {"items": [{"id": "1"}, {"id": "2"}], "ids": ["1", "2"], "count": 2}
        if name == "read-email":
            await asyncio.sleep(0.01)
            return {"raw": "U3ViamVjdDogaGkNCg0KeA0K"}
        return {"by_id": {"1": "7"}, "count": 1, "id": "item-1", "paths": ["/tmp/a.pdf"]}

    async def __call__(self, text: str, **more: Any) -> tuple[Any, dict[str, Any]]:
        self.file.write_text(textwrap.dedent(text))
        python = more.pop("python", str(self.file))
        limits = {"limits": more.pop("limits", {})}
        job = code.saved(parse(Job, {"name": "nightly", "python": python, **limits}))
        found: dict[str, Any] = {
            "runs": self.runs, "told": Told("r1", "nightly", {"day": "2026-11-29"}),
            "execute": self.execute, "say": lambda level, line: self.lines.append((level, line)),
            "granted": {"crm": {"user_name": "ann", "password": Secret(PASSWORD)}},
            "script": code.read_script(job),
        }  # fmt: skip
        return await run_python(job, Running(**(found | more)))

    def log(self, level: str) -> list[str]:
        return [line for one, line in self.lines if one == level]


@pytest.fixture
def function(tmp_path: Path) -> Function:
    return Function(tmp_path)


async def test_what_it_is_given(function: Function) -> None:
    result, state = await function(
        """
        def main(context):
            login = context.credentials["crm"]
            assert type(login["password"]).__name__ == "Secret"
            print(login["user_name"], login["password"], len(login["password"].reveal()))
            context.log(f"subject {context.message.subject}")
            context.log.warning("look")
            context.state["runs"] = context.state.get("runs", 0) + 1
            return [context.parameters["day"], context.run.id, context.run.job, context.run.attempt]
        """,
        message=MESSAGE,
        state={"runs": 4},
        attempt=2,
    )
    assert (result, state) == (["2026-11-29", "r1", "nightly", 2], {"runs": 5})
    assert function.log("output") == [f"ann **** {len(PASSWORD)}"]
    assert function.log("info") == ["subject Invoice 7"]
    assert function.log("warning") == ["look"]


async def test_mail_is_commands_that_the_worker_does(function: Function) -> None:
    result, _ = await function(
        """
        from pathlib import Path
        from postroom.jobs.commands import MoveEmail

        def main(context):
            inbox = context.connection("acme").folder("INBOX")
            assert context.message is None
            subjects = [(message.id, message.subject) for message in inbox.search("unseen")]
            inbox.flag(["1"], add=["seen"])
            saved = inbox.save_attachments("1", Path("/tmp/x"))
            context.service("orders").send(to="b@example.com", subject="Hello", text="...")
            sent = context.service("orders").send_and_forget(to="b@example.com", text="...")
            moved = context.do(MoveEmail(via="acme", ids=["1"], to="Done"))
            return [subjects, saved, sent, moved["by_id"], inbox.copy(["1"], "Kept")]
        """
    )
    assert result == [
        [["1", "hi"], ["2", "hi"]], ["/tmp/a.pdf"], "item-1", {"1": "7"}, {"1": "7"},
    ]  # fmt: skip
    names = [name for name, _ in function.asked]
    assert names == [
        "list-email", "read-email", "read-email", "flag-email", "save-attachments", "send-email",
        "send-email", "move-email", "copy-email",
    ]  # fmt: skip
    assert function.asked[5][1]["wait"] == "60s"
    assert "wait" not in function.asked[6][1]  # that is held until the run has succeeded
    assert function.asked[7][1] == {"via": "acme", "ids": ["1"], "to": "Done"}


async def test_an_async_function_awaits_the_same_names(function: Function) -> None:
    result, _ = await function(
        """
        import asyncio

        async def main(context):
            await context.log("begun")
            inbox = context.connection("acme").folder()
            found = [message.subject async for message in inbox.search("all")]
            both = await asyncio.gather(*(inbox.move([one], "Done") for one in ("1", "2")))
            return [found, both, await context.service("orders").send_and_forget(to="a@x.example")]
        """
    )
    assert result == [["hi", "hi"], [{"1": "7"}, {"1": "7"}], "item-1"]


async def test_errors_of_commands_come_back_as_they_were(function: Function) -> None:
    result, _ = await function(
        """
        from postroom.errors import PostroomError

        def main(context):
            try:
                context.connection("acme").folder().delete(["9"])
            except PostroomError as error:
                return [error.code, error.sentence, error.hint, error.facts]
        """
    )
    assert result == ["not_found", "There is no message '9'.", "List them.", {"ids": ["9"]}]
    with pytest.raises(PostroomError) as error:
        await function("def main(context): context.connection('acme').folder().delete(['9'])")
    assert error.value.code == "not_found"


async def test_what_was_not_granted_says_what_was(function: Function) -> None:
    """T27."""
    with pytest.raises(Refused, match="not granted the credential 'erp', only: crm"):
        await function("def main(context): context.credentials['erp']")
    with pytest.raises(Refused, match="no field 'token', only: user_name, password"):
        await function("def main(context): context.credentials['crm']['token']")


async def test_an_exception_is_told_without_values(function: Function) -> None:
    """T35: its type, its text and the lines of the job's own code; no secret, no local."""
    with pytest.raises(Refused, match=r"^ValueError: no access with \*\*\*\*$") as error:
        await function(
            """
            import json

            def main(context):
                word = context.credentials["crm"]["password"].reveal()
                json.loads('{"a": 1}', object_hook=lambda found: helped(word))

            def helped(word):
                raise ValueError(f"no access with {word}")
            """
        )
    assert error.value.code == "program_failed"
    told = function.log("error")
    assert [line.rpartition("nightly.py, ")[2] for line in told] == [
        "line 6, in main: json.loads('{\"a\": 1}', object_hook=lambda found: helped(word))",
        "line 6, in <lambda>: json.loads('{\"a\": 1}', object_hook=lambda found: helped(word))",
        'line 9, in helped: raise ValueError(f"no access with {word}")',
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def other(context): pass", "has no function 'main'"),
        ("def main(context)", "SyntaxError"),
        ("def main(context): return object()", "nothing that JSON can hold"),
        ("def main(context): context.state['x'] = {1, 2}", "nothing that JSON can hold"),
        ("def main(context): raise SystemExit(3)", "SystemExit: 3"),
        ("def main(context):\n    import os\n    os._exit(0)", "ended before its function did"),
        ("def main(context):\n    import os\n    os.kill(os.getpid(), 9)", "ended by signal 9"),
        ("def main(context):\n    import os\n    os.write(5, b'x\\n')", "not understood"),
    ],
)
async def test_what_does_not_work_is_said(function: Function, text: str, said: str) -> None:
    with pytest.raises(PostroomError, match=said):
        await function(text)
    assert list(function.runs.iterdir()) == []


@pytest.mark.parametrize(
    "said",
    [
        "[" * 100_000 + "]" * 100_000, "7", "[1]", "{}", '{"do": "move-email"}',
        '{"do": 7, "id": [1], "parameters": 8}', '{"log": [], "text": 8}', '{"raised": 7}',
        '{"raised": {"type": "x", "text": 3, "trace": [3]}}', '{"returned": 1, "state": 5}',
    ],
)  # fmt: skip
async def test_what_no_function_says_ends_its_run_and_is_no_mistake_of_ours(
    function: Function, said: str
) -> None:
    with pytest.raises(Refused, match="not understood"):
        await function(
            f"""
            import os, time

            def main(context):
                os.write(5, {said!r}.encode() + b"\\n")
                time.sleep(2)
            """
        )
    assert function.asked == []


async def test_a_result_that_is_nested_too_deep_is_refused(function: Function) -> None:
    with pytest.raises(Refused, match="nested too deep"):
        await function(
            """
            def main(context):
                found = 1
                for _ in range(700):
                    found = [found]
                return found
            """
        )


async def test_a_huge_result_is_refused_at_once(function: Function) -> None:
    """Nobody else waits while it is looked through for secrets."""
    began = time.monotonic()
    with pytest.raises(InvalidValue, match="result: is larger than 256 KiB"):
        await function("def main(context): return list(range(3_000_000))")
    assert time.monotonic() - began < 30


async def test_who_asks_without_end_waits(function: Function) -> None:
    """Neither questions that are not answered yet, nor answers that nobody reads, heap up here."""
    at_once, most = 0, 0

    async def execute(name: str, parameters: dict[str, Any]) -> dict[str, Any]:
        nonlocal at_once, most
        at_once, most = at_once + 1, max(most, at_once + 1)
        await asyncio.sleep(0.01)
        at_once -= 1
        function.asked.append((name, parameters))
        return {"raw": "A" * 1_000_000}

    asks = """
        import os, signal

        def main(context):
            line = b'{"id": 1, "do": "read-email", "parameters": {}}\\n'
            os.kill(os.getpid(), signal.SIGSTOP) if os.write(5, line * 1000) else None
    """
    with pytest.raises(Refused, match="longer than 2 seconds"):
        await function(asks, execute=execute, limits={"time": "2s"})
    assert most <= AT_ONCE
    assert len(function.asked) <= 2 * AT_ONCE


async def test_a_secret_leaves_what_is_raised_whoever_raises_it(function: Function) -> None:
    """T31: the reason and the log of a run lie in the clear."""
    with pytest.raises(PostroomError) as error:
        await function(
            """
            from postroom.errors import Refused

            def main(context):
                word = context.credentials["crm"]["password"].reveal()
                raise Refused(f"no access with {word}", hint=f"look at {word}")
            """
        )
    assert str(error.value) == "no access with **** look at ****"


async def test_a_number_that_is_a_secret_leaves_a_result(function: Function) -> None:
    """T31: a PIN is a number to JSON."""
    pin = "int(context.credentials['pin']['value'].reveal())"
    granted = {"pin": {"value": Secret("83920174")}}
    result, _ = await function(f"def main(context): return [{pin}, 5, True]", granted=granted)
    assert result == ["****", 5, True]


async def test_a_secret_leaves_its_result_and_may_not_be_kept(function: Function) -> None:
    """T31: results and what is kept between runs lie in the clear."""
    word = "context.credentials['crm']['password'].reveal()"
    result, _ = await function(f"def main(context): return {{'a': ['x' + {word}]}}")
    assert result == {"a": ["x****"]}
    with pytest.raises(Refused, match="kept in the clear"):
        await function(f"def main(context): context.state['word'] = {word}")
    with pytest.raises(PostroomError, match="nothing that JSON can hold"):
        await function("def main(context): return context.credentials['crm']['password']")


async def test_what_was_compared_is_what_runs(function: Function) -> None:
    """T26: the file may have become another one between the look and the run."""
    function.file.write_text("def main(context): return 'as saved'\n")
    job = code.saved(parse(Job, {"name": "nightly", "python": str(function.file)}))
    script = code.read_script(job)
    function.file.write_text("def main(context): return 'another'\n")
    running = Running(runs=function.runs, told=Told("r1"), execute=function.execute,
                      say=lambda level, line: None, script=script)  # fmt: skip
    assert (await run_python(job, running))[0] == "as saved"


async def test_a_module_by_its_name(
    function: Function, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "reports_of_ours.py").write_text("def nightly(context): return context.run.id")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    assert (await function("", python="reports_of_ours:nightly"))[0] == "r1"
    with pytest.raises(Refused, match="ModuleNotFoundError: No module named 'nosuchmodule'"):
        await function("", python="nosuchmodule:nightly")


async def test_limits_and_cancelling(function: Function) -> None:
    endless = "import time\ndef main(context):\n    print('begun')\n    time.sleep(600)"
    with pytest.raises(Refused, match="longer than 1 seconds") as error:
        await function(endless, limits={"time": "1s"})
    assert error.value.code == "timed_out"
    function.lines.clear()
    task = asyncio.create_task(function(endless))
    while not function.log("output"):
        await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert list(function.runs.iterdir()) == []


async def test_what_it_starts_has_no_part_in_the_conversation(function: Function) -> None:
    text = """
        import subprocess

        def main(context):
            script = "ls /proc/self/fd; (echo x >&5) 2>/dev/null || echo closed"
            return subprocess.run(["sh", "-c", script], close_fds=False, capture_output=True,
                                  text=True).stdout.split()
    """
    result, _ = await function(text)
    assert result[-1] == "closed"
    assert not {"4", "5"} & set(result)

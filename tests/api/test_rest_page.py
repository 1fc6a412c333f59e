"""The page about REST: its commands run, in its order, against a served room."""

from __future__ import annotations

import asyncio
import re
import shutil
from pathlib import Path

import pytest

from tests.api.conftest import Served

PAGE = Path(__file__).resolve().parents[2] / "docs" / "rest.md"
WANTED = [
    '"items":[]', "acme-login", "****aple", "not_found", '"description":"Orders"', '"state":"stored"',
    "ann@example.com", "event: step", "event: result", "event: outbox",
]  # fmt: skip


@pytest.mark.bares(
    "file", why="the token and the password lie in files of their own, as the page says"
)
async def test_the_commands_of_the_page_run(served: Served, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    script = "\n".join(blocks).replace("curl -sS", "curl -sS -w '\\n%{http_code}\\n'")
    (tmp_path / "token").write_text(served.tokens["admin"])
    (tmp_path / "password").write_text("correct horse battery staple")
    env = {"PATH": "/usr/bin:/bin", "POSTROOM_URL": served.url}
    env["POSTROOM_TOKEN_FILE"] = str(tmp_path / "token")
    process = await asyncio.create_subprocess_exec(
        "sh", "-c", script, cwd=tmp_path,
        env=env,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = (each.decode() for each in await process.communicate())
    assert process.returncode == 0, err
    assert [one for one in WANTED if one not in out] == [], out + err
    codes = re.findall(r"^(\d{3})$", out, re.MULTILINE)
    assert sorted(set(codes)) == ["200", "201", "404"], out


def test_no_token_stands_in_a_command() -> None:
    text = PAGE.read_text("utf-8")
    assert "pr_" not in text
    assert not re.search(r"curl[^\n]*Bearer", text)


@pytest.mark.bares("file", why="the token of the test is not sealed: it is hashed")
async def test_the_python_of_the_page_runs(
    served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    outgoing = {"protocol": "smtp", "host": "127.0.0.1", "port": "1"}
    await served.room.connections.add({"name": "orders", "outgoing": outgoing})
    service = {"name": "orders-out", "connection": "orders", "from": "orders@example.com"}
    await served.room.services.add(service)
    (block,) = re.findall(r"```python served\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    code = compile(block.replace("https://mail.example.com", served.url), str(PAGE), "exec")
    await asyncio.to_thread(exec, code, {"token": served.tokens["admin"]})
    assert capsys.readouterr().out == "queued\n"

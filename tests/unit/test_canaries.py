"""The sweep over the whole test run sees what an ordinary test lets out."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.canaries import PLACES, Watch
from tests.sweep import holding

ROOT = Path(__file__).parents[2]
CONFTEST = "from tests.conftest import pytest_configure\n"
LEAKING = """
import base64, contextlib, logging, subprocess, sys
import pytest
from postroom.errors import Refused
from postroom.log import log_to, logger
from postroom.secret import Secret
from tests.ground.handed import hand_out, unique

def word():
    return Secret(unique("pw")).reveal()

def test_prints():
    print("user=u&password=" + word())

def test_prints_and_reads_it(capsys):
    print(base64.b64encode(b"\\0somebody\\0" + word().encode()).decode())
    assert capsys.readouterr().out

def test_logs():
    log_to(level="WARNING")
    logger("smtp").debug("signs in with %s", word().encode().hex())

def test_raises():
    with pytest.raises(Refused):
        raise Refused("No.", hint=f"It is not {word()}.")

def test_raises_facts():
    with contextlib.suppress(Refused):
        raise Refused("No.", given=[word()])

def test_logs_a_trace():
    try:
        raise RuntimeError(word())
    except RuntimeError:
        logger("smtp").exception("it broke")

def test_writes(tmp_path):
    text = b"Subject: " + word().encode() + b"\\r\\n\\r\\n" + b"x" * 2_000_000
    (tmp_path / "message.eml").write_bytes(text)

def test_starts(capfd):
    code = "import sys; print('it is ' + sys.stdin.read())"
    subprocess.run([sys.executable, "-c", code], input=word().encode(), capture_output=True, check=True)

def test_shows_what_the_ground_handed_out():
    print(hand_out(unique("pw")))

@pytest.mark.bares("output", why="it is asked for")
def test_means_to_print():
    print(word())

@pytest.mark.bares("file", why="it is asked for")
def test_means_to_write(tmp_path):
    print(word())

def test_is_given(tmp_path):
    (tmp_path / "given").write_text(word() + "\\n")

def test_shows_a_mask():
    secret = Secret(unique("pw"))
    print(secret, repr(secret), secret.reveal()[-4:])
    logger("smtp").debug("signs in with %s", secret)
"""
RED = {
    "test_prints", "test_prints_and_reads_it", "test_logs", "test_raises", "test_raises_facts",
    "test_logs_a_trace", "test_writes", "test_starts", "test_shows_what_the_ground_handed_out",
    "test_means_to_write",
}  # fmt: skip


def test_whatever_lets_a_secret_out_is_red(tmp_path: Path) -> None:
    """T31: printed, logged below the level of the log, raised and caught, written, told by a child."""
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_leaking.py").write_text(LEAKING)
    run = [sys.executable, "-m", "pytest", "-q", "-c", str(ROOT / "pyproject.toml"),
           "--rootdir", str(tmp_path), "-p", "no:cacheprovider", str(tmp_path)]  # fmt: skip
    path = os.pathsep.join((str(ROOT), str(ROOT / "src")))
    done = subprocess.run(
        run, capture_output=True, text=True, timeout=100, env={**os.environ, "PYTHONPATH": path}
    )
    told = re.findall(r"^ERROR \S+::(\w+)", done.stdout, re.MULTILINE)
    assert set(told) == RED, done.stdout
    assert "13 passed, 10 errors" in done.stdout, done.stdout


def test_it_is_told_where(tmp_path: Path) -> None:
    """T31: which secret by its number and length alone, in what dress, in what place."""
    watch = Watch()
    watch.secrets[b"a secret of twenty bytes"] = None
    for place in PLACES[:-1]:
        watch.tell(place, "it is a secret of twenty bytes.")
    file = tmp_path / "room.db"
    file.write_bytes(b"\0a secret of twenty bytes\0")
    found = watch.leaks(tmp_path)
    assert {hit.where.partition(":")[0] for hit in found} == set(PLACES)
    assert {hit.canary for hit in found} == {"secret 0 (24 bytes)"}
    assert any(str(file) in hit.where for hit in found)
    assert not watch.leaks(tmp_path, PLACES)


def test_more_files_than_one_command_can_name_are_looked_through(tmp_path: Path) -> None:
    folder = tmp_path / ("d" * 200)
    folder.mkdir()
    files = [folder / f"{number:0200}" for number in range(6000)]
    files[5432].write_bytes(b"before a-needle-of-the-tests after")
    for file in files[5433:5436]:
        file.write_bytes(b"nothing")
    there = [file for file in files if file.exists()]
    missing = [file for file in files if not file.exists()]
    assert holding([b"a-needle-of-the-tests"], [*missing, *there]) == [files[5432]]

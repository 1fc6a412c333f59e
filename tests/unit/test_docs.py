"""The documentation says what the code does: fresh pages, sound links, examples that run."""

from __future__ import annotations

import asyncio
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from docs import meanings, reference, verbs
from postroom.cli import main
from postroom.errors import CODES
from postroom.fields import describe
from postroom.macros import _PREFIXES
from postroom.operations.declared import by_word
from postroom.services.states import FOLLOWS
from tests.unit.house.tree import ROOT, modules

DOCS = ROOT / "docs"
WRITTEN = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))]
WRITTEN += sorted((DOCS / "decisions").glob("*.md"))
PASSWORD = "correct horse battery staple"
ADDRESS = "orders@example.com"
MESSAGE = b"""\
From: Ann <ann@example.com>\r
To: orders@example.com\r
Subject: Order NUMBER\r
Message-ID: <NUMBER@example.com>\r
MIME-Version: 1.0\r
Content-Type: multipart/mixed; boundary=b\r
\r
--b\r
\r
Hello.\r
--b\r
Content-Disposition: attachment; filename=order.csv\r
\r
4711;1\r
--b--\r
"""


class Block(NamedTuple):
    """A fenced block: the words behind its fence (``python run``), its text, where it stands."""

    words: tuple[str, ...]
    text: str
    where: str


def blocks_of(path: Path) -> Iterator[Block]:
    text = path.read_text("utf-8")
    for found in re.finditer(r"^```([^\n`]+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        line = text.count("\n", 0, found.start()) + 1
        yield Block(tuple(found[1].split()), found[2], f"{path.relative_to(ROOT)}:{line}")


BLOCKS = [block for path in WRITTEN for block in blocks_of(path)]


def marked(*words: str) -> list[Block]:
    return [block for block in BLOCKS if block.words == words]


def at(block: Block) -> str:
    return block.where


def commands_in(block: Block) -> list[list[str]]:
    """The lines of a shell block as words; continued lines are one."""
    whole = block.text.replace("\\\n", " ")
    return [words for line in whole.splitlines() if (words := shlex.split(line, comments=True))]


# ------------------------------------------------------------------ the generated pages


def test_the_reference_is_fresh() -> None:
    stored = {path.name: path.read_text("utf-8") for path in (DOCS / "reference").glob("*.md")}
    wanted = reference.pages()
    stale = sorted(name for name in stored.keys() | wanted if stored.get(name) != wanted.get(name))
    assert not stale, f"run `make docs`: {', '.join(stale)}"


@pytest.mark.parametrize("name", [*by_word()])
def test_every_declared_field_is_on_its_page(name: str) -> None:
    model = by_word()[name]
    page = next(
        (DOCS / "reference" / file).read_text("utf-8")
        for file in (f"{name}.md", f"credential-{name}.md", "sinks.md")
        if (DOCS / "reference" / file).exists()
    )
    fields = [] if name == "generic" else describe(model)
    assert [one.name for one in fields if f"`{one.name}`" not in page] == []


def test_every_verb_is_on_the_page_of_the_command_line() -> None:
    page = (DOCS / "reference" / "cli.md").read_text("utf-8")
    names = [name for name, _ in verbs.commands()]
    assert len(names) > 40
    assert [verb for verb in names if f"`postroom {verb}" not in page] == []


def test_every_code_is_explained_and_none_that_is_gone() -> None:
    assert meanings.CODES.keys() == CODES.keys()
    assert {code.exit for code in CODES.values()} <= meanings.EXITS.keys()


def test_every_kind_of_macro_is_explained() -> None:
    assert tuple(meanings.MACROS) == _PREFIXES


def test_every_environment_variable_is_explained() -> None:
    read = {
        found
        for module in modules()
        for found in re.findall(r"\bPOSTROOM_[A-Z]+(?:_[A-Z]+)*\b", module.text)
    }
    assert read == meanings.VARIABLES.keys()


def test_every_state_is_explained() -> None:
    page = (DOCS / "concepts.md").read_text("utf-8")
    ledger = (
        "pending", "held", "acquired", "delivered", "done", "ignored", "failed", "vanished",
    )  # fmt: skip
    assert [state for state in (*ledger, *FOLLOWS) if f"| `{state}` |" not in page] == []


# ------------------------------------------------------------------ the written pages


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text("utf-8")):
        if target.startswith("http"):
            continue
        file, _, anchor = target.partition("#")
        there = (path.parent / file).resolve() if file else path
        assert there.exists(), f"{path.name}: {target}"
        if anchor:
            heads = re.findall(r"^#+ (.*)$", there.read_text("utf-8"), re.MULTILINE)
            slugs = [re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads]
            assert anchor in slugs, f"{path.name}: {target}"


def test_every_page_is_reached_from_the_index() -> None:
    for folder in (DOCS, DOCS / "decisions"):
        index = (folder / "index.md").read_text("utf-8")
        pages = [path.name for path in folder.glob("*.md") if path.name != "index.md"]
        assert [name for name in pages if f"({name})" not in index] == []


def test_every_test_named_in_the_docs_exists() -> None:
    """What is said to be shown is shown: by a test of that name in that file."""
    named = 0
    for path in DOCS.glob("*.md"):
        for file, name in re.findall(r"`([\w/]+\.py)::(\w+)`", path.read_text("utf-8")):
            text = (ROOT / "tests" / file).read_text("utf-8")
            assert re.search(rf"^(?:async )?def {name}\(", text, re.MULTILINE), f"{file}::{name}"
            named += 1
    assert named > 50


def test_every_standard_says_what_shows_it() -> None:
    """A row without a test claims to cover nothing."""
    rows = [
        [cell.strip() for cell in line.strip().strip("|").split("|")]
        for line in (DOCS / "rfc-coverage.md").read_text("utf-8").splitlines()
        if re.match(r"\| \d", line)
    ]
    assert all(len(row) == 5 for row in rows)
    assert [row[0] for row in rows if bool(row[2]) != bool(row[4])] == []
    numbers = [number for row in rows for number in row[0].split(", ")]
    assert len(numbers) == len(set(numbers))


def test_decisions_end_in_what_was_deliberately_not_done() -> None:
    for path in (DOCS / "decisions").glob("0*.md"):
        last = path.read_text("utf-8").rstrip().rsplit("\n\n", 1)[-1]
        assert "*Deliberately not done" in last, path.name


def test_blocks_of_python_and_room_files_are_marked_to_be_run() -> None:
    loose = [
        block.where
        for block in BLOCKS
        if block.words == ("python",) or (block.words == ("yaml",) and "postroom: 1" in block.text)
    ]
    assert not loose, f"write ```python run and ```yaml room: {loose}"


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.words[0] == "sh"], ids=at)
def test_commands_in_the_docs_exist(block: Block) -> None:
    """Verbs and options that are not made of declared fields; the online test runs the rest."""
    known = dict(verbs.commands())
    for words in commands_in(block):
        while words and "=" in words[0]:
            words.pop(0)
        if words[:1] != ["postroom"]:
            continue
        name = next(
            (n for n in (" ".join(words[1:4]), " ".join(words[1:3]), words[1]) if n in known), None
        )
        assert name, f"{block.where}: there is no verb {' '.join(words[1:3])}"
        command = known[name]
        if command.context_settings.get("allow_extra_args"):
            continue
        options = {opt for one in command.params for opt in (*one.opts, *one.secondary_opts)}
        words = words[: words.index("--")] if "--" in words else words  # the rest is another's
        options |= {"--room", "--kek", "--json", "--yes", "--verbose", "--help"}
        given = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert given <= options, f"{block.where}: {name} has no {given - options}"


def test_the_picture_shows_no_path_of_a_machine() -> None:
    picture = (DOCS / "images" / "demo.svg").read_text("utf-8")
    assert "make" in picture
    assert "@font-face" not in picture
    assert not re.search(r">[^<]*(/home/|/root/|/tmp/|/Users/|/work/)", picture)


# ------------------------------------------------------------------ what runs, without servers

Run = Callable[..., int]


@pytest.fixture
def postroom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """``postroom("init")`` in a room, with a key and in a directory of this test's own."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("POSTROOM_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("POSTROOM_ROOM", str(tmp_path / "room"))
    monkeypatch.setenv("POSTROOM_KEK", f"file:{tmp_path / 'keys' / 'room.key'}")
    monkeypatch.setenv("ACME_PASSWORD", PASSWORD)
    monkeypatch.setenv("CRM_SECRET", "a client secret of the docs")
    return lambda *words: main([str(word) for word in words])


@pytest.mark.parametrize("block", marked("yaml", "room"), ids=at)
def test_room_files_in_the_docs_apply(block: Block, postroom: Run, tmp_path: Path) -> None:
    (tmp_path / "room.yaml").write_text(block.text, "utf-8")
    assert postroom("init") == 0
    assert postroom("apply", "room.yaml", "--dry-run") == 0


def test_the_room_file_of_the_examples_applies_twice(
    postroom: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert postroom("init") == 0
    assert postroom("apply", ROOT / "examples" / "orders.yaml") == 0
    capsys.readouterr()
    assert postroom("apply", ROOT / "examples" / "orders.yaml") == 0
    assert "Nothing to change." in capsys.readouterr().out


@pytest.mark.parametrize("beside", [(), ("room.db-wal", "room.db-shm")])
def test_the_way_back_from_an_upgrade_is_gone_as_it_is_written(
    tmp_path: Path, beside: tuple[str, ...]
) -> None:
    """Whether the log of the database is there or not, which depends on how the last process ended."""
    [script] = [block.text for block in BLOCKS if block.text.startswith("cd ROOM\n")]
    copy = "room-schema-1-20270131T090500Z.db"
    for name in ("room.db", copy, *beside):
        (tmp_path / name).write_text(name)
    subprocess.run(["sh", "-ec", script.replace("ROOM", str(tmp_path), 1)], check=True)
    assert (tmp_path / "room.db").read_text() == copy
    assert {one.name for one in (tmp_path / "newer").iterdir()} == {"room.db", *beside}
    assert {one.name for one in tmp_path.iterdir()} == {"room.db", copy, "newer"}


# ------------------------------------------------------------------ what runs, over real servers


class Servers:
    """The demo's servers as the provider of the docs, and the room's connection led to them."""

    def __init__(self, run: Run, ca: Path, imap: int, smtp: int) -> None:
        self._run = run
        self._ca = ca
        self._ports = {"incoming": imap, "outgoing": smtp}

    def lead(self) -> None:
        """Point connection ``acme`` at them; the secret was not presented anywhere yet."""
        assert self._run(
            "credential", "add", "ca", "--type", "trusted_certificate",
            "--certificate-from-file", self._ca,
        ) == 0  # fmt: skip
        words: list[str] = []
        for side, port in self._ports.items():
            for field in ("host=127.0.0.1", f"port={port}", "security=tls", "trust=ca"):
                words += ["--set", f"{side}.{field}"]
        assert self._run("connection", "set", "acme", *words) == 0


@pytest.fixture
def servers(postroom: Run, tmp_path: Path) -> Iterator[Servers]:
    """pymap and aiosmtpd with three messages in the mailbox of orders@example.com."""
    pytest.importorskip("pymap", reason="the demo extra is not installed")
    from postroom.cli.demo.servers import demo_servers

    box = tmp_path / "servers" / "mailbox" / "new"
    box.mkdir(parents=True)
    for number in range(3):
        (box / f"{number}.docs").write_bytes(MESSAGE.replace(b"NUMBER", b"%d" % number))
    with asyncio.Runner() as runner:
        opened = demo_servers(tmp_path / "servers", ADDRESS, PASSWORD)
        made = runner.run(opened.__aenter__())
        ca = tmp_path / "ca.pem"
        ca.write_text(made.ca_pem)
        try:
            yield Servers(postroom, ca, made.imap_port, made.smtp_port)
        finally:
            runner.run(opened.__aexit__(None, None, None))


@pytest.fixture
def ready(postroom: Run, servers: Servers, tmp_path: Path) -> None:
    """The room of a copy of examples/orders.yaml (its sink lies beside it), led to the servers."""
    shutil.copy(ROOT / "examples" / "orders.yaml", tmp_path)
    assert postroom("init") == 0
    assert postroom("apply", "orders.yaml") == 0
    servers.lead()


def test_the_quickstart_runs_from_top_to_bottom(
    postroom: Run, servers: Servers, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    led = False
    for block in blocks_of(DOCS / "quickstart.md"):
        if block.words == ("sh", "run", "online") and not led:
            servers.lead()
            led = True
        if block.words[:2] == ("sh", "run"):
            for words in commands_in(block):
                assert postroom(*words[1:]) == 0, f"{block.where}: {words}\n{capsys.readouterr()}"
        if block.words == ("python", "run"):
            exec(compile(block.text, block.where, "exec"), {})
    assert len(list((tmp_path / "orders" / "INBOX").glob("*.eml"))) == 3
    assert "{'done': 3}" in capsys.readouterr().out


@pytest.mark.usefixtures("ready")
@pytest.mark.parametrize(
    "block", [b for b in marked("python", "run") if "quickstart" not in b.where], ids=at
)
def test_python_in_the_docs_runs(block: Block) -> None:
    if "await " in block.text or "async " in block.text:
        inner = "".join(f"    {line}" for line in block.text.splitlines(keepends=True))
        names: dict[str, object] = {}
        exec(compile(f"async def run():\n{inner}", block.where, "exec"), names)
        asyncio.run(names["run"]())  # type: ignore[operator]
    else:
        exec(compile(block.text, block.where, "exec"), {})


@pytest.mark.usefixtures("ready")
def test_the_examples_run(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "invoice.pdf").write_bytes(b"%PDF-1.7 of the docs")
    assert example(monkeypatch, "send.py", "ann@example.com", "invoice.pdf") == 0
    assert "ann@example.com: sent" in capsys.readouterr().out
    assert example(monkeypatch, "collect.py") == 0
    assert "Your order 4711 ['invoice.pdf']" in capsys.readouterr().out


def example(monkeypatch: pytest.MonkeyPatch, name: str, *words: str) -> int:
    """Run an example as a program; its exit status."""
    monkeypatch.setattr(sys, "argv", [name, *words])
    try:
        runpy.run_path(str(ROOT / "examples" / name), run_name="__main__")
    except SystemExit as end:
        return int(end.code or 0)
    return 0

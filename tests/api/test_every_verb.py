"""Every verb of the command line, on a served room as on one that is here: over the real mail servers."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any, Final

import pytest

from postroom.cli import main
from tests.api.models import hearing
from tests.api.test_serve import Served
from tests.ground import Ground, User
from tests.journeys.conftest import Answer, Cli, cli, wired
from tests.journeys.incoming import letter
from tests.journeys.test_json_documents import ACCOUNT, ROWS

__all__ = ["cli", "wired"]  # fixtures

pytestmark = pytest.mark.bares(
    "file",
    "output",
    why="the token of the test lies in a file of its own; a request as a whole is a secret to the process "
    "that sends it, and what was asked for is shown",
)

HERE: Final = {
    "init": "makes the room",
    "upgrade": "of the room's files",
    "backup create": "a file where the room is",
    "backup verify": "of a file: wants no room",
    "backup restore": "makes a room",
    "keys kit": "a key",
    "keys kek list": "keys where the room is",
    "keys kek add": "keys where the room is",
    "keys kek retire": "keys where the room is",
    "audit heads": "a file where the room is",
    "audit accept": "of who works where the room is",
    "variable allow-env": "what the room's own process may show",
    "variable forbid-env": "what the room's own process may show",
    "outbox drain": "sends from this process: a room that is served has its worker",
    "notify check": "tells from this process",
}
"""What is done where the room is and nowhere else; from afar it is refused in words."""
BUSY: Final = {"source delete": "in_use", "source run": "busy"}
"""What the room's worker may be faster with, and the code that says so."""


class Afar:
    """The command line, with the address of a served room and nothing else of it."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *words: str) -> Answer:
        self._capsys.readouterr()
        status = main([*words])
        shown = self._capsys.readouterr()
        return Answer(status, shown.out, shown.err)


def keys_of(document: dict[str, Any]) -> set[str]:
    """The names in a document, and in the first of its items."""
    items = document.get("items") or [{}]
    return set(document) | {f"items.{key}" for key in items[0] if isinstance(items[0], dict)}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_verb_answers_from_afar_as_it_does_here(
    cli: Cli,
    wired: User,
    ground: Ground,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Generated from the table of all verbs: the same status, the same kind of document; what is read
    has the same names in it; what is only done where the room is says so, with the same code.  Every
    answer is as the OpenAPI document has it."""
    ground.dovecot.fill(wired, [letter("one", wired.address), letter("two", wired.address)])
    (tmp_path / "room.yaml").write_text("postroom: 1\nvariables: {X: y}\n")
    heard, unlike = hearing(monkeypatch)
    wrong: list[tuple[Any, ...]] = []
    with Served(cli.settings) as one:
        (tmp_path / "token").write_text(one.token())
        monkeypatch.setenv("POSTROOM_URL", f"http://127.0.0.1:{one.port}")
        monkeypatch.setenv("POSTROOM_TOKEN_FILE", str(tmp_path / "token"))
        afar = Afar(capsys)
        listed = afar("mail", "list", "--via", "acme", "--json")
        first, second = (each["id"] for each in json.loads(listed.out)["items"])
        send = ("send", "--via", "orders-out", "--to", wired.address, "--text", "x", "--json")
        afar("job", "add", "early", "--set", "command.words=[/bin/true]")
        # what no worker of this room may send stays queued for the table
        afar("service", "add", "later", "--connection", "acme", "--set", "worker_roles=[elsewhere]")
        late = ("send", "--via", "later", "--to", wired.address, "--text", "x", "--json")
        queued = afar(*late, "--forget").json["id"]
        names = {
            "run": afar("job", "run", "early", "--json").json["id"],
            "sink": f"{{type: directory, path: {tmp_path}/more}}",
            "user": wired.address, "tmp": str(tmp_path), "file": str(tmp_path / "room.yaml"),
            "first": first, "second": second, "item": afar(*send).json["id"], "queued": queued,
            "kek": "0", "account": ACCOUNT,
        }  # fmt: skip
        for status, kind, command in ROWS:
            words = shlex.split(command.format(**names))
            answer = afar(*words, "--json")
            name = next((each for each in HERE if f"{command} ".startswith(f"{each} ")), "")
            told = json.loads(answer.out.splitlines()[-1]) if answer.out else {}
            if name:
                good = answer.status != 0 and "error" in told and "Traceback" not in answer.err
            else:
                shape = "list" if "items" in told else "error" if "error" in told else "object"
                good = (str(answer.status), shape) == (status, kind) and told.get("v") == 1
            busy = next((code for each, code in BUSY.items() if command.startswith(each)), "-")
            if not good and told.get("code") != busy:
                wrong.append((command, status, kind, answer))
            elif kind == "list" and not name and words[0] in ("credential", "connection", "user"):
                here = cli(*words, "--json").json
                if keys_of(here) != keys_of(told):
                    wrong.append((command, "other names", keys_of(here) ^ keys_of(told), answer))
    assert wrong == [], "\n".join(str(each) for each in wrong)
    assert unlike == [], "\n".join(unlike)
    assert {"collecting.run", "collecting.preview", "commands.run"} <= heard

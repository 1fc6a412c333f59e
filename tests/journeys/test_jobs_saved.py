"""What a job could never do is said when it is saved: what its wires cannot, and what is not there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from postroom.errors import PostroomError
from tests.ground import Ground
from tests.journeys.conftest import Account, Cli
from tests.journeys.test_bad_input import says


@pytest.fixture
async def wires(account: Account) -> Account:
    """Beside ``acme``: ``pop`` (POP3), ``still`` (IMAP, read-only), ``relay`` and the service
    ``reports`` (SMTP without a sender of its own)."""
    room, ground = account.room, account.ground
    auth = {"type": "secret", "credential": "acme-login"}
    side: dict[str, Any] = {"host": ground.dovecot.host, "trust": "ground-ca", "auth": auth}
    sides: dict[str, dict[str, Any]] = {
        "pop": {"protocol": "pop3", "port": str(ground.dovecot.pop3s)},
        "still": {"protocol": "imap", "port": str(ground.dovecot.imaps), "read_only": True},
    }
    for name, more in sides.items():
        await room.connections.add({"name": name, "incoming": {**side, **more}}, rebind=True)
    host = {"host": "smtp.example.com"}
    await room.credentials.create("relay", "smtp", description="Relay", details=host)
    outgoing = {"protocol": "smtp", "host": "smtp.example.com", "auth": {"type": "none"}}
    await room.connections.add({"name": "plain", "outgoing": outgoing})
    await room.services.add({"name": "reports", "connection": "plain"})
    await room.services.add({"name": "orders-out", "connection": "acme"})
    return account


def step(command: str, **parameters: Any) -> dict[str, Any]:
    return {command: parameters}


NEVER = [
    (step("move-email", via="pop", ids=["1"], to="Done"), "steps.0.move-email", "POP3 has no folders"),
    (step("copy-email", via="pop", ids=["1"], to="Done"), "steps.0.copy-email", "POP3 has no folders"),
    (step("flag-email", via="pop", ids=["1"], add=["seen"]), "steps.0.flag-email", "no flags"),
    (step("list-email", via="pop", folder="Done"), "steps.0.list-email", "one folder, INBOX"),
    (step("list-email", via="pop", search="unseen"), "steps.0.list-email", "no flags"),
    (step("delete-email", via="still", ids=["1"]), "steps.0.delete-email", "still is read-only"),
    (step("list-email", via="relay"), "steps.0.list-email", "relay is a credential of type smtp"),
    (step("list-email", via="orders-out"), "steps.0.list-email", "orders-out is a service"),
    (step("send-email", via="relay", to="a@x.test"), "steps.0.send-email", "from: is needed"),
    (step("send-email", via="reports", to="a@x.test"), "steps.0.send-email", "from: is needed"),
    (step("send-email", via="pop", to="a@x.test"), "steps.0.send-email", "no outgoing side"),
    (step("forward-email", via="pop", id="1", to="a@x.test"), "steps.0.forward-email", "no outgoing"),
]  # fmt: skip
"""Steps whose names stand there, so that no run could do them."""


@pytest.mark.parametrize(
    ("never", "place", "told"), NEVER, ids=[f"{at}" for at in range(len(NEVER))]
)
async def test_what_a_wire_cannot_do_is_refused_when_it_is_saved(
    wires: Account, never: dict[str, Any], place: str, told: str
) -> None:
    """Also within other steps; nothing is saved."""
    jobs = wires.room.jobs
    with pytest.raises(PostroomError) as caught:
        await jobs.add({"name": "never", "steps": [never]})
    assert caught.value.sentence.startswith(f"job never: {place}")
    assert told in caught.value.sentence
    within = [{"for_each": [1], "steps": [never]}]
    with pytest.raises(PostroomError, match="steps.0." + place):
        await jobs.add({"name": "never", "steps": within})
    assert await jobs.list() == []


@pytest.mark.parametrize(
    "good",
    [
        step("delete-email", via="pop", ids=["1"]),
        step("list-email", via="pop", search="from:ann larger:1000"),
        step("list-email", via="still", folder="Done", search="unseen"),
        step("save-attachments", via="still", ids=["1"], to="./in"),
        step("send-email", via="relay", to="a@x.test", **{"from": "me@x.test"}),
        step("send-email", via="orders-out", to="a@x.test"),
        step("send-email", via="credential:relay", to="a@x.test", **{"from": "${param:who}"}),
        step("reply-email", via="pop", id="1", text="t", send_via="orders-out"),
        step("move-email", via="${WHICH}", ids=["1"], to="Done"),
    ],
)
async def test_what_can_be_done_is_saved(wires: Account, good: dict[str, Any]) -> None:
    """So is what a variable of the room may still change."""
    await wires.room.variables.set("WHICH", "pop")
    parameters = {"who": {"default": "me@x.test"}}
    await wires.room.jobs.add({"name": "good", "parameters": parameters, "steps": [good]})
    assert [job["name"] for job in await wires.room.jobs.list()] == ["good"]


SCRIPTS = {
    "whole.py": "def main(context):\n    pass\n",
    "brought.py": "from json import dumps as main\n",
    "other.py": "def report(context):\n    pass\n",
    "broken.py": "def main(context)\n",
}


@pytest.mark.parametrize(
    ("does", "told"),
    [
        ("command: [no-such-program-here, -x]", "command: there is no program no-such-program-here here"),
        ("command: [./no-such-program]", "/no-such-program here"),
        ("command: [./whole.py]", "whole.py may not be executed: chmod +x "),
        ("python: no_such_module:main", "python: there is no module no_such_module here"),
        ("python: json:no_such_function", "python: json has no function no_such_function"),
        ("python: ./other.py", "other.py has no function main"),
        ("python: ./broken.py", "broken.py cannot be read as Python: line 1"),
        ("python: ./whole.py", ""),
        ("python: ./brought.py", ""),
        ("python: json:dumps", ""),
        ("python: os.path:join", ""),
        ("command: [sh, -c, date]", ""),
    ],
)  # fmt: skip
def test_what_is_not_there_is_said_when_it_is_saved(
    cli: Cli, ground: Ground, tmp_path: Path, does: str, told: str
) -> None:
    """It may come, or be where the worker is: so the job is saved, and a note says it."""
    for name, text in SCRIPTS.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o644)
    file = tmp_path / "jobs.yaml"
    file.write_text(f"postroom: 1\njobs:\n  - name: one\n    {does}\n")
    applied = cli("apply", str(file))
    says(applied, 0, told and "Note: job one: ", told)
    shown = cli("job", "show", "one")
    says(shown, 0, told)
    warnings = cli("job", "show", "one", "--json").json["warnings"]
    assert len(warnings) == bool(told)
    assert ("Note:" in applied.err, "Note:" in shown.err) == (bool(told), bool(told))
    assert "warnings" not in shown.out

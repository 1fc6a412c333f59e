"""For programs: every verb answers with one JSON document, and a new verb has to stand in the table."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Final

from docs.verbs import commands
from tests.journeys.conftest import Cli
from tests.journeys.incoming import letter

if TYPE_CHECKING:
    from tests.ground import Ground, User

TABLE: Final = """
    0 object  --version
    0 object  init
    0 object  apply {file} --dry-run
    0 object  export
    0 object  upgrade
    0 object  send --via orders-out --to {user} --text x
    0 list    explain
    0 list    explain source
    0 object  explain timed_out
    0 object  guide google
    1 object  status
    0 object  account recognise ann@gmail.com
    75 object  account test box ann@firm.invalid {account}
    0 object  account connect box ann@firm.invalid {account}
    0 list    credential list
    0 object  credential show acme-login
    3 object  credential add app --type oauth_client --authority https://login.example.com
    0 object  credential set acme-login --description x
    0 object  credential copy ground-ca copied
    0 object  credential delete copied --yes
    0 list    credential usage acme-login
    3 object  credential generate app
    1 error   credential trust acme-login 00
    1 error   credential test acme-login
    0 list    credential versions acme-login
    0 object  credential restore acme-login 1 --rebind
    0 object  credential destroy acme-login 1 --yes
    1 error   credential secret add acme-login 2026a --value-from-env ACME_PASSWORD
    2 error   credential secret prove app 2026a
    0 list    credential secret list app
    2 error   credential secret retire app 2026a --yes
    0 list    connection list
    0 object  connection show acme
    0 object  connection add other --set extends=acme
    0 object  connection set other --description x
    0 object  connection copy other another
    0 object  connection delete another --yes
    0 list    connection usage acme
    2 error   connection trust acme incoming 00:11
    0 object  connection test acme
    1 error   connection signin acme
    1 error   connection signout acme --yes
    0 list    connection signins
    0 list    connection census
    2 error   connection convert acme --auth oauth_device_flow
    0 list    connection log acme
    0 object  connection restart acme
    0 list    source list
    0 object  source show orders-in
    0 object  source add more --connection acme --set folders.input=More --set 'sink={sink}'
    0 object  source set more --description x
    0 object  source copy more even-more
    0 object  source delete even-more --yes
    0 list    source usage orders-in
    0 list    source preview orders-in
    0 object  source run orders-in
    0 list    source ledger orders-in
    0 object  source release orders-in
    0 object  source reset orders-in --yes
    0 list    service list
    0 object  service show orders-out
    0 object  service add more --connection acme
    0 object  service set more --queue-size 7
    0 object  service copy more even-more
    0 object  service delete even-more --yes
    0 object  service hold orders-out
    0 object  service release orders-out
    0 list    service usage orders-out
    0 list    outbox list
    0 object  outbox show {item}
    0 object  outbox save {item} --to {tmp}/item.eml
    0 object  outbox hold {queued}
    0 object  outbox release {queued}
    0 object  outbox cancel {queued}
    1 error   outbox retry {queued}
    1 error   outbox settle {queued}
    0 object  outbox drain
    0 list    mail folders --via acme
    0 list    mail list --via acme
    0 list    mail search all --via acme
    0 object  mail read {first} --via acme
    0 list    mail save {first} --via acme --to {tmp}/saved
    0 object  mail flag {first} --via acme --add flagged
    0 object  mail copy {first} --via acme --to Kept --create
    0 object  mail reply {first} --via acme --send-via orders-out --text x
    0 object  mail forward {first} --via acme --send-via orders-out --to {user}
    0 object  mail move {first} --via acme --to Kept
    0 object  mail delete {second} --via acme --yes
    0 object  job add nightly --set command.words=[/bin/true]
    0 list    job list
    0 object  job show nightly
    0 object  job set nightly --description x
    0 object  job copy nightly second
    0 object  job hold second
    0 object  job release second
    0 object  job delete second --yes
    0 list    job usage nightly
    0 object  job run nightly
    0 list    job runs nightly
    0 object  job log {run}
    1 error   job cancel {run}
    0 object  notify add ops --service orders-out --to {user}
    0 list    notify list
    0 object  notify show ops
    0 object  notify set ops --causes outbox
    0 object  notify copy ops ops-too
    0 object  notify delete ops-too --yes
    0 list    notify test ops
    0 list    notify notices
    1 list    notify check
    0 object  variable add A a
    0 object  variable set A b
    0 list    variable list
    0 object  variable show A
    0 list    variable usage A
    0 object  variable delete A --yes
    0 object  variable allow-env HOME
    0 object  variable forbid-env HOME
    0 object  user add ann --role admin
    0 object  user set ann --address ann@example.com
    0 object  user show ann
    0 list    user list
    0 object  user invite ann
    0 list    user sessions ann
    0 object  user sessions ann --end
    0 object  token add deploy --for ann --may view
    0 list    token list
    2 error   token revoke nonsense
    0 object  credential restrict acme-login
    0 object  credential grant acme-login user:ann
    0 list    credential grants
    0 object  credential ungrant acme-login user:ann
    0 object  credential open acme-login
    0 object  user delete ann --yes
    0 object  erase nobody@example.com --yes
    0 object  keys status
    0 object  keys doctor
    0 object  keys kit --to {tmp}/kit
    0 object  keys rotate
    0 list    keys kek list
    0 object  keys kek add file:{tmp}/second.key --make
    1 error   keys kek retire {kek} --yes
    0 list    audit list
    0 object  audit verify
    0 object  audit heads --to {tmp}/heads
    0 object  audit accept --why tested --yes
    0 object  backup create --to {tmp}/backup
    0 object  backup verify {tmp}/backup
    1 error   backup restore {tmp}/backup
"""
"""Status, what comes, and the command; an error is a document too, where the good way needs servers
of its own (OAuth) and has its journeys.
"""

ACCOUNT: Final = (
    "--set incoming.host=127.0.0.1 --set incoming.port=1 --set outgoing.protocol=none "
    "--password-from-env ACME_PASSWORD --no-send --no-collect"
)
ELSEWHERE: Final = {
    "demo": "test_demo",
    "exec": "test_exec: what it writes is the program's",
    "keys unlock": "test_serve: it wants a room that is served, and locked",
    "serve": "test_serve: a log, one document a line",
    "worker": "test_worker_log: a log, one document a line",
    "source watch": "test_cli: it ends when it is asked to, and has no answer",
}
ROWS: Final = [line.split(None, 2) for line in TABLE.strip().splitlines()]


def test_every_verb_stands_in_the_table() -> None:
    """As the canary sweep has it: whoever adds a verb says what it answers."""
    there = [command for _, _, command in ROWS]
    for name, _ in commands():
        used = any(command == name or command.startswith(f"{name} ") for command in there)
        assert used is (name not in ELSEWHERE), name


def test_every_verb_answers_with_one_json_document(
    cli: Cli, wired: User, ground: Ground, tmp_path: Path
) -> None:
    """An object with "v": 1, lists as items, an error with its code; nothing on standard error."""
    ground.dovecot.fill(wired, [letter("one", wired.address), letter("two", wired.address)])
    (tmp_path / "room.yaml").write_text("postroom: 1\nvariables: {X: y}\n")
    first, second = (
        one["id"] for one in cli("mail", "list", "--via", "acme", "--json").json["items"]
    )
    send = ("send", "--via", "orders-out", "--to", wired.address, "--text", "x", "--json")
    cli("job", "add", "early", "--set", "command.words=[/bin/true]")
    names = {
        "run": cli("job", "run", "early", "--json").json["id"],
        "sink": f"{{type: directory, path: {tmp_path}/more}}",
        "user": wired.address, "tmp": str(tmp_path), "file": str(tmp_path / "room.yaml"),
        "first": first, "second": second, "item": cli(*send).json["id"],
        "queued": cli(*send, "--forget").json["id"],
        "account": ACCOUNT,
        "kek": cli("keys", "kek", "list", "--json").json["items"][0]["id"],
    }  # fmt: skip
    for status, kind, command in ROWS:
        words = shlex.split(command.format(**names))
        answer = cli(*words, "--json")
        assert str(answer.status) == status, (words, answer)
        assert answer.err == "", words
        assert answer.out.count("\n") == 1, words
        assert answer.json["v"] == 1, words
        assert ("items" in answer.json) is (kind == "list"), words
        assert ("error" in answer.json) is (kind == "error"), words

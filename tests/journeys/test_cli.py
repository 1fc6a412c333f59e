"""The command line as a person and a program use it, over real servers."""

from __future__ import annotations

import email
import email.policy
import json
import re
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from postroom.cli import main
from tests.ground.maildir import arrived
from tests.journeys.conftest import Account, Cli
from tests.journeys.incoming import letter
from tests.journeys.terminal import Terminal

if TYPE_CHECKING:
    from tests.ground import Ground, User


@pytest.fixture
def screen(cli: Cli) -> Any:
    """Runs a command of the room on a terminal."""
    where = ("--room", str(cli.settings.room), "--kek", str(cli.settings.kek))
    return lambda *words: Terminal(*words, *where)


@pytest.fixture
def mail(cli: Cli, wired: User) -> Cli:
    """A room with one message in the mailbox, sent to itself with an attachment."""
    answer = cli("send", "--via", "orders-out", "--to", wired.address, "--subject", "Order 4711",
                 "--text", "Please send it.", "--attach", __file__)  # fmt: skip
    assert answer.status == 0, answer.err
    _messages(cli, "subject:4711")
    return cli


def _messages(cli: Cli, search: str, folder: str = "INBOX") -> list[dict[str, Any]]:
    """What a search finds, as soon as it finds something: delivery takes a moment."""
    for _ in range(100):
        found = cli("mail", "search", search, "--via", "acme", "--folder", folder, "--json").json
        if found["items"]:
            break
    items: list[dict[str, Any]] = found["items"]
    return items


# ------------------------------------------------------------------ a room of one's own


def test_init_says_where_things_are_and_what_is_next(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ("--room", str(tmp_path / "room"), "--kek", f"file:{tmp_path / 'key'}")
    assert main(["init", *where]) == 0
    told = capsys.readouterr().out
    assert told.startswith("A new room.")
    assert f"export POSTROOM_ROOM={tmp_path / 'room'} POSTROOM_KEK=file:" in told
    assert sum(line.startswith("  postroom ") for line in told.splitlines()) == 4
    assert main(["init", *where]) == 0
    assert "nothing was changed" in capsys.readouterr().out


# ------------------------------------------------------------------ on a terminal


def test_what_is_missing_is_asked_for_and_the_secret_is_not_shown(cli: Cli, screen: Any) -> None:
    with screen("credential", "add", "login") as asked:
        asked.until("Type (one of")
        asked.type("password")
        asked.until("Description (empty: none): ")
        asked.type("Orders account")
        asked.until("User name: ")
        asked.type("ann@example.com")
        asked.until("Password (empty: none): ")
        asked.type("correct horse battery")
        assert asked.end() == 0
    assert "correct horse" not in asked.seen
    shown = cli("credential", "show", "login", "--json").json
    assert (shown["state"], shown["description"]) == ("complete", "Orders account")
    assert shown["fields"] == {"user_name": "ann@example.com", "password": "****tery"}


def test_a_wrong_name_is_refused_before_a_secret_is_asked_for(cli: Cli, screen: Any) -> None:
    with screen("credential", "add", "my login", "--type", "password") as asked:
        assert asked.end() == 2
    assert "has a space in it" in asked.seen
    assert "Password" not in asked.seen


def test_ctrl_c_ends_a_question_at_once(cli: Cli, screen: Any) -> None:
    with screen("credential", "add", "login", "--type", "secret") as asked:
        asked.until("(empty: none): ")
        asked.until_it_waits()
        asked.interrupt()
        assert asked.end() == 130
    assert "Stopped." in asked.seen
    assert "Traceback" not in asked.seen
    assert cli("credential", "list", "--json").json["items"] == []


def test_a_no_saves_nothing_and_a_yes_binds_the_secret(cli: Cli, wired: User, screen: Any) -> None:
    assert cli("connection", "test", "acme").status == 0
    move = ("connection", "set", "acme", "--set", "incoming.host=localhost")
    for answer, status, host in (("n", 1, "127.0.0.1"), ("y", 0, "localhost")):
        with screen(*move) as asked:
            asked.until("Is that right? [y/N]: ")
            assert "imap://localhost:" in asked.seen
            asked.type(answer)
            assert asked.end() == status
        shown = cli("connection", "show", "acme", "--json").json
        assert shown["incoming"]["host"] == host


def test_collecting_shows_how_far_it_is(mail: Cli, screen: Any) -> None:
    with screen("source", "run", "orders-in") as run:
        assert run.end() == 0
    assert "1/1" in run.seen
    assert "orders-in: 1 delivered to" in run.seen


async def test_what_is_told_of_a_pass_grows_with_what_arrives(
    account: Account, tmp_path: Path
) -> None:
    """While one batch is read, not only when it is durable: a bar that stands still looks dead."""
    account.ground.dovecot.fill(account.user, [letter(f"{n}", size=8_000) for n in range(300)])
    await account.source(tmp_path / "orders")
    told: list[tuple[int, int, int]] = []
    await account.room.collecting.run(
        "orders-in", progress=lambda tally: told.append((tally.read, tally.total, tally.delivered))
    )
    assert any(0 < read < total == 300 and not delivered for read, total, delivered in told)
    assert told[-1] == (300, 300, 300)
    assert told == sorted(told)


@pytest.mark.parametrize("end", ["interrupt", "terminate"])
def test_watching_ends_when_it_is_asked_to(mail: Cli, screen: Any, end: str) -> None:
    with screen("source", "watch", "orders-in") as watch:
        watch.until("1 delivered")
        getattr(watch, end)()
        assert watch.end() in (130, 143)
    assert "Stopped." in watch.seen
    assert "Traceback" not in watch.seen
    assert mail("source", "ledger", "orders-in", "--json").json["items"][0]["state"] == "done"


def test_watching_tells_what_is_new_each_time(
    cli: Cli, wired: User, ground: Any, screen: Any
) -> None:
    """Not the sum of the pass so far: large messages are handed over in several batches."""
    ground.dovecot.fill(wired, [letter(f"{n}", size=3_000_000) for n in range(7)])
    with screen("source", "watch", "orders-in") as watch:
        while (told := sum(map(int, re.findall(r"^(\d+) delivered$", watch.seen, re.M)))) < 7:
            watch.until_more()
        watch.interrupt()
        watch.end()
    assert told == 7
    assert watch.seen.count(" delivered\n") > 1


def test_tables_fit_a_terminal(mail: Cli, screen: Any) -> None:
    assert mail("source", "run", "orders-in").status == 0
    for words in (
        ("credential", "list"),
        ("connection", "list"),
        ("source", "ledger", "orders-in"),
        ("outbox", "list"),
        ("mail", "list", "--via", "acme"),
        ("audit", "list"),
        ("explain", "source"),
    ):
        with screen(*words) as table:
            assert table.end() == 0
        assert max(map(len, table.seen.splitlines())) <= 80, table.seen


# ------------------------------------------------------------------ for programs


def test_an_error_is_a_json_document_on_standard_output(cli: Cli) -> None:
    for words, status, code in (
        (("credential", "show", "nobody"), 2, "not_found"),
        (("source", "run"), 2, "invalid_value"),
        (("connection", "add", "x"), 2, "invalid_value"),
        (("souce",), 2, "invalid_value"),
    ):
        answer = cli(*words, "--json")
        assert (answer.status, answer.json["code"]) == (status, code), answer
        assert answer.json["v"] == 1
        assert answer.json["error"]
        assert answer.err == ""


def test_statuses_tell_failed_from_later_and_from_configuration(
    cli: Cli, wired: User, tmp_path: Path
) -> None:
    """0, 1, 2, 3, 75 and 78 (DESIGN 4.8), each met once."""
    send = ("send", "--via", "orders-out", "--to")
    assert cli(*send, wired.address, "--text", "x").status == 0
    assert cli(*send, "not an address", "--text", "x").status == 2
    failed = cli(*send, wired.address, "--text", "x", "--from", "boss@example.com")
    assert failed.status == 1
    assert cli("connection", "set", "acme", "--rebind", "--set", "outgoing.port=1").status == 0
    later = cli(*send, wired.address, "--text", "x", "--wait", "1s")
    assert later.status == 3
    assert "do not send it again" in later.err
    assert cli("outbox", "drain").status == 75
    assert cli("connection", "test", "acme").status == 75
    (tmp_path / "keys" / "room.key").unlink()
    assert cli("connection", "test", "acme").status == 78


# ------------------------------------------------------------------ credentials


def test_a_copy_of_a_credential_has_its_settings_and_not_its_secret(cli: Cli, wired: User) -> None:
    """T26: else a copy could present the secret at places of its own."""
    assert cli("credential", "set", "acme-login", "--expires-at", "2099-01-01").status == 0
    answer = cli("credential", "copy", "acme-login", "second")
    assert answer.status == 3, "stored, not finished"
    assert "password missing" in answer.err
    shown = cli("credential", "show", "second", "--json").json
    assert shown["fields"] == {"user_name": wired.address}
    assert (shown["state"], shown["expires_at"]) == ("incomplete", None)
    assert cli("credential", "copy", "acme-login", "SECOND").status == 1
    db = sqlite3.connect(cli.settings.room / "room.db")
    plain, sealed = db.execute(
        "SELECT v.plain, v.secrets FROM credential_versions v JOIN credentials c "
        "ON c.id = v.credential WHERE c.name = 'second' ORDER BY v.version DESC"
    ).fetchone()
    db.close()
    assert json.loads(sealed) == []
    assert wired.password not in plain


# ------------------------------------------------------------------ mail


def test_reading_saving_and_moving(mail: Cli, tmp_path: Path) -> None:
    one = _messages(mail, "subject:4711")[0]
    assert one["received"].endswith("Z")
    assert one["flags"] == []
    read = mail("mail", "read", one["id"], "--via", "acme")
    assert "Please send it." in read.out
    assert "test_cli.py (text/x-python" in read.out
    saved = mail("mail", "save", one["id"], "--via", "acme", "--attachments", "--to",
                 str(tmp_path / "files"))  # fmt: skip
    assert saved.status == 0, saved.err
    assert (tmp_path / "files" / "test_cli.py").read_bytes() == Path(__file__).read_bytes()
    moved = mail("mail", "move", one["id"], "--via", "acme", "--to", "Done", "--create")
    assert moved.out == "1 message moved to Done.\n"
    assert mail("mail", "list", "--via", "acme").out == "No message.\n"
    kept = _messages(mail, "all", "Done")[0]
    assert kept["flags"] == [], "reading leaves it unseen"
    gone = mail("mail", "delete", kept["id"], "--yes", "--via", "acme", "--folder", "Done")
    assert gone.out == "1 message deleted.\n"


def test_an_answer_goes_to_the_sender_and_marks_the_message(mail: Cli, wired: User) -> None:
    first = _messages(mail, "subject:4711")[0]["id"]
    sent = mail("mail", "reply", first, "--via", "acme", "--text", "Done.", "--json")
    assert sent.status == 0, sent.out
    assert sent.json["subject"] == "Re: Order 4711"
    assert [one["address"] for one in sent.json["recipients"]] == [wired.address]
    answered = _messages(mail, "answered")
    assert [one["id"] for one in answered] == [first]
    answer = _messages(mail, "subject:Re:")[0]
    text = mail("mail", "read", answer["id"], "--via", "acme").out
    assert "Done." in text
    assert "> Please send it." in text
    empty = mail("mail", "reply", first, "--via", "acme")
    assert (empty.status, "needs a text" in empty.err) == (2, True)


def test_a_forwarded_message_has_its_attachments(mail: Cli, wired: User) -> None:
    first = _messages(mail, "subject:4711")[0]["id"]
    sent = mail("mail", "forward", first, "--via", "acme", "--send-via", "orders-out", "--to",
                wired.address, "--text", "See below.", "--json")  # fmt: skip
    assert sent.status == 0, sent.out
    assert sent.json["service"] == "orders-out"
    passed = _messages(mail, "subject:Fwd")[0]
    found = mail("mail", "read", passed["id"], "--via", "acme", "--json").json
    assert "Please send it." in found["text"]
    assert [one["name"] for one in found["attachments"]] == ["test_cli.py"]


# ------------------------------------------------------------------ the outbox and the room file


def test_texts_come_from_files_and_nobody_sees_the_blind_copy(
    cli: Cli, wired: User, ground: Ground, tmp_path: Path
) -> None:
    """Both forms of the text as they stand in their files; Bcc is in the envelope alone."""
    blind = ground.user()
    (tmp_path / "text").write_text("Grüße, as plain text.\n")
    (tmp_path / "html").write_text("<p>Grüße, as <b>HTML</b>.</p>\n")
    sent = cli("send", "--via", "orders-out", "--to", wired.address, "--bcc", blind.address,
               "--subject", "Both", "--text-file", str(tmp_path / "text"),
               "--html-file", str(tmp_path / "html"), "--json")  # fmt: skip
    assert sent.status == 0, sent.out + sent.err
    assert {one["address"] for one in sent.json["recipients"]} == {wired.address, blind.address}
    for user in (wired, blind):
        [raw] = arrived(user.maildir)
        read = email.message_from_bytes(raw, policy=email.policy.default)
        bodies = {part: read.get_body((part,)) for part in ("plain", "html")}
        told = {part: body.get_content() for part, body in bodies.items() if body is not None}
        assert told["plain"].strip() == "Grüße, as plain text."
        assert "<b>HTML</b>" in told["html"]
        assert "bcc" not in {name.lower() for name in read.keys()}  # noqa: SIM118
    assert blind.address.encode() not in arrived(wired.maildir)[0]


def test_an_operator_holds_releases_and_cancels(cli: Cli, wired: User) -> None:
    send = ("send", "--via", "orders-out", "--to", wired.address, "--text", "x", "--forget")
    item = cli(*send, "--json").json["id"]
    assert cli("outbox", "hold", item[:15]).out == f"{item} is held.\n"
    assert cli("outbox", "drain").out == "Nothing was due.\n"
    assert cli("outbox", "release", item).out == f"{item} is queued.\n"
    assert cli("outbox", "drain").out == "1 sent.\n"
    other = cli(*send, "--json").json["id"]
    assert cli("outbox", "cancel", other).status == 0
    assert cli("outbox", "list", "--state", "cancelled", "--json").json["items"][0]["id"] == other
    assert "is cancelled" in cli("outbox", "release", other).err


def test_an_exported_room_is_readable_and_applies_without_a_change(
    cli: Cli, wired: User, tmp_path: Path
) -> None:
    path = tmp_path / "room.yaml"
    assert cli("export", "--to", str(path)).out == f"Written to {path}, without secrets.\n"
    assert "    certificate: |" in path.read_text(), "a certificate is a block of lines"
    assert wired.password not in path.read_text()
    assert yaml.safe_load(path.read_text()) == cli("export", "--json").json["room"]
    assert cli("apply", str(path)).out.endswith("Nothing to change.\n")
    assert cli("export", "--to", str(path)).status == 2, "a file is not overwritten"
    plan = cli("apply", "--dry-run", "--prune", "services", str(path), "--json").json
    assert (plan["dry_run"], plan["changes"]) == (True, 0)


def test_pruning_shows_the_plan_and_asks(cli: Cli, wired: User, tmp_path: Path) -> None:
    path = tmp_path / "room.yaml"
    path.write_text("postroom: 1\n")
    asked = cli("apply", "--prune", "services", str(path))
    assert asked.status == 2
    assert "remove service orders-out" in asked.out
    assert "--yes" in asked.err
    assert len(cli("service", "list", "--json").json["items"]) == 1
    assert cli("apply", "--prune", "services", str(path), "--yes").status == 0
    assert cli("service", "list", "--json").json["items"] == []

"""Bad input: one clear sentence that says what to do, the right exit status, and nothing lost."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from postroom.cli import main
from postroom.db import engine
from tests.journeys.conftest import Answer, Cli

if TYPE_CHECKING:
    from tests.ground import Ground, User

IN = "incoming."


def says(answer: Answer, status: int, *words: str) -> None:
    """The exit status is this one, and people are told all of these words, and no traceback."""
    told = answer.out + answer.err
    assert answer.status == status, told
    assert "Traceback" not in told
    for word in words:
        assert word in told


def prints(messages: Iterable[bytes]) -> list[str]:
    """What tells whole messages apart, in an order: 60 MB are not to be shown where they differ."""
    return sorted(hashlib.sha256(one).hexdigest() for one in messages)


def change(cli: Cli, **fields: object) -> None:
    """Change the incoming side of the connection."""
    words = [part for key, value in fields.items() for part in ("--set", f"{IN}{key}={value}")]
    answer = cli("connection", "set", "acme", "--rebind", *words)
    assert answer.status == 0, answer.err


# ------------------------------------------------------------------ the network


def test_an_unknown_host_is_named(cli: Cli, wired: User) -> None:
    change(cli, host="no-such-host.invalid")
    says(cli("connection", "test", "acme"), 1, "no-such-host.invalid", "resolve", "spelled")
    says(cli("source", "run", "orders-in"), 1, "no-such-host.invalid")


def test_a_refused_port_is_named(cli: Cli, wired: User) -> None:
    change(cli, port=1)
    says(cli("connection", "test", "acme"), 75, "127.0.0.1:1", "refused")
    sides = {one["side"]: one for one in cli("connection", "test", "acme", "--json").json["sides"]}
    failed = [step["name"] for step in sides["incoming"]["steps"] if not step["ok"]]
    assert failed == ["connect"]


@pytest.mark.parametrize(
    ("instance", "words"),
    [
        ("wronghost", ("certificate", "name")),
        ("expired", ("certificate", "expired")),
        ("selfsigned", ("signed by itself", "fingerprint")),
    ],
)
def test_each_bad_certificate_is_told_apart(
    cli: Cli, wired: User, ground: Ground, instance: str, words: tuple[str, ...]
) -> None:
    """T60: the sentence says which kind it is; the self-signed one comes with a command to trust it."""
    change(cli, port=getattr(ground.dovecot, instance).imaps)
    answer = cli("connection", "test", "acme")
    told = (answer.out + answer.err).lower()
    assert answer.status == 1, told
    assert all(word in told for word in words), told
    if instance == "selfsigned":
        command = next(line for line in answer.out.splitlines() if "connection trust" in line)
        assert cli(*command.split()[1:], "--rebind").status == 0
        assert cli("connection", "test", "acme").status == 0


def test_a_wrong_password_is_explained(
    cli: Cli, wired: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WRONG", "not-the-right-one-at-all")
    assert cli("credential", "set", "acme-login", "--password-from-env", "WRONG").status == 0
    answer = cli("connection", "test", "acme")
    says(answer, 1, "sign-in", "app password")
    assert "not-the-right-one-at-all" not in answer.out + answer.err
    assert cli("source", "run", "orders-in").status == 1


def test_a_missing_folder_is_named(cli: Cli, wired: User) -> None:
    assert cli("source", "set", "orders-in", "--set", "folders.input=Nowhere").status == 0
    for verb in ("run", "preview"):
        says(cli("source", verb, "orders-in"), 1, "Nowhere", "postroom mail folders --via acme")


def test_sign_in_without_tls_is_refused_when_saved(cli: Cli, wired: User) -> None:
    answer = cli("connection", "set", "acme", "--set", f"{IN}security=none", "--set",
                 f"{IN}host=mail.example.com", "--rebind")  # fmt: skip
    says(answer, 2, "password", "starttls", "nothing was saved")
    assert cli("connection", "show", "acme", "--json").json["incoming"]["security"] == "tls"


def test_a_secret_goes_elsewhere_only_with_the_flag_that_is_named(cli: Cli, wired: User) -> None:
    assert cli("connection", "test", "acme").status == 0
    move = ("connection", "set", "acme", "--set", f"{IN}host=localhost")
    asked = cli(*move)
    says(asked, 1, "imap://localhost:", "confirm it with --rebind")
    assert "Enter the secret again" not in asked.err, "this verb takes none"
    assert "--rebind" in cli(*move, "--json").json["hint"]
    assert cli(*move, "--rebind").status == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("mail", "read", "1"), "'1' is not a message id; ids of INBOX look like "),
        (("mail", "read", "1"), "postroom mail list --via acme"),
        (("mail", "read", "1-1"), "postroom mail list --via acme"),
        (("mail", "list", "--folder", "No Where"), "postroom mail folders --via acme"),
    ],
)
def test_what_is_not_in_the_mailbox_comes_with_a_whole_command(
    cli: Cli, wired: User, words: tuple[str, ...], told: str
) -> None:
    answer = cli(*words, "--via", "acme")
    assert answer.status in (1, 2)
    assert told in answer.err


def test_a_message_that_is_gone_is_looked_for_in_its_folder(
    cli: Cli, wired: User, ground: Ground
) -> None:
    ground.dovecot.fill(wired, [b"Subject: one\r\n\r\nx\r\n"])
    via = ("--via", "acme")
    first = cli("mail", "list", *via, "--json").json["items"][0]["id"]
    moved = cli("mail", "move", first, *via, "--to", "My Orders", "--create", "--json").json
    assert "postroom mail list --via acme\n" in cli("mail", "move", first, *via, "--to", "Done").err
    new = moved["ids"][first]
    folder = (*via, "--folder", "My Orders")
    assert cli("mail", "delete", new, *folder, "--yes").status == 0
    says(cli("mail", "flag", new, *folder, "--add", "seen"), 2,
         "postroom mail list --via acme --folder 'My Orders'")  # fmt: skip


def test_a_certificate_nobody_knows_comes_with_the_command_that_shows_it(
    cli: Cli, wired: User, ground: Ground
) -> None:
    change(cli, port=ground.dovecot.selfsigned.imaps)
    says(cli("mail", "list", "--via", "acme"), 1, "postroom connection test acme")
    says(cli("connection", "trust", "acme", "incoming", "00:11"), 2,
         "postroom connection test acme")  # fmt: skip


# ------------------------------------------------------------------ the messages


def test_a_message_over_the_servers_size_fails_with_its_limit(
    cli: Cli, wired: User, tmp_path: Path
) -> None:
    big = tmp_path / "big.bin"
    big.write_bytes(os.urandom(1_500_000))
    answer = cli("send", "--via", "orders-out", "--to", wired.address, "--attach", str(big))
    says(answer, 1, "5.3.4", "size")
    [item] = cli("outbox", "list", "--json").json["items"]
    assert item["state"] == "failed", "permanent: nobody tries it again"
    assert cli("outbox", "drain").status == 0


def test_hostile_and_broken_messages_are_collected_whole(
    cli: Cli, wired: User, ground: Ground, tmp_path: Path
) -> None:
    """Broken MIME, unknown charsets, header bombs and 60 MB: exact bytes, and nothing is held."""
    hostile = [
        b"Subject: =?no-such-charset?Q?x=FF?=\r\nFrom: a@example.com\r\n\r\nx\r\n",
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nnever closed\r\n",
        b"Subject: " + b"=?utf-8?Q?a?= " * 16_000 + b"\r\n\r\nbomb\r\n",
        b"To: " + b"a@example.com, " * 4_000 + b"\r\n\r\n\r\n",
        b"no header at all, only a line\r\n",
        b"Subject: a\x00b\x1b[31m\r\n\r\ncontrol\r\n",
        b"Subject: large\r\n\r\n" + (b"y" * 76 + b"\r\n") * 770_000,
    ]
    ground.dovecot.fill(wired, hostile)
    assert cli("source", "set", "orders-in", "--set", "attachments.load=true").status == 0
    answer = cli("source", "run", "orders-in", "--json")
    assert answer.status == 0, answer.err
    assert answer.json["delivered"] == len(hostile)
    stored = [path.read_bytes() for path in (tmp_path / "orders/INBOX").glob("*.eml")]
    # Dovecot sends NUL as 0x80: IMAP has no way to send it in a literal (RFC 9051, 4.3)
    assert prints(stored) == prints(one.replace(b"\0", b"\x80") for one in hostile)
    listed = cli("source", "ledger", "orders-in")
    assert "\x1b" not in listed.out


def test_mail_to_nobody_and_header_injection_are_refused(cli: Cli, wired: User) -> None:
    """T69, T71: refused before anything is stored."""
    says(cli("send", "--via", "orders-out", "--subject", "x"), 2, "recipient")
    says(cli("send", "--via", "orders-out", "--to", "a@b.example", "--subject", "x\r\nBcc: c@d"),
         2, "subject")  # fmt: skip
    says(cli("send", "--via", "orders-out", "--to", "not an address", "--text", "x"), 2,
         "address")  # fmt: skip
    assert cli("outbox", "list", "--json").json["items"] == []


def test_an_empty_message_is_sent_only_when_it_is_meant(cli: Cli, wired: User) -> None:
    """A flag forgotten in a script sends nothing; whoever means it says so."""
    send = ("send", "--via", "orders-out", "--to", wired.address)
    says(cli(*send), 2, "empty", "--text")
    assert cli(*send, "--json").json["code"] == "invalid_value"
    assert cli("outbox", "list", "--json").json["items"] == []
    for meant in (("--text", ""), ("--html", ""), ("--subject", "only this"), ("--yes",)):
        assert cli(*send, *meant, "--forget").status == 0
    assert len(cli("outbox", "list", "--json").json["items"]) == 4


def test_a_sender_that_is_not_allowed_is_refused(cli: Cli, wired: User) -> None:
    """T72."""
    answer = cli("send", "--via", "orders-out", "--from", "boss@example.com", "--to", "a@b.example",
                 "--text", "x")  # fmt: skip
    says(answer, 1, "boss@example.com", "allowed")
    assert cli("outbox", "list", "--json").json["items"] == []


def test_a_drain_says_what_waits_and_until_when(cli: Cli, wired: User) -> None:
    change_out = ("connection", "set", "acme", "--rebind", "--set", "outgoing.port=1")
    assert cli(*change_out).status == 0
    send = ("send", "--via", "orders-out", "--to", wired.address, "--text", "x", "--forget")
    assert cli(*send).status == 0
    says(cli("outbox", "drain"), 75, "1 deferred, 1 waits, next at 20")
    again = cli("outbox", "drain")
    says(again, 75, "1 waits, next at 20")
    assert "Nothing was due" not in again.out
    assert cli("outbox", "drain", "--service", "Orders-Out", "--json").json["waiting"] == 1


def test_a_full_disk_loses_nothing(cli: Cli, wired: User, ground: Ground, tmp_path: Path) -> None:
    """The sink says so, the exit status is "try again", and afterwards every message arrives."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small tmpfs needs root")
    small = tmp_path / "small"
    small.mkdir()
    if os.system(f"mount -t tmpfs -o size=64k tmpfs {small}") != 0:
        pytest.skip("a tmpfs cannot be mounted here")
    try:
        ground.dovecot.fill(wired, [b"Subject: %d\r\n\r\n" % n + b"z" * 9000 for n in range(20)])
        assert cli("source", "set", "orders-in", "--set", f"sink.path={small}").status == 0
        says(cli("source", "run", "orders-in"), 75, "full")
    finally:
        os.system(f"umount {small}")
    answer = cli("source", "run", "orders-in", "--json")
    assert answer.status == 0, answer.out + answer.err
    assert len(list((small / "INBOX").glob("*.eml"))) == 20


# ------------------------------------------------------------------ the room and its key


def test_a_locked_database_names_the_holder(
    cli: Cli, wired: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "BUSY_SECONDS", 0.2)
    other = sqlite3.connect(cli.settings.room / "room.db")
    other.execute("BEGIN IMMEDIATE")
    try:
        answer = cli("variable", "set", "A", "1")
        assert cli("connection", "list").status == 0, "looking goes on"
    finally:
        other.rollback()
        other.close()
    says(answer, 75, "writing", f"process {os.getpid()}")


def test_a_wrong_key_changes_nothing(cli: Cli, wired: User, tmp_path: Path) -> None:
    """T13: exit 78, both key ids, and the same bytes on disk, whatever is tried."""
    key = tmp_path / "keys" / "room.key"
    other = Cli(type(cli.settings)(tmp_path / "other", f"file:{tmp_path / 'keys' / 'other.key'}"),
                cli._capsys)  # fmt: skip
    assert other("init").status == 0
    [mine], [theirs] = (
        each("keys", "kek", "list", "--json").json["items"] for each in (cli, other)
    )
    right = key.read_bytes()
    key.write_bytes((tmp_path / "keys" / "other.key").read_bytes())
    before = on_disk(cli.settings.room)
    for words in (("connection", "test", "acme"), ("init",), ("variable", "set", "A", "1"),
                  ("keys", "rotate"), ("credential", "delete", "ground-ca", "--force", "--yes"),
                  ("send", "--via", "orders-out", "--to", "a@b.example", "--text", "x")):  # fmt: skip
        says(cli(*words), 78, mine["id"], theirs["id"])
    listed = cli("credential", "list", "--json")
    assert listed.status == 0
    assert len(listed.json["items"]) == 2
    assert on_disk(cli.settings.room) == before
    key.write_bytes(right)
    assert cli("connection", "test", "acme").status == 0


def on_disk(room: Path) -> dict[str, bytes]:
    """Every file of the room; not the index of the log, which a look at it makes and removes."""
    return {
        str(path.relative_to(room)): path.read_bytes()
        for path in sorted(room.rglob("*"))
        if path.is_file() and not path.name.endswith("-shm") and path.stat().st_size
    }


def test_a_missing_key_is_not_made_anew(cli: Cli, wired: User, tmp_path: Path) -> None:
    """T14."""
    key = tmp_path / "keys" / "room.key"
    kept = key.rename(tmp_path / "kept.key")
    for words in (("credential", "show", "acme-login"), ("init",)):
        cli(*words)
        assert not key.exists()
    for verb in (("show", "acme-login"), ("list",)):
        looked = cli("credential", *verb)
        assert looked.status == 0
        assert looked.err.startswith("Note: the room is locked. "), looked.err
        assert str(key) in "".join(looked.err.split())
        assert "postroom keys doctor" in looked.err
    assert "Note" not in cli("keys", "status").err, "it says so itself"
    says(cli("connection", "test", "acme"), 78, str(key))
    kept.rename(key)
    assert cli("connection", "test", "acme").status == 0


def test_a_key_file_others_can_read_is_refused(cli: Cli, wired: User, tmp_path: Path) -> None:
    """T16."""
    key = tmp_path / "keys" / "room.key"
    key.chmod(0o644)
    says(cli("connection", "test", "acme"), 78, str(key), f"chmod 600 {key}")
    key.chmod(0o600)
    assert cli("connection", "test", "acme").status == 0


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("/srv/r2.key", "POSTROOM_KEK is '/srv/r2.key': write file:/srv/r2.key"),
        ("~/r2.key", "write file:~/r2.key"),
        ("c2VjcmV0LWtleQ", "Write file:PATH"),
    ],
)
def test_a_path_alone_in_the_environment_is_no_place_of_a_key(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    value: str, told: str,
) -> None:  # fmt: skip
    """Configuration, not wrong use; what is no path may be the key, and is not repeated."""
    monkeypatch.setenv("POSTROOM_KEK", value)
    assert main(["keys", "status", "--room", str(cli.settings.room)]) == 78
    err = capsys.readouterr().err
    assert told in err
    assert "c2VjcmV0" not in err


def test_no_room_says_how_to_make_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from postroom.cli import main

    status = main(["credential", "list", "--room", str(tmp_path / "nowhere")])
    told = capsys.readouterr()
    says(Answer(status, told.out, told.err), 78, "postroom init")


# ------------------------------------------------------------------ what is typed


def test_a_room_file_with_an_unknown_field_names_file_and_line(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "room.yaml"
    path.write_text("postroom: 1\nconnections:\n  - name: acme\n    incoming:\n      hots: x\n")
    says(cli("apply", str(path)), 2, "room.yaml", "line 5", "hots", "Did you mean host?")
    assert cli("connection", "list", "--json").json["items"] == []


def test_a_secret_in_a_room_file_is_refused(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "room.yaml"
    path.write_text("postroom: 1\ncredentials:\n  - {name: a, type: password,\n"
                    "     fields: {user_name: u, password: hunter2hunter2}}\n")  # fmt: skip
    answer = cli("apply", str(path))
    says(answer, 2, "room.yaml", "from_env")
    assert "hunter2" not in answer.out + answer.err


def test_a_macro_with_an_unknown_name_is_refused_when_saved(
    cli: Cli, wired: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T38: a name that only the environment knows says how to allow it."""
    says(cli("connection", "set", "acme", "--set", f"{IN}host=${{NOWHERE}}"), 2, "NOWHERE")
    monkeypatch.setenv("MAIL_HOST", "x.example.com")
    says(cli("connection", "set", "acme", "--set", f"{IN}host=${{MAIL_HOST}}"), 2,
         "postroom variable allow-env MAIL_HOST")  # fmt: skip


def test_a_mask_is_never_saved_as_the_secret(
    cli: Cli, wired: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T30: the stored value still works afterwards."""
    shown = cli("credential", "show", "acme-login", "--json").json["fields"]["password"]
    monkeypatch.setenv("MASK", shown)
    says(cli("credential", "set", "acme-login", "--password-from-env", "MASK"), 2, "mask")
    assert cli("connection", "test", "acme").status == 0


def test_a_name_with_a_space_is_refused(cli: Cli) -> None:
    says(cli("credential", "add", "my login", "--type", "password"), 2, "space")
    says(cli("connection", "add", "my mail", "--set", "incoming.protocol=imap"), 2, "space")


def test_an_incomplete_record_cannot_be_used(cli: Cli, wired: User) -> None:
    """It is stored, and the status tells a script that something is still to do."""
    assert cli("credential", "add", "half", "--type", "password", "--user-name", "u").status == 3
    assert cli("connection", "set", "acme", "--rebind", "--set",
               f"{IN}auth={{type: secret, credential: half}}").status == 0  # fmt: skip
    says(cli("source", "run", "orders-in"), 1, "half", "password")
    says(cli("credential", "set", "half", "--description", "x"), 3, "password missing")
    assert cli("credential", "set", "half", "--password-from-env", "ACME_PASSWORD").status == 0
    assert cli("credential", "set", "half", "--clear", "password").status == 3
    says(cli("credential", "restore", "half", "1"), 3, "set half --password-from-env NAME")
    assert cli("credential", "restore", "half", "3").status == 0
    assert cli("credential", "add", "whole", "--type", "password", "--user-name", "u",
               "--password-from-env", "ACME_PASSWORD").status == 0  # fmt: skip


def test_changing_the_host_asks_for_the_secret_again(
    cli: Cli, wired: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T26: once the secret has been presented, another host is another destination."""
    assert cli("connection", "test", "acme").status == 0
    answer = cli("connection", "set", "acme", "--set", f"{IN}host=127.0.0.2")
    says(answer, 1, "127.0.0.2")
    assert cli("connection", "show", "acme", "--json").json["incoming"]["host"] == "127.0.0.1"


def test_a_damaged_audit_key_locks_the_room_and_hides_nothing(cli: Cli, wired: User) -> None:
    """What cannot be written down is not done; what is there can still be looked at."""
    db = sqlite3.connect(cli.settings.room / "room.db")
    db.execute("UPDATE sealed SET blob = zeroblob(length(blob)) WHERE kind = 'audit-key'")
    db.commit()
    db.close()
    assert len(cli("connection", "list", "--json").json["items"]) == 1
    assert cli("audit", "list", "--json").json["items"]
    says(cli("connection", "test", "acme"), 78, "audit")


def test_files_that_are_not_there_or_are_there_already(cli: Cli, tmp_path: Path) -> None:
    """Each with what to do next."""
    none = tmp_path / "none.yaml"
    says(cli("apply", str(none)), 2, f"there is no file {none}", "postroom export --to FILE")
    none.write_text("mine")
    says(cli("export", "--to", str(none)), 2, "is there already", "new file")
    assert none.read_text() == "mine"


def test_a_key_source_of_no_kind_is_a_matter_of_configuration(cli: Cli) -> None:
    odd = Cli(cli.settings._replace(kek="fil:/x"), cli._capsys)
    says(odd("credential", "list"), 78, "give file:PATH", "POSTROOM_KEK")


def test_a_held_service_is_told_of(cli: Cli, wired: User) -> None:
    """By whoever meets it: the send that waits, the drain that sends nothing, the list."""
    release = "postroom service release orders-out"
    held = cli("service", "hold", "orders-out")
    assert (held.status, release in held.err) == (0, True)
    sent = cli("send", "--via", "orders-out", "--to", wired.address, "--text", "x")
    says(sent, 3, "Its service is held", release)
    assert release in cli("outbox", "drain").err
    says(cli("service", "delete", "orders-out", "--yes"), 1, "1 queued message in the outbox")
    [listed] = cli("service", "list", "--json").json["items"]
    assert (listed["held"], listed["waiting"]) == (True, 1)
    assert cli("service", "release", "orders-out").status == 0
    assert cli("outbox", "drain").status == 0


def test_a_variable_that_holds_a_macro_is_told_of(cli: Cli) -> None:
    """T39: its value stands as it is written; who meant a macro hears so at once."""
    made = cli("variable", "set", "H2", "${H}")
    assert made.status == 0
    assert "not looked into again" in " ".join(made.err.split())
    assert "Note" not in cli("variable", "set", "H3", "imap.example.com").err


def test_every_noun_is_explained(cli: Cli) -> None:
    for noun in ("credential", "outbox", "mail", "variable", "keys", "audit", "macros"):
        assert cli("explain", noun).status == 0
    assert "trusted_certificate" in cli("explain", "credential").err
    assert "${var:NAME}" in cli("explain", "macros").out

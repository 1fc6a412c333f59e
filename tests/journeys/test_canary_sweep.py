"""T31: unique canaries in every sealed field, everything done and everything gone wrong, and no trace.

The sweep looks at standard output and error with the log at DEBUG, at every file and every process
while it is there, and at every column of the database that is not sealed.  That it can see is shown
by leaks that are seeded, one for each place and each dress.
"""

from __future__ import annotations

import base64
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

import postroom
from docs.verbs import commands
from postroom.credentials import TYPES
from postroom.credentials.types.pem import generate_pair
from postroom.fields import describe
from tests.ground.oauth import OUTLOOK
from tests.ground.scripted import ScriptedServer
from tests.journeys.test_security import scripts, serving
from tests.sweep import SEALED, Hit, Sweep, forms, sealed_columns

if TYPE_CHECKING:
    from tests.ground import Ground, User

pytestmark = pytest.mark.timeout(600)  # hundreds of commands, each looked through
SOURCE: Final = str(Path(postroom.__file__).parents[1])
RUN: Final = """
import json, sys
from postroom.cli import main
for words in json.load(sys.stdin):
    try:
        status = main(words)
    except SystemExit as end:
        status = end.code
    sys.stderr.flush()
    print(f"\\n@@ {status}", flush=True)
"""
"""Many commands in one process; the event loop in its debug mode, with every warning on."""

CRASH: Final = """
import postroom.connections.open as opening
def crash(side, opened):
    word = opened.fields.password.reveal()
    raise RuntimeError(f"it broke with {word!r}, {word.encode().hex()} and {opened}")
opening.by_secret = crash
"""
"""A mistake of ours that takes a password into its traceback."""

LEAK: Final = """
import base64, os, subprocess, sys, tempfile
import postroom.log, postroom.credentials.store as store
from postroom.log import logger
taken = store.CredentialStore.open
def leaking(self, tx, name, **rest):
    found = taken(self, tx, name, **rest)
    word = found.fields.password.reveal()
    logger("seeded").debug("signs in with %s", word)
    tx.execute("UPDATE variables SET value = :word WHERE name = 'LEAK'", word=word.encode().hex())
    with tempfile.NamedTemporaryFile() as file:
        file.write(base64.b64encode(b"\\0somebody\\0" + word.encode()))
        file.flush()
        print("user=" + word[::-1])
        code = "import time; time.sleep(1)"
        subprocess.run([sys.executable, "-c", code, word], env=os.environ | {"WORD": word})
    return found
store.CredentialStore.open = leaking
postroom.log._Scrubbed.clean = lambda self, text: text
"""
"""Leaks of every kind, the scrubber of the log switched off."""


class Scene:
    """A room whose every secret is a canary, and commands on it that are looked at all the while."""

    def __init__(self, folder: Path) -> None:
        self.sweep = Sweep()
        self.folder = folder
        self.room = folder / "watched" / "room"
        self.given = folder / "given"
        for each in (self.given, *(folder / "watched" / name for name in ("tmp", "home"))):
            each.mkdir(parents=True, mode=0o700)
        self.key = folder / "keys" / "room.key"
        self._environ = {
            "PATH": os.environ["PATH"], "PYTHONPATH": SOURCE, "PYTHONDEVMODE": "1",
            "HOME": str(folder / "watched" / "home"), "TMPDIR": str(folder / "watched" / "tmp"),
            "POSTROOM_ROOM": str(self.room), "POSTROOM_KEK": f"file:{self.key}",
        }  # fmt: skip

    def canary(self, name: str) -> str:
        """A new secret for a field, in the file ``given/NAME``: with signs that every dress changes."""
        value = f"Cny-{random.randbytes(9).hex()}+/~?=ü {name[::-1]}"
        return self.plant(name, value)

    def plant(self, name: str, value: str) -> str:
        """The same with a secret that has to have a form."""
        (self.given / name).write_text(value)
        body = [line for line in value.splitlines() if not line.startswith("-----")]
        for line in body[:-1] or body:  # the last line of a PEM block may be short
            self.sweep.plant(name, line)
        return value

    def start(self, *words: str, code: str = "") -> subprocess.Popen[bytes]:
        """A process of its own: the command line, or a program."""
        run = ["-c", code] if code else ["-m", "postroom"]
        return subprocess.Popen(
            [sys.executable, *run, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env=self._environ, cwd=self.folder / "watched",
        )  # fmt: skip

    def run(self, commands: Sequence[Sequence[str]], *, code: str = "") -> str:
        """Commands in one process; gives what they showed, after it was looked through."""
        with (
            self.start(code=code + RUN) as on,
            self.sweep.watching({"file": self.folder / "watched"}, {on.pid}),
        ):
            out, err = on.communicate(json.dumps(commands).encode(), timeout=300)
        self.sweep.look("stdout: ", out)
        self.sweep.look("stderr: ", err)
        return (out + err).decode("utf-8", "replace")

    def expect(self, table: Sequence[tuple[int, str]], *, code: str = "") -> str:
        """Commands with the exit status of each; all of them for people and for programs."""
        commands = [
            [*line.split(" "), *more] for _, line in table for more in ((), ("--json", "--verbose"))
        ]
        told = self.run(commands, code=code)
        ended = [line.removeprefix("@@ ") for line in told.splitlines() if line.startswith("@@ ")]
        wrong = [
            (got, *line) for got, line in zip(ended[::2], table, strict=True) if got != str(line[0])
        ]
        assert not wrong, told
        return told

    def end(self) -> list[Hit]:
        """Look at the rows and the files that are left; gives what was found anywhere."""
        self.sweep.look_at_rows(self.room / "room.db")
        self.sweep.look_at_files("file", self.folder / "watched")
        return sorted(self.sweep.hits)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    made = Scene(tmp_path)
    assert "@@ 0" in made.run([["init"]])
    text = made.key.read_text()
    made.sweep.plant("the room's key", text.strip())
    return made


ADDS: Final = {
    "password": "--user-name u --password-from-file {0}",
    "secret": "--value-from-file {0}",
    "smtp": "--host 127.0.0.1 --port 1 --user-name u@example.com --password-from-file {0}",
    "msgraph": "--tenant-id example.com --client-id 11111111-2222-3333-4444-555555555555 "
    "--client-secrets.a.value-from-file {0}",
    "oauth_client": "--client-id app --authority https://login.example.com "
    "--client-secrets.a.value-from-file {0} --private-key-from-file {1} --certificate-from-file {2}",
    "generic": "--api-key-from-file {0}",
    "certificate": "--private-key-from-file {1} --certificate-from-file {2} "
    "--passphrase-from-file {0}",
}
"""How a credential of each type that seals anything is made: {0} a canary, {1} a key, {2} its
certificate."""


def add_one_of_every_type(scene: Scene) -> None:
    """The room with one credential of each type, each with canaries of its own."""
    sealing = {kind.type_name for kind in TYPES if any(f.sealed for f in describe(kind))}
    assert set(ADDS) == sealing | {"generic"}, "a new type is not swept: say in ADDS how to make it"
    table = []
    for kind, flags in ADDS.items():
        word = scene.canary(f"c-{kind}")
        key, certificate = generate_pair(f"{kind}.example.com")
        text = key.reveal()
        if kind == "certificate":
            text = encrypted(text, word)
        scene.plant(f"k-{kind}", text)
        (scene.given / f"x-{kind}").write_text(certificate)
        files = [str(scene.given / f"{what}-{kind}") for what in "ckx"]
        line = f"credential add a-{kind} --type {kind} --description x {flags.format(*files)}"
        table.append((0, line))
    told = scene.run([line.split(" ") for _, line in table])
    assert told.count("@@ 0") == len(table), told


def encrypted(key: str, passphrase: str) -> str:
    """A private key under a passphrase, as certificates of other people come."""
    from cryptography.hazmat.primitives import serialization as form

    return (
        form.load_pem_private_key(key.encode(), None)
        .private_bytes(
            form.Encoding.PEM,
            form.PrivateFormat.PKCS8,
            form.BestAvailableEncryption(passphrase.encode()),
        )
        .decode()
    )


# ------------------------------------------------------------------ the sweep


def test_no_canary_leaves_by_what_is_shown_changed_or_refused(scene: Scene) -> None:
    """T31, T25, T33: every verb that shows, refusals of values, room files that are wrong."""
    add_one_of_every_type(scene)
    word = scene.canary("typed")
    (scene.given / "mask").write_text("****7391")
    (scene.given / "pem").write_text(f"-----BEGIN PRIVATE KEY-----\n{word}\n-----END")
    files = {
        "plain": f"credentials:\n  - {{name: n, type: generic, fields: {{k: '{word}'}}}}\n",
        "tag": f"credentials: !!int '{word}'\n",
        "alias": f"credentials: *{word[:20].replace('+', '')}\n",
        "broken": f"credentials: [{{name: x, fields: {{password: '{word}'\n",
        "unknown": f"credentials:\n  - {{name: n, type: secret, fields: {{vallue: '{word}'}}}}\n",
        "twice": f"credentials:\n  - {{name: n, name: '{word}'}}\n",
        "nobody": "credentials:\n  - {name: n, type: secret, fields: {value: {from_file: /nowhere}}}\n",
        "good": "credentials:\n  - {name: n, type: secret, description: x, fields: {value: "
        f"{{from_file: {scene.given / 'typed'}}}}}}}\n",
    }  # fmt: skip
    for name, text in files.items():
        (scene.given / f"{name}.yaml").write_text(f"postroom: 1\n{text}")
    given, typed = scene.given, scene.given / "typed"
    names = [f"a-{kind}" for kind in ADDS]
    shows = [
        *(f"credential show {name}" for name in names), *(f"explain {kind}" for kind in ADDS),
        "credential list", "credential usage a-smtp", "credential versions a-secret", "export",
        "keys status", "keys doctor", "keys rotate", "audit list", "audit verify", "variable list",
        "connection list", "source list", "service list", "outbox list", f"apply {given}/good.yaml",
        f"credential set a-secret --value-from-file {typed}", "credential restore a-secret 1",
        "explain macros", "mail folders --help",
    ]  # fmt: skip
    refusals = [
        f"credential set a-secret --value-from-file {given}/mask",
        f"credential set a-smtp --password-from-file {typed} --port 0",
        f"credential set a-smtp --password-from-file {typed} --port nonsense",
        f"credential set a-msgraph --private-key-from-file {given}/pem",
        f"credential set a-certificate --passphrase-from-file {typed}",
        f"credential set a-certificate --private-key-from-file {typed}",
        f"credential set a-oauth_client --client-secrets.a.valeu-from-file {typed}",
        f"credential set a-oauth_client --client-secrets.a.valid_until-from-file {typed}",
        f"credential add a-secret --type secret --value-from-file {typed}",
        f"credential add other --type smtp --passwort-from-file {typed}",
        "credential set a-secret --type smtp",
        *(f"apply {given}/{name}.yaml" for name in files if name != "good"),
    ]
    scene.expect([*((0, line) for line in shows), (3, "credential copy a-secret b-secret")])
    told = scene.run([line.split(" ") for line in refusals])
    assert told.count("@@ ") == len(refusals)
    assert "@@ 0" not in told, told
    assert "Traceback" not in told, told
    assert not scene.end(), scene.sweep.report()
    assert not scene.sweep.modes, scene.sweep.modes
    assert sealed_columns(scene.room / "room.db") >= SEALED


@pytest.fixture
def wired(scene: Scene, ground: Ground) -> User:
    """``acme``: IMAP and submission on real servers with a canary for a password, and what is wrong
    with it: ``untrusted``, ``refused``, ``wrong``."""
    user = ground.user(scene.canary("acme"))
    wrong = scene.canary("wrong")
    assert wrong
    (scene.given / "ca").write_bytes(ground.pki.ca.read_bytes())
    given = scene.given

    def connection(name: str, login: str, trust: str, imap: int, smtp: int) -> str:
        both = " ".join(
            f"--set {side}.protocol={protocol} --set {side}.host=127.0.0.1 --set {side}.port={port} "
            f"--set {side}.security={security} --set {side}.auth.type=secret "
            f"--set {side}.auth.credential={login}"
            + (f" --set {side}.trust={trust}" if trust else "")
            for side, protocol, port, security in (
                ("incoming", "imap", imap, "tls"),
                ("outgoing", "smtp", smtp, "starttls"),
            )
        )
        return f"connection add {name} --rebind {both}"

    imaps, submission = ground.dovecot.imaps, ground.postfix.submission
    sink = scene.folder / "watched" / "orders"
    table = [
        f"credential add ca --type trusted_certificate --certificate-from-file {given}/ca",
        f"credential add login --type password --user-name {user.address} "
        f"--password-from-file {given}/acme",
        f"credential add bad --type password --user-name {user.address} "
        f"--password-from-file {given}/wrong",
        connection("acme", "login", "ca", imaps, submission),
        connection("wrong", "bad", "ca", imaps, submission),
        connection("untrusted", "login", "", imaps, submission),
        connection("refused", "login", "ca", 1, 1),
        *(f"source add {name} --connection {name} --set sink.type=directory --set sink.path={sink}"
          for name in ("acme", "wrong", "untrusted", "refused")),
        *(f"service add {name} --connection {name}" for name in
          ("acme", "wrong", "untrusted", "refused")),
        "variable set LEAK nothing",
    ]  # fmt: skip
    told = scene.run([line.split(" ") for line in table])
    assert told.count("@@ 0") == len(table), told
    return user


def test_no_canary_leaves_on_the_wire_when_it_works_and_when_it_does_not(
    scene: Scene, wired: User
) -> None:
    """T31, T34: over real servers: right, wrong password, no trust, refused, and a crash of ours."""
    letter = f"--from {wired.address} --to {wired.address} --subject Hello --text x"
    works = [
        "connection test acme", f"send --via service:acme {letter}", "source run acme",
        "mail folders --via acme", "mail list --via acme", "outbox list", "connection log acme",
        "source ledger acme", "connection show acme", "source show acme",
    ]  # fmt: skip
    fails = [
        (1, "connection test wrong"), (1, "source run wrong"), (1, "mail list --via wrong"),
        (1, "connection test untrusted"), (1, "source run untrusted"),
        (1, "mail list --via untrusted"), (75, "connection test refused"),
        (75, "source run refused"), (75, "mail list --via refused"),
        (3, f"send --via service:wrong {letter} --wait 1s"),
        (3, f"send --via service:untrusted {letter} --wait 1s"),
        (3, f"send --via service:refused {letter} --wait 1s"),
        (0, "outbox list"), (0, "connection log wrong"), (0, "connection log untrusted"),
        (0, "connection log refused"), (0, "source show wrong"), (0, "audit list"),
    ]  # fmt: skip
    scene.expect([(0, line) for line in works])
    scene.expect(fails)
    crashed = scene.run(
        [
            ["connection", "test", "acme"],
            ["connection", "test", "acme", "--verbose"],
            ["mail", "list", "--via", "acme", "--json", "--verbose"],
        ],
        code=CRASH,
    )
    assert "RuntimeError: it broke with" in crashed
    assert crashed.count("Traceback") >= 2
    assert not scene.end(), scene.sweep.report()
    assert not scene.sweep.modes, scene.sweep.modes
    assert {"stdout", "stderr", "file", "cmdline", "environ", "column"} <= set(scene.sweep.looked)


@pytest.mark.parametrize("protocol", ["smtp", "imap", "pop3"])
def test_no_canary_leaves_by_a_server_that_repeats_it(scene: Scene, protocol: str) -> None:
    """T31, T34: what is refused is told, logged, noted at the connection and in the outbox."""
    word = scene.canary("echoed")
    side = "outgoing" if protocol == "smtp" else "incoming"
    with serving(ScriptedServer(scripts(protocol, word.encode()))) as server:
        table = [
            f"credential add login --type password --user-name u@example.com "
            f"--password-from-file {scene.given}/echoed",
            f"connection add acme --set {side}.protocol={protocol} --set {side}.host=127.0.0.1 "
            f"--set {side}.port={server.port} --set {side}.security=none --set "
            f"{side}.auth.type=secret --set {side}.auth.credential=login",
            "connection test acme", "connection log acme", "audit list",
        ]  # fmt: skip
        sink = f"--set sink.type=directory --set sink.path={scene.folder}/watched/in"
        table += {
            "smtp": ["send --via connection:acme --to a@example.com --text x --wait 1s",
                     "outbox list"],
        }.get(protocol, [f"source add in --connection acme {sink}", "source run in",
                         "mail list --via acme", "source show in"])  # fmt: skip
        told = scene.run([[*line.split(" "), "--verbose"] for line in table])
        assert server.sessions
    assert told.count("@@ 0") >= 4, told
    assert "****" in told
    assert not scene.end(), scene.sweep.report()


def test_no_canary_leaves_by_a_worker_while_it_works(scene: Scene, wired: User) -> None:
    """T31: a long process with its write-ahead log, a password from standard input, and its end."""
    word = scene.canary("stdin")
    with scene.start("credential", "set", "bad", "--password-stdin", "--verbose") as typing:
        out, err = typing.communicate(word.encode() + b"\n", timeout=60)
    assert typing.returncode == 0
    scene.sweep.look("stdout: typed", out + err)
    letter = f"--from {wired.address} --to {wired.address} --subject Hello --text x --forget"
    with scene.start("worker", "--verbose") as worker:
        with scene.sweep.watching({"file": scene.folder / "watched"}, {worker.pid}):
            scene.expect([(0, f"send --via service:{name} {letter}") for name in ("acme", "wrong")])
            orders = scene.folder / "watched" / "orders"
            soon(lambda: any(orders.rglob("*.eml")))
            soon(lambda: "sign_in_failed" in scene.run([["connection", "log", "wrong", "--json"]]))
        assert (scene.room / "room.db-wal").exists()
        worker.send_signal(signal.SIGTERM)
        out, err = worker.communicate(timeout=30)
    scene.sweep.look("stdout: worker", out)
    scene.sweep.look("stderr: worker", err)
    assert b'"level": "warning"' in err
    assert not scene.end(), scene.sweep.report()


def soon(fact: Callable[[], bool]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + 60
    while not fact():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_no_canary_leaves_by_a_client_secret(scene: Scene, wired: User, ground: Ground) -> None:
    """T31, T34: proven, refused by a server that repeats it, listed, retired."""
    good, other = scene.canary("one"), scene.canary("two")
    assert scene.canary("three")  # which the server does not know
    client = ground.oauth.client(secrets=[good, other], mailbox=wired.address)
    secret, given = "credential secret", scene.given
    scene.expect([
        (0, f"credential add app --type oauth_client --authority {ground.oauth.issuer} "
            f"--client-id {client.id} --trust ca"),
        (0, "connection add tokens --set incoming.protocol=imap --set incoming.host=localhost "
            f"--set incoming.port={ground.oauth_dovecot.imaps} --set incoming.trust=ca "
            f"--set incoming.user={wired.address} --set incoming.auth.credential=app "
            "--set incoming.auth.type=oauth_client_credentials "
            f"--set incoming.auth.scopes={OUTLOOK}/.default"),
        (0, f"{secret} add app one --value-from-file {given}/one --verbose"),
        (0, f"{secret} add app two --value-from-file {given}/two --json"),
    ])  # fmt: skip
    ground.oauth.fault("token:client_credentials", client=client, times=2, echo=True)
    scene.expect([
        (3, f"{secret} add app three --value-from-file {given}/three --verbose"),
        (3, f"{secret} prove app three --json"), (3, f"{secret} prove app three"),
        (0, f"{secret} list app"), (0, f"{secret} list app --json"), (0, "credential show app"),
        (0, f"{secret} retire app one --yes"), (1, f"{secret} retire app two --yes --verbose"),
        (0, "connection log tokens"), (0, "audit list --json"),
    ])  # fmt: skip
    assert not scene.end(), scene.sweep.report()


THE_REST: Final = (
    "status", "account recognise ann@gmail.com", "account test box ann@firm.invalid",
    "account connect box ann@firm.invalid", "notify notices", "outbox save {item} --to {tmp}.eml",
    "credential generate login", "credential trust login", "credential test login",
    "credential destroy bad 1", "connection set acme --description x", "connection copy acme two",
    "connection usage acme", "connection trust untrusted", "connection restart acme",
    "source set acme --description x", "source copy acme two", "source usage acme",
    "source preview acme", "source reset acme --yes", "source release acme", "source delete two --yes",
    "service show acme", "service set acme --description x", "service copy acme two",
    "service usage acme", "service hold acme", "service release acme", "service delete two --yes",
    "outbox show {item}", "outbox hold {item}", "outbox release {item}", "outbox retry {item}",
    "outbox settle {item}", "outbox drain", "outbox cancel {item}", "mail search --via acme subject Hello",
    "mail read {mail} --via acme", "mail save {mail} --via acme --to {tmp}",
    "mail flag {mail} --via acme --set seen", "mail copy {mail} --via acme --to Archive",
    "mail reply {mail} --via acme --text x", "mail forward {mail} --via acme --to a@ground.test",
    "mail move {mail} --via acme --to Archive", "mail delete {mail} --via acme --yes",
    "variable add NEW value", "variable show NEW", "variable usage NEW", "variable delete NEW --yes",
    "user add ann --role admin", "user set ann --disable", "user set ann --enable", "user show ann",
    "user list", "user invite ann", "user sessions ann", "token add x --for ann", "token list",
    "token revoke x", "credential restrict login", "credential grant login user:ann",
    "credential grants", "credential ungrant login user:ann", "credential open login",
    "user delete ann --yes",
    "variable allow-env LANG", "variable forbid-env LANG", "keys kek list",
    "keys kek add file:{new} --make", "keys kit --to {kit}", "keys kek retire nonsense",
    "keys unlock --passphrase-stdin",
    "upgrade", "audit heads --to {heads}", "audit accept --why x", "backup create --to {backup}",
    "backup verify {backup}", "backup restore {backup}",
    "job add handed --credentials login --set command.words=[/bin/cat,/dev/fd/3] --rebind", "job list",
    "job show handed", "job set handed --description x", "job run handed --dry-run", "job run handed",
    "job runs handed", "job log 1", "job cancel 1", "job copy handed two --rebind", "job hold two",
    "job release two", "job usage two", "job delete two --yes --force",
    "connection census", "connection convert acme --auth oauth_device_flow",
    "credential secret list login", "credential secret add login", "credential secret prove login",
    "credential secret retire login a", "connection signin acme",
    "connection signout acme", "connection signins", "guide microsoft",
    "connection delete two --yes", "credential delete bad --yes", "erase nobody@ground.test --yes",
)  # fmt: skip
"""Every other verb; some of these are refused, which is as good."""
ELSEWHERE: Final = {
    "demo": "makes a room, servers and a random password of its own",
    "exec": "hands a program what it asks for: test_exec looks at all that it leaves",
    "source watch": "runs until it is stopped; a worker runs the same loop",
    "serve": "runs until it is stopped: tests/api asks every route for a canary, tests/web every page",
}


def test_no_canary_leaves_by_any_other_verb(scene: Scene, wired: User) -> None:
    """T31, T25: each once, for people and for programs, on messages and items that are there."""
    letter = f"--from {wired.address} --to {wired.address} --subject Hello --text x"
    scene.expect([(0, f"send --via service:acme {letter}")])
    told = scene.run([["outbox", "list", "--json"], ["mail", "list", "--via", "acme", "--json"]])
    lists = [json.loads(line) for line in told.splitlines() if line.startswith('{"v"')]
    item, mail = (found["items"][0]["id"] for found in lists)
    places = {
        "item": item, "mail": mail, "tmp": scene.folder / "watched" / "saved",
        "new": scene.folder / "keys" / "new.key", "kit": scene.folder / "keys" / "kit.txt",
        "heads": scene.folder / "watched" / "heads", "backup": scene.folder / "watched" / "backup",
    }  # fmt: skip
    lines = [line.format(**places).split(" ") for line in THE_REST]
    told = scene.run([[*line, *more] for line in lines for more in (["--json", "--verbose"], [])])
    assert told.count("@@ ") == 2 * len(lines)
    assert "Traceback" not in told, told
    assert not scene.end(), scene.sweep.report()
    assert not scene.sweep.modes, scene.sweep.modes


def test_no_canary_leaves_by_a_webhook(scene: Scene, wired: User, ground: Ground) -> None:
    """T31: the secret part of an address and the key that signs: nobody listens, there is no trust, and a
    server that answers as no web server does.
    """
    for name in ("part", "key"):
        scene.canary(name)
    given = scene.given
    ports = {"closed": 1, "stranger": ground.dovecot.imaps, "mail": ground.dovecot.imaps}
    table = [
        f"credential add hook-part --type secret --value-from-file {given}/part",
        f"credential add hook-key --type secret --value-from-file {given}/key",
        *(
            f"notify add {name} --url https://127.0.0.1:{port}/{{secret}}?x=1 --credential hook-part "
            f"--signing hook-key --rebind{' --trust ca' if name == 'mail' else ''}"
            for name, port in ports.items()
        ),
        "notify add prog --command /bin/cat --instead-of mail",
        "notify show mail", "notify set mail --description x", "notify copy prog two",
        "notify delete two --yes", "notify list", "credential usage hook-part", "export", "audit list",
    ]  # fmt: skip
    scene.expect([(0, line) for line in table])
    lines = [line.split(" ") for line in ("notify test", "notify check")]
    told = scene.run([[*line, *more] for line in lines for more in ([], ["--verbose"], ["--json"])])
    assert told.count("@@ 1") == 6, told
    assert "Traceback" not in told, told
    assert not scene.end(), scene.sweep.report()


def test_every_verb_there_is_is_swept() -> None:
    """T25: a new verb is not forgotten: it stands in a table here, or in ELSEWHERE with a reason."""
    here = Path(__file__).read_text()
    missing = [name for name, _ in commands() if name not in ELSEWHERE and name not in here]
    assert not missing


# ------------------------------------------------------------------ that it can see


@pytest.mark.parametrize("form", forms(b"a secret of twenty bytes+/?"))
def test_the_sweep_sees_every_dress(form: str) -> None:
    """T31: each dress in the middle of other bytes, wherever it stands."""
    word = f"Cny-{random.randbytes(9).hex()}+/~?=ü"
    for before in range(4):
        sweep = Sweep()
        sweep.plant("it", word)
        sweep.look("x: y", random.randbytes(before) + forms(word.encode())[form] + b"rest")
        assert form in {hit.form for hit in sweep.hits} or form in SAME_BYTES
        assert sweep.hits


SAME_BYTES: Final = {"json", "html", "repr", "form", "url path", "beginning", "end"}
"""Dresses that may be the same bytes as another one, by which they are found then."""


def test_the_sweep_sees_what_sign_in_makes_of_a_password() -> None:
    """T31: SASL PLAIN, LOGIN and XOAUTH2, HTTP Basic, a MIME part: base64 of a text around it."""
    word = f"Cny-{random.randbytes(9).hex()}+/~?=ü"
    for around in ("\0u@example.com\0{}", "u@example.com\0u@example.com\0{}", "{}", "u:{}",
                   "user=u\1auth=Bearer {}\1\1", "n,a=u,\1host=h\1auth=Bearer {}\1\1"):  # fmt: skip
        sweep = Sweep()
        sweep.plant("it", word)
        sweep.look("x: y", b"AUTH " + base64.b64encode(around.format(word).encode()) + b"\r\n")
        assert sweep.hits, around


@pytest.mark.bares("file", "process", why="a column and what is printed are among the leaks")
def test_the_sweep_sees_leaks_that_are_seeded(scene: Scene, wired: User) -> None:
    """T31: a log line at DEBUG, a column, a file that is gone, an argument, an environment."""
    scene.run([["connection", "test", "acme", "--verbose"]], code=LEAK)
    hits = scene.end()
    found = {(hit.where.partition(":")[0], hit.form) for hit in hits}
    assert {hit.canary for hit in hits} == {"acme"}
    wanted = {
        ("stderr", "raw"), ("stdout", "reversed"), ("column", "hex"), ("cmdline", "raw"),
        ("environ", "raw"),
    }  # fmt: skip
    assert wanted <= found, found
    assert any(kind == "file" and form.startswith("base64,") for kind, form in found), found
    assert any("variables.value" in hit.where for hit in hits)

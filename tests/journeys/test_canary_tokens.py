"""T91: every secret that a sign-in by OAuth makes is a canary, and none of them leaves, whatever fails.

Tokens, codes, verifiers and device codes are made by the server or at random: each process notes every
secret it wraps, outside of what is looked through, and all of them are looked for afterwards.
"""

from __future__ import annotations

import json
import re
import threading
import urllib.request
from collections.abc import Iterator, Sequence
from typing import Any, Final

import pytest
from cryptography import x509

from postroom.credentials.types.pem import generate_pair
from tests.ground import Client, Ground, User
from tests.ground.oauth import OUTLOOK
from tests.journeys.test_canary_sweep import Scene, scene

__all__ = ["scene"]

pytestmark = pytest.mark.timeout(600)

NOTING: Final = """
import json, os
import postroom.secret as secrets
made = secrets.Secret.__init__
def noting(self, value):
    made(self, value)
    text = value if isinstance(value, str) else value.decode("utf-8", "replace")
    with open({file!r}, "a") as out:
        out.write(json.dumps(text) + chr(10))
secrets.Secret.__init__ = noting
"""
SEEDED: Final = """
import postroom.credentials.tokens.pump as pump
from postroom.log import logger
asked = pump.Pump._ask
async def leaking(self, ask):
    answer = await asked(self, ask)
    logger("seeded").debug("asked with %s", [v.reveal() for _, v in ask.form if not isinstance(v, str)])
    logger("seeded").debug("it said %s", answer.body)
    return answer
pump.Pump._ask = leaking
import postroom.log
postroom.log._Scrubbed.clean = lambda self, text: text
"""
"""What a mistake of ours could be: a request and an answer in the log, its scrubber switched off."""

_BODY: Final = re.compile(
    r"[a-z_]+=[^&]*&"
)  # of a request: what is secret in it is noted by itself
_LEAST: Final = 20  # characters of what is random; shorter ones are hints and codes for people


class Watched:
    """A scene whose processes note their secrets."""

    def __init__(self, scene: Scene, ground: Ground) -> None:
        self.scene, self.ground = scene, ground
        self._noted = scene.given / "noted"

    @property
    def noting(self) -> str:
        return NOTING.format(file=str(self._noted))

    def plant(self) -> int:
        """Look for all that was noted since; gives how many."""
        if not self._noted.exists():
            return 0
        found = {json.loads(line) for line in self._noted.read_text().splitlines()}
        self._noted.unlink()
        fit = [
            each for each in found if len(each) >= _LEAST and each.isascii() and each.isprintable()
        ]
        fit = [each for each in fit if not _BODY.match(each)]
        for each in fit:
            self.scene.sweep.plant("noted", each)
        return len(fit)

    def run(self, lines: Sequence[str], code: str = "") -> str:
        """Commands, each for people and for programs at DEBUG, looked through for what they made."""
        commands = [
            [*line.split(" "), *more] for line in lines for more in (("--json", "--verbose"), ())
        ]
        told = self.scene.run(commands, code=self.noting + code)
        self.plant()
        self.scene.sweep.look("stdout: again", told.encode())
        assert "Traceback" not in told or code, told
        return told

    def signs_in(self, name: str, user: str, *, how: str, status: int = 0) -> str:
        """``postroom connection signin`` with a person before it."""
        words = ["connection", "signin", name, "--how", how, "--verbose"]
        code = (
            self.noting + "import sys\nfrom postroom.cli import main\nsys.exit(main(sys.argv[1:]))"
        )
        lines: list[str] = []
        with self.scene.start(*words, code=code) as on:
            ended = threading.Timer(60, on.kill)
            ended.start()
            assert on.stdin is not None
            on.stdin.close()
            assert on.stderr is not None
            for raw in on.stderr:
                lines.append(raw.decode())
                self._answers(lines[-1], user, how)
            assert on.stdout is not None
            out = on.stdout.read().decode()
            on.wait()
            ended.cancel()
        self.plant()
        told = out + "".join(lines)
        self.scene.sweep.look("stderr: signin", told.encode())
        assert on.returncode == status, told
        return told

    def _answers(self, line: str, user: str, how: str) -> None:
        server = self.ground.oauth
        if how == "device" and (found := re.search(r"^\s+([A-Z]{4}-[A-Z]{4})\s*$", line)):
            if user == "nobody":
                server.deny(found[1])
            elif user:
                server.approve(found[1], user)
        elif how == "browser" and (found := re.search(r"^\s+(https://localhost:\d+/\S+)", line)):
            back = server.visit(found[1], user)
            self.scene.sweep.plant("code", re.findall(r"code=([^&]+)", back)[0])
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with opener.open(back, timeout=10) as page:
                self.scene.sweep.look("page: answer", page.read() + str(page.headers).encode())


@pytest.fixture
def watched(scene: Scene, ground: Ground) -> Iterator[Watched]:
    yield Watched(scene, ground)
    ground.oauth.mend()


def _made(watched: Watched, user: User, **settings: Any) -> Client:
    """``app`` (client credentials, secret), ``cert`` (certificate), ``person`` (device or browser)."""
    scene, ground = watched.scene, watched.ground
    given = scene.given
    (given / "ca").write_bytes(ground.pki.ca.read_bytes())
    key, certificate = generate_pair("canary")
    scene.plant("key", key.reveal())
    (given / "certificate").write_text(certificate)
    secret = "Cny-" + scene.canary("client").encode().hex()
    scene.plant("client", secret)
    client = ground.oauth.client(
        secrets=[secret], mailbox=user.address, redirect_uris=["http://localhost"],
        certificates=[x509.load_pem_x509_certificate(certificate.encode())], **settings,
    )  # fmt: skip
    person = ground.oauth.client(public=True, redirect_uris=["http://localhost"], **settings)
    record = f"--type oauth_client --authority {ground.oauth.issuer} --trust ca"
    wires = f"{OUTLOOK}/IMAP.AccessAsUser.All, {OUTLOOK}/SMTP.Send"
    table = [
        f"credential add ca --type trusted_certificate --certificate-from-file {given}/ca",
        f"credential add app {record} --client-id {client.id} "
        f"--client-secrets.a.value-from-file {given}/client",
        f"credential add cert {record} --client-id {client.id} --private-key-from-file {given}/key "
        f"--certificate-from-file {given}/certificate",
        f"credential add person {record} --client-id {person.id}",
    ]  # fmt: skip
    files = given / "room.yaml"
    files.write_text(_connections(ground, user, f"offline_access, {wires}"))
    told = watched.run([*table, f"apply {files}"])
    assert told.count("@@ 0") >= len(table) + 1, told
    return client


def _connections(ground: Ground, user: User, scopes: str) -> str:
    def side(protocol: str, port: int, auth: str) -> str:
        return (
            f"{{protocol: {protocol}, host: localhost, port: '{port}', security: tls, trust: ca, "
            f"user: {user.address}, auth: {auth}}}"
        )

    text = "postroom: 1\nconnections:\n"
    for name in ("app", "cert", "person"):
        kind = "oauth_device_flow" if name == "person" else "oauth_client_credentials"
        asked = scopes if name == "person" else f"{OUTLOOK}/.default"
        auth = f"{{type: {kind}, credential: {name}, scopes: [{asked}]}}"
        text += (
            f"  - name: {name}\n    incoming: {side('imap', ground.oauth_dovecot.imaps, auth)}\n"
        )
        text += f"    outgoing: {side('smtp', ground.oauth_postfix.tokens_tls, auth)}\n"
    return text


SHOWS: Final = (
    "connection test app", "connection test cert", "connection signins", "connection show app",
    "connection log app", "credential show app", "credential list", "audit list", "export",
    "keys rotate", "connection test app",
)  # fmt: skip


def test_no_token_leaves_when_everything_works(watched: Watched, fresh_user: User) -> None:
    """T91, T31: each flow, each wire, refresh, sign-out, export, a rotation of the vault key."""
    _made(watched, fresh_user)
    letter = f"--from {fresh_user.address} --to {fresh_user.address} --subject Hello --text x"
    told = watched.run([*SHOWS, f"send --via connection:app {letter}", "mail list --via app"])
    assert told.count("@@ 0") == 2 * (len(SHOWS) + 2), told
    for how in ("device", "browser"):
        assert "Signed in as" in watched.signs_in("person", fresh_user.address, how=how)
    told = watched.run([
        "connection test person", "mail list --via person", "connection signins", "export",
        "audit list", "connection signout person",
    ])  # fmt: skip
    assert '"revoked": true' in told
    hits = watched.scene.end()
    assert not hits, watched.scene.sweep.report()
    assert not watched.scene.sweep.modes, watched.scene.sweep.modes


HALF: Final = "Cny-half-0123456789-0123456789"
FAULTS: Final[dict[str, dict[str, Any]]] = {
    "echo": {"echo": True},
    "half": {"status": 200, "headers": {"content-type": "application/json"},
             "body": f'{{"access_token": "{HALF}", "refresh_'},
}  # fmt: skip


def test_no_token_leaves_when_the_authorization_server_fails(
    watched: Watched, fresh_user: User
) -> None:
    """T91, T34: what is asked with is echoed, cut, redirected, answered with garbage or by halves."""
    _made(watched, fresh_user)
    watched.scene.sweep.plant("half", HALF)
    server, person = watched.ground.oauth, fresh_user.address
    for name, fault in FAULTS.items():
        for kind in ("token", "device"):
            server.fault(kind, times=1000, **fault)
        told = watched.run([
            "connection restart app", "connection restart cert", "connection test app",
            "mail list --via cert", "connection signin person --how device",
        ])  # fmt: skip
        assert "****" in told or name != "echo"
        if name in ("echo", "half"):
            status = 1 if name == "echo" else 75
            watched.signs_in("person", person, how="browser", status=status)
        server.mend()
    watched.run(["connection signins", "audit list", "connection log app"])
    assert not watched.scene.end(), watched.scene.sweep.report()


def test_no_token_leaves_when_the_wrong_one_signs_in(watched: Watched, fresh_user: User) -> None:
    """T91, T87: denied, and tokens that are given back."""
    _made(watched, fresh_user)
    other = watched.ground.user().address
    for who, words in (("nobody", "declined"), (other, "was expected")):
        assert words in watched.signs_in("person", who, how="device", status=1)
        watched.run(["connection signins", "audit list", "connection test person"])
    assert not watched.scene.end(), watched.scene.sweep.report()


def test_no_token_leaves_by_the_challenge_of_a_mail_server(
    watched: Watched, fresh_user: User
) -> None:
    """T91: a token for another mailbox is refused with an error challenge, on both wires."""
    client = _made(watched, fresh_user)
    watched.ground.oauth.change(client, mailbox=watched.ground.user().address)
    letter = f"--from {fresh_user.address} --to {fresh_user.address} --subject Hello --text x"
    told = watched.run([
        "connection test app", "mail list --via app", f"send --via connection:app {letter} --wait 1s",
        "connection log app", "outbox list", "audit list",
    ])  # fmt: skip
    assert "refused the token" in told
    assert not watched.scene.end(), watched.scene.sweep.report()


@pytest.mark.bares("process", why="the leak is in the log of one")
def test_the_sweep_sees_a_token_that_is_seeded(watched: Watched, fresh_user: User) -> None:
    """T91: a request and its answer in the log: the client's secret and the token are found."""
    _made(watched, fresh_user)
    watched.run(["connection test app"], code=SEEDED)
    watched.scene.end()
    assert {"client", "noted"} <= {hit.canary for hit in watched.scene.sweep.hits}

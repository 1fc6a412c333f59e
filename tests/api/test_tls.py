"""From afar over TLS: the room's identity is checked before anything is said, by every way in."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

import postroom
from postroom.cli import main
from postroom.errors import RoomError
from postroom.settings import Settings
from tests.api.test_serve import Served

pytestmark = pytest.mark.bares("file", why="the token of the test lies in a file of its own")


def issued(ca: trustme.CA, folder: Path, name: str = "localhost") -> tuple[Path, Path]:
    """Files of a certificate for that name, and of its key."""
    pair = ca.issue_cert(name)
    chain, key = folder / "chain.pem", folder / "key.pem"
    chain.write_bytes(b"".join(one.bytes() for one in pair.cert_chain_pems))
    key.write_bytes(pair.private_key_pem.bytes())
    return chain, key


def test_a_room_is_used_over_tls_by_who_trusts_its_authority(
    settings: Settings, tmp_path: Path
) -> None:
    """The library and the command line, with the authority of the room's certificate, and without."""
    assert main(["init", "--room", str(settings.room), "--kek", str(settings.kek)]) == 0
    ca = trustme.CA()
    chain, key = issued(ca, tmp_path)
    trust, other = tmp_path / "ca.pem", tmp_path / "other.pem"
    trust.write_bytes(ca.cert_pem.bytes())
    other.write_bytes(trustme.CA().cert_pem.bytes())
    with Served(settings, "--cert", str(chain), "--key", str(key)) as one:
        token = one.token()
        url = f"https://localhost:{one.port}"
        with postroom.open(url, token=token, trust=trust) as room:
            room.variables.add("A", "b")
            assert room.variables.list() == {"A": "b"}
        for wrong in (other, None):
            with (
                postroom.open(url, token=token, trust=wrong) as room,
                pytest.raises(postroom.PostroomError) as caught,
            ):
                room.variables.list()
            assert caught.value.code == "certificate_untrusted"
            assert caught.value.sentence.count(". ") == 0
        (tmp_path / "token").write_text(token)
        env = {key: each for key, each in os.environ.items() if not key.startswith("POSTROOM_")}
        env |= {"POSTROOM_URL": url, "POSTROOM_TOKEN_FILE": str(tmp_path / "token")}
        words = [sys.executable, "-m", "postroom", "variable", "list"]
        for file, status in ((trust, 0), (other, 1)):
            done = subprocess.run(
                words,
                env={**env, "POSTROOM_TRUST": str(file)},
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == status, done
            assert "Traceback" not in done.stderr
        assert "certificate" in done.stderr


@contextlib.contextmanager
def impostor(chain: Path, key: Path, heard: list[bytes]) -> Iterator[int]:
    """Somebody who answers on a port of this machine over TLS, and keeps what is said."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            with contextlib.suppress(OSError):
                while True:
                    line, _ = listening.accept()
                    with (
                        contextlib.suppress(OSError),
                        context.wrap_socket(line, server_side=True) as tls,
                    ):
                        heard.append(tls.recv(4096))

        threading.Thread(target=answer, daemon=True).start()
        yield listening.getsockname()[1]


@pytest.mark.parametrize("name", ["localhost", "other.example.com"])
def test_no_token_goes_to_somebody_else(tmp_path: Path, name: str) -> None:
    """T45: neither to a certificate of an unknown authority, nor to one for another name."""
    ca = trustme.CA()
    chain, key = issued(ca, tmp_path, name)
    known = trustme.CA() if name == "localhost" else ca
    trust = tmp_path / "ca.pem"
    trust.write_bytes(known.cert_pem.bytes())
    heard: list[bytes] = []
    with (
        impostor(chain, key, heard) as port,
        postroom.open(f"https://localhost:{port}", token="pr_x", trust=trust) as room,
        pytest.raises(postroom.PostroomError) as caught,
    ):
        room.credentials.list()
    assert caught.value.code.startswith("certificate_")
    assert [one for one in heard if one] == []


def test_a_certificate_is_for_a_room_that_is_served(tmp_path: Path) -> None:
    with pytest.raises(RoomError, match="for a room that is served"):
        postroom.open(tmp_path, trust=tmp_path / "ca.pem")
    with pytest.raises(RoomError, match="cannot be read"):
        postroom.open("https://room.example.com", token="pr_x", trust=tmp_path / "none.pem")
    with (
        pytest.raises(postroom.PostroomError, match=r"this machine"),
        postroom.open("http://192.0.2.1", token="pr_x"),
    ):
        pass

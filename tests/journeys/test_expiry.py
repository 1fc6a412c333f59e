"""What of a credential ends, and when: dates, certificates, client secrets, in days and in words."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from postroom.clock import now, timestamp
from tests.journeys.conftest import Cli

if TYPE_CHECKING:
    from tests.ground import User


def day(days: int) -> str:
    return str(now().date() + dt.timedelta(days=days))


def certificate(path: Path, days: int) -> Path:
    """A certificate whose notAfter is so many days away."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name)
        .public_key(key.public_key()).serial_number(1)
        .not_valid_before(now() - dt.timedelta(days=400))
        .not_valid_after(now() + dt.timedelta(days=days))
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def dated(cli: Cli, tmp_path: Path) -> Cli:
    """Credentials that end in 400, 12 and 5 days and 3 days ago, and one that never does."""
    add = ("credential", "add")
    for words in (
        ("forever", "--type", "password", "--user-name", "a"),
        ("far", "--type", "password", "--user-name", "a", "--expires-at", day(400)),
        ("near", "--type", "password", "--user-name", "a", "--expires-at", day(12),
         "--rotate-after", day(-1)),
        ("gone", "--type", "trusted_certificate", "--certificate-from-file",
         str(certificate(tmp_path / "gone.pem", -3))),
        ("ca", "--type", "trusted_certificate", "--certificate-from-file",
         str(certificate(tmp_path / "ca.pem", 5))),
    ):  # fmt: skip
        answer = cli(*add, *words)
        assert answer.status == (3 if "password" in words else 0), answer.err  # incomplete
    return cli


def test_the_list_says_what_ends_next_and_in_how_many_days(dated: Cli) -> None:
    lines = {line.split()[0]: line for line in dated("credential", "list").out.splitlines()}
    assert "should have been replaced 1 day ago (and 1 more)" in lines["near"]
    assert "certificate expired 3 days ago" in lines["gone"]
    assert "certificate expires in 5 days" in lines["ca"]
    assert "expires in 400 days" in lines["far"]
    assert "days" not in lines["forever"]
    found = {one["name"]: one for one in dated("credential", "list", "--json").json["items"]}
    assert [(one["what"], one["days"]) for one in found["near"]["due"]] == [
        ("rotate_after", -1),
        ("expires_at", 12),
    ]
    assert found["ca"]["due"][0]["on"] == day(5)
    assert found["forever"]["due"] == []


def test_only_what_ends_within_a_time(dated: Cli) -> None:
    """Each end by itself, the nearest first; what ended already is the most urgent."""
    answer = dated("credential", "list", "--expiring", "30d", "--json")
    assert answer.status == 1
    assert [(one["name"], one["days"], one["kind"]) for one in answer.json["items"]] == [
        ("gone", -3, "certificate"),
        ("near", -1, "password"),
        ("ca", 5, "certificate"),
        ("near", 12, "password"),
    ]
    assert answer.json["counts"] == "2 certificates, 2 passwords"
    items = dated("credential", "list", "--expiring", "2d", "--json").json["items"]
    assert [one["name"] for one in items] == ["gone", "near"]
    dated("credential", "delete", "gone", "--yes")
    dated("credential", "set", "near", "--clear", "rotate_after")
    nothing = dated("credential", "list", "--expiring", "2d")
    assert (nothing.status, nothing.out) == (0, "Nothing ends within 2d.\n")
    wrong = dated("credential", "list", "--expiring", "30")
    assert (wrong.status, "--expiring" in wrong.err) == (2, True)


def test_show_says_it_in_a_sentence(dated: Cli) -> None:
    told = dated("credential", "show", "near").out
    assert f"It expires in 12 days, on {day(12)}." in told
    assert f"It should have been replaced 1 day ago, on {day(-1)}." in told
    assert (
        f"Its certificate expired 3 days ago, on {day(-3)}."
        in dated("credential", "show", "gone").out
    )
    assert f"It expires in 400 days, on {day(400)}." in dated("credential", "show", "far").out
    near, far = (dated("credential", "show", name, "--json").json for name in ("near", "far"))
    assert [len(one["warnings"]) for one in (near, far)] == [2, 0]


def test_a_client_secret_ends_by_its_own_date(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIENT_SECRET", "value-of-the-client-secret")
    answer = cli("credential", "add", "app", "--type", "msgraph", "--tenant-id", "example.com",
                 "--client-id", "id", "--client-secrets.2026a.value-from-env", "CLIENT_SECRET",
                 "--set", f"client_secrets.2026a.valid_until={day(7)}")  # fmt: skip
    assert answer.status == 0, answer.err
    assert f"Its client secret 2026a expires in 7 days, on {day(7)}." in answer.out


def test_what_ends_names_the_sources_and_services_that_stop(cli: Cli, wired: User) -> None:
    """The password of a connection, and everything that works over it."""
    cli("credential", "set", "acme-login", "--expires-at", day(6), "--rotate-after", day(2))
    answer = cli("credential", "list", "--expiring", "30d", "--json")
    items = [one for one in answer.json["items"] if one["name"] == "acme-login"]
    found = [(one["what"], one["stops"]) for one in items]
    assert found == [
        ("rotate_after", []),  # a date to think of: nothing stops
        ("expires_at", ["source orders-in", "service orders-out"]),
    ]
    shown = cli("credential", "list", "--expiring", "30d")
    assert "source orders-in, service orders-out" in shown.out
    assert "2 passwords." in shown.err


def test_what_nobody_has_used_for_a_long_time(
    cli: Cli, wired: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opened or accepted long ago, or never; what was made lately is not among it."""
    assert cli("connection", "test", "acme").status == 0
    assert cli("credential", "list", "--unused", "90d").out.startswith("Every credential was used")
    cli("credential", "add", "old", "--type", "password", "--user-name", "a")
    later = timestamp() + 91 * 86_400
    monkeypatch.setattr("postroom.operations.ends.timestamp", lambda: later)
    items = cli("credential", "list", "--unused", "90d", "--json").json["items"]
    assert {one["name"]: bool(one["used_at"]) for one in items} == {
        "acme-login": True, "ground-ca": True, "old": False,
    }  # fmt: skip
    used = cli("credential", "usage", "acme-login", "--json").json
    assert (used["used_at"] is not None, used["used_by"][:6]) == (True, "local:")


def test_the_date_warns_and_is_no_barrier(cli: Cli, wired: User) -> None:
    """The help, the warning and what is done say the same; no code says that it is refused."""
    told = cli("credential", "set", "acme-login", "--expires-at", day(-2), "--json").json
    assert any("expired" in each for each in told["warnings"])
    assert cli("connection", "test", "acme").status == 0
    wanted = "warned of before and after, still used"
    assert wanted in " ".join(cli("credential", "set", "--help").out.split())
    assert cli("explain", "expired").status == 2

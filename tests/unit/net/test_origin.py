"""Origins and addresses: what is one, what is refused, and the lines secrets are bound to."""

from __future__ import annotations

import pytest

from postroom.errors import InvalidValue, PostroomError, Refused, WrongUse
from postroom.net.origin import Origin, origin_of, split_url
from postroom.net.tls import Tls

MICROSOFT = Origin("login.microsoftonline.com")


@pytest.mark.parametrize(
    ("text", "where", "target"),
    [
        ("https://a.test", "https://a.test", "/"),
        ("HTTPS://A.Test.:443/x/Y?q=1&r=%20", "https://a.test", "/x/Y?q=1&r=%20"),
        ("https://a.test:8443?q", "https://a.test:8443", "/?q"),
        ("https://münchen.test/", "https://xn--mnchen-3ya.test", "/"),
        ("https://[::1]:8443/v", "https://[::1]:8443", "/v"),
        ("https://[2001:db8::1]/v", "https://[2001:db8::1]", "/v"),
        ("http://localhost:80/", "http://localhost", "/"),
        (
            "https://a.test/v1.0/users('x')/m?$filter=a+eq+'b'",
            "https://a.test",
            "/v1.0/users('x')/m?$filter=a+eq+'b'",
        ),
    ],
)
def test_an_address_is_read_in_one_way(text: str, where: str, target: str) -> None:
    url = split_url(text)
    assert (url.where, url.target) == (where, target)
    assert "?" not in url.path


@pytest.mark.parametrize(
    "text",
    [
        "", "a.test", "//a.test/", "/path", "ftp://a.test/", "https:a.test", "https://", "https:///x",
        "https://user@a.test/", "https://user:secret-word@a.test/", "https://a.test\\@b.test/",
        "https://a.test/x#y", "https://a.test#@b.test/", "https://a.test/a b", "https://a.test/\r\nX: y",
        "https://a.test/\x00", "https://a.test/ü", " https://a.test/", "https://a.test:0/",
        "https://a.test:65536/", "https://a.test:x/", "https://2130706433/", "https://0x7f.1/",
        "https://a.test\t/", "https://[::1/", "https://a..test/",
    ],
)  # fmt: skip
def test_what_two_readers_could_read_in_two_ways_is_no_address(text: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        split_url(text)
    assert "secret-word" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "https://graph.microsoft.com/", "http://login.microsoftonline.com/",
        "https://login.microsoftonline.com:444/", "https://login.microsoftonline.com.evil.test/",
        "https://169.254.169.254/",
    ],
)  # fmt: skip
def test_another_origin_is_an_error(text: str) -> None:
    """T86: a link to somewhere else is not followed with what was meant for here."""
    with pytest.raises(Refused) as caught:
        MICROSOFT.url(text)
    assert caught.value.code == "destination_not_bound"
    assert MICROSOFT.url("https://LOGIN.microsoftonline.com:443/x").path == "/x"


def test_the_lines_say_host_port_trust_and_proxy() -> None:
    assert MICROSOFT.line == "https://login.microsoftonline.com:443;trust=system;proxy=none"
    assert MICROSOFT.bearer_line == f"bearer+{MICROSOFT.line}"
    by = origin_of("https://Graph.Microsoft.com/v1.0", proxy=("Proxy.test", 3128))
    assert by.line == "https://graph.microsoft.com:443;trust=system;proxy=proxy.test:3128"
    assert origin_of("https://[::1]:9").line == "https://[::1]:9;trust=system;proxy=none"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "a.localhost"])
def test_in_the_clear_only_this_machine_is_asked_and_only_when_permitted(host: str) -> None:
    origin = origin_of(f"http://{host}:8080/x", cleartext=True)
    assert origin.line.startswith("http://")
    assert ";trust=none;" in origin.line
    with pytest.raises(WrongUse) as caught:
        origin_of(f"http://{host}:8080/x")
    assert caught.value.code == "cleartext_sign_in"


@pytest.mark.parametrize("host", ["a.test", "10.0.0.1", "localhost.a.test", "128.0.0.1"])
def test_in_the_clear_nobody_else_is_asked(host: str) -> None:
    with pytest.raises(WrongUse, match="http://"):
        origin_of(f"http://{host}/", cleartext=True)


def test_in_the_clear_no_proxy_is_asked() -> None:
    with pytest.raises(WrongUse, match="http://"):
        origin_of("http://localhost/", cleartext=True, proxy=("127.0.0.1", 3128))


@pytest.mark.parametrize("tls", [Tls(check_name=False), Tls(look_only=True)])
def test_the_name_is_always_checked(tls: Tls) -> None:
    """T60: there is no switch for it on the web."""
    with pytest.raises(PostroomError):
        Origin("a.test", tls=tls)

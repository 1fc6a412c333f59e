"""What a form has to bring before anything is done with it."""

from __future__ import annotations

import pytest

from postroom.errors import Refused
from postroom.web.guard import check_origin, check_token, here

HERE = "http://127.0.0.1:8025"
FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": HERE, "sec-fetch-site": "same-origin", "content-type": f"{FORM}; charset=utf-8"},
        {"origin": HERE, "content-type": "multipart/form-data; boundary=x"},
    ],
)
def test_a_form_of_this_page_passes(headers: dict[str, str]) -> None:
    check_origin(headers, HERE)
    with pytest.raises(Refused):  # and is one of another site, seen from there
        check_origin(headers, "http://127.0.0.1:8026")


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example", "content-type": FORM},
        {"origin": "null", "content-type": FORM},
        {"content-type": FORM},
        {"origin": HERE, "sec-fetch-site": "cross-site", "content-type": FORM},
        {"origin": HERE, "sec-fetch-site": "same-site", "content-type": FORM},
        {"origin": HERE, "content-type": "text/plain"},
        {"origin": HERE, "content-type": "application/json"},
        {"origin": HERE},
        {"origin": f"{HERE}.evil.example", "content-type": FORM},
    ],
)
def test_a_form_of_another_site_does_not(headers: dict[str, str]) -> None:
    """T42: cross-site forms, text/plain, a missing or a null origin."""
    with pytest.raises(Refused) as refused:
        check_origin(headers, HERE)
    assert refused.value.code == "not_permitted"


@pytest.mark.parametrize("given", ["", "other", "toke", "token "])
def test_a_form_without_the_token_of_its_session_does_not(given: str) -> None:
    """T42: the token of another session, or none."""
    check_token("token", "token")
    with pytest.raises(Refused):
        check_token(given, "token")


def test_no_token_is_no_token_for_nobody() -> None:
    """T42: a session that has none takes no form."""
    with pytest.raises(Refused):
        check_token("", "")


@pytest.mark.parametrize(
    "path",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:x", "", "/a\r\nb"],
)
def test_nobody_is_sent_on_to_another_site(path: str) -> None:
    assert here(path) == "/"


def test_a_path_of_this_page_is_one() -> None:
    assert here("/credentials/acme?x=1") == "/credentials/acme?x=1"

"""Forms out of declarations: what is drawn, what is read back, and what never comes back."""

from __future__ import annotations

from typing import Any

from starlette.datastructures import FormData

from postroom.errors import InvalidValue
from postroom.operations.declared import credential_fields, nouns
from postroom.secret import Secret
from postroom.web.controls import controls, read
from postroom.web.form import Form


def drawn(model: Any, **facts: Any) -> dict[str, Any]:
    return {each.name: each for each in controls(model, facts.pop("values", {}), **facts)}


def test_a_type_of_credential_is_a_form() -> None:
    found = drawn(
        credential_fields("smtp"),
        values={"host": "smtp.example.com", "tls": True},
        stored={"password": "****wxyz"},
    )
    assert found["host"].value == "smtp.example.com"
    assert found["host"].needed
    assert found["tls"].kind == "tick"
    assert found["tls"].value is True
    assert (found["password"].kind, found["password"].value) == ("secret", "")
    assert found["password"].stored == "****wxyz"
    assert drawn(credential_fields("certificate"))["private_key"].kind == "area"


def test_what_was_typed_comes_back_but_no_secret() -> None:
    """A mistake elsewhere costs nobody what they typed, and no secret goes back into the page."""
    form = Form(FormData([("host", "smtp example"), ("password", "correct horse"), ("csrf", "t")]))
    found = drawn(
        credential_fields("smtp"),
        given=form.plain(sealed=["password"]),
        error=InvalidValue("host", "is no host name"),
    )
    assert found["host"].value == "smtp example"
    assert found["host"].error == "Is no host name."
    assert found["password"].value == ""
    assert "csrf" not in form.plain()


def test_a_form_is_read_into_groups() -> None:
    form = Form(
        FormData(
            [
                ("name", "acme"), ("incoming.protocol", "imap"), ("incoming.host", " mail.example "),
                ("incoming.port", ""), ("incoming.check_server_identity", "no"),
                ("worker_roles", "a\r\nb\r\n"),
            ]
        )
    )  # fmt: skip
    assert read(nouns()["connection"], form) == {
        "name": "acme",
        "incoming": {
            "protocol": "imap", "host": "mail.example", "port": None, "check_server_identity": False,
        },
        "worker_roles": ["a", "b"],
    }  # fmt: skip


def test_an_empty_secret_keeps_and_an_unticked_box_is_read() -> None:
    form = Form(FormData([("password", ""), ("tls.shown", "1"), ("email_address", "")]))
    assert read(credential_fields("smtp"), form) == {"tls": False, "email_address": ""}
    typed = read(credential_fields("smtp"), Form(FormData([("password", "x y")])))
    assert isinstance(typed["password"], Secret)

"""Macros: one pass, no nesting, the nearest name in the sentence."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.errors import InvalidValue, WrongUse
from postroom.macros import NAMING, Reference, Scope, expand, names

__all__: list[str] = []

SCOPE = Scope(
    variables={"MAIL_HOST": "imap.example.com", "A": "${B}", "B": "deep", "X.y-1": "odd"},
    environment={"REGION": "eu"},
    environment_known={"REGION", "PATH", "AWS_SECRET_ACCESS_KEY"},
    mail={"folder": "INBOX", "from": "a@x.org", "subject": "${MAIL_HOST}", "received": "2026"},
    now=dt.datetime(2026, 1, 31, 10, 5, 7, tzinfo=dt.timezone(dt.timedelta(hours=1))),
    host="host.example.com",
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("plain", "plain"),
        ("${MAIL_HOST}", "imap.example.com"),
        ("a.${MAIL_HOST}.b", "a.imap.example.com.b"),
        ("${var:MAIL_HOST}${lay:B}", "imap.example.comdeep"),
        ("${X.y-1}", "odd"),
        ("${env:REGION}", "eu"),
        ("${localhost:canonical-name}", "host.example.com"),
        ("${date:%Y-%m-%dT%H:%M:%S}", "2026-01-31T09:05:07"),
        ("${date:%F %j %G-W%V-%u %y %%}", "2026-01-31 031 2026-W05-6 26 %"),
        ("$${A}", "${A}"),
        ("$$${B}", "$${B}"),
        ("$$ $ {A} }", "$$ $ {A} }"),
        # a value is never looked into again, and nesting stays as it is written (T39)
        ("${A}", "${B}"),
        ("${${A}}", "${${A}}"),
        ("x${a${b}c}y${B}", "x${a${b}c}ydeep"),
        ("%24%7BA%7D", "%24%7BA%7D"),
        ("$\\{A}", "$\\{A}"),
        # other languages are plain text (T41)
        (
            "{{7*7}} {0.__class__} %(x)s %s {A} <%= 1 %> #{1}",
            "{{7*7}} {0.__class__} %(x)s %s {A} <%= 1 %> #{1}",
        ),
    ],
)
def test_expand(text: str, expected: str) -> None:
    """T39, T41: values and nesting are not looked into; other languages are text."""
    assert expand(text, SCOPE).text == expected


def test_facts_of_a_message_are_not_looked_into() -> None:
    """T40: a macro in a received subject is text."""
    found = expand("${mail:subject} (from: ${mail:from})", SCOPE, allowed=NAMING)
    assert found.text == "${MAIL_HOST} (from: a@x.org)"
    assert found.references == (Reference("mail", "subject"), Reference("mail", "from"))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "${sec:token}",
            "host: ${sec:...} is no kind of macro; there are var, env, mail, date, localhost",
        ),
        ("${mail:subject}", "host: ${mail:subject} may not stand here. Facts of a message"),
        ("${A", "host: ${ has no end"),
        ("${${A}", "host: ${ has no end"),
        ("${}", "host: ${var:} has no valid name"),
        ("${a b}", "has no valid name"),
        ("${env:a/b}", "has no valid name"),
        ("${A\n}", "has no valid name"),
        ("${evn:A}", "host: ${evn:...} is no kind of macro; did you mean env:?"),
        ("${zzzzz:A}", "is no kind of macro; there are var, env, mail, date, localhost"),
        ("${date:}", "host: ${date:...} takes %Y"),
        ("${date:%-d}", "host: ${date:...} takes %Y"),
        ("${date:%Y%}", "host: ${date:...} takes %Y"),
        ("${date:%B}", "host: ${date:...} takes %Y"),
    ],
)
def test_a_wrong_macro_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(InvalidValue) as error:
        expand(text, SCOPE, name="host")
    assert sentence in error.value.sentence
    assert error.value.field == "host"


@pytest.mark.parametrize(
    ("text", "sentence", "hint"),
    [
        ("${MAIL_HSOT}", "there is no variable 'MAIL_HSOT'; did you mean MAIL_HOST?", ""),
        ("${mail_host}", "there is no variable 'mail_host'; did you mean MAIL_HOST?", ""),
        (
            "${nothing_like_it}",
            "there is no variable 'nothing_like_it'.",
            "postroom variable set nothing_like_it VALUE",
        ),
        (
            "${REGION}",
            "there is no variable 'REGION'.",
            "The environment has it: write ${env:REGION}.",
        ),
        (
            "${PATH}",
            "there is no variable 'PATH'.",
            "postroom variable allow-env PATH, then write ${env:PATH}",
        ),
        (
            "${env:PATH}",
            "there is no allowed environment variable 'PATH'.",
            "postroom variable allow-env PATH",
        ),
        ("${AWS_SECRET_ACCESS_KEY}", "there is no variable", "allow-env AWS_SECRET_ACCESS_KEY"),
        ("${KEK}", "there is no variable 'KEK'.", "postroom variable set KEK VALUE"),
        ("${env:REGOIN}", "did you mean REGION?", ""),
        ("${localhost:name}", "there is no macro 'name'; there is canonical-name.", ""),
    ],
)
def test_an_unknown_name_says_the_nearest_and_what_to_do(
    text: str, sentence: str, hint: str
) -> None:
    """T38: what the environment has is unknown until somebody allows the name; so is what nobody has."""
    with pytest.raises(WrongUse) as error:
        expand(text, SCOPE, name="host")
    assert error.value.code == "unknown_variable"
    assert sentence in error.value.sentence
    assert hint in error.value.hint
    assert bool(hint) == bool(error.value.hint)


def test_a_value_of_the_environment_never_shows_in_the_sentence() -> None:
    scope = Scope(environment={"REGION": "canary-value"}, environment_known={"REGION"})
    with pytest.raises(WrongUse) as error:
        expand("${REGION}", scope)
    assert "canary-value" not in str(error.value.as_json())


def test_facts_that_do_not_exist_are_unknown() -> None:
    with pytest.raises(WrongUse):
        expand("${mail:body}", SCOPE, allowed=NAMING)
    with pytest.raises(WrongUse):
        expand("${mail:subject}", Scope(), allowed=NAMING)
    with pytest.raises(InvalidValue, match="instant"):
        expand("${date:%Y}", Scope())


def test_names_lists_what_a_text_uses() -> None:
    assert names("a${X}b${lay:Y}${env:Z}$${no}${${no}}${date:%Y}") == [
        Reference("var", "X"),
        Reference("var", "Y"),
        Reference("env", "Z"),
        Reference("date", "%Y"),
    ]
    with pytest.raises(InvalidValue):
        names("${")


@given(st.text(st.sampled_from("${}AB:$var lay"), max_size=40))
def test_any_text_is_expanded_once_or_refused(text: str) -> None:
    scope = Scope(variables={"A": "${B}", "B": "${A}"})
    try:
        found = expand(text, scope)
    except WrongUse:
        return
    assert isinstance(found.text, str)
    assert list(found.references) == names(text)
    if "$" not in text:
        assert found.text == text

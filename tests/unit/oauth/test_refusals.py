"""The tables of refusals: their form, which row is taken, and what a pasted text is told."""

from __future__ import annotations

import datetime as dt
import re
from types import ModuleType

import pytest

from postroom.oauth.refusals import Meaning, codes_in, entra, explain, google, meaning_of, passwords
from postroom.oauth.refusals import standard as oauth

__all__: list[str] = []

WANTED = (
    50011, 50020, 50034, 50053, 50055, 50057, 50076, 50079, 50105, 50126, 50158, 50173, 53000,
    53003, 65001, 65004, 70008, 70011, 70016, 70018, 70020, 70043, 90002, 90014, 90019, 90094,
    240002, 500011, 500113, 530034, 530036, 700016, 700024, 700027, 700082, 700084, 7000112,
    7000215, 7000218, 7000222,
)  # fmt: skip
ROWS: list[Meaning] = [
    *entra.ENTRA.values(),
    *oauth.STANDARD,
    *google.GOOGLE,
    *(meaning for _, _, meaning in google.GOOGLE_DESCRIBED),
    *(meaning for _, meaning in passwords.PASSWORDS),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.key)
def test_a_row_is_one_sentence_and_one_action(row: Meaning) -> None:
    for text in (row.sentence, row.action):
        assert re.fullmatch(r"[A-Z].*[.a-z$)]", text), text
        assert not re.search(r"[\r\n]|  ", text)
    assert row.sentence.endswith(".")
    assert not (row.temporary and row.sign_in), "a definite refusal does not pass"
    assert len(row.sentence) < 180


@pytest.mark.parametrize("table", [entra, google, oauth, passwords])
def test_a_table_has_its_date_and_its_sources(table: ModuleType) -> None:
    assert dt.date.fromisoformat(table.SEEN) <= dt.date(2026, 11, 29)
    assert all(source.startswith("https://") for source in table.SOURCES)


def test_no_name_stands_twice() -> None:
    names = [row.key for row in (*oauth.STANDARD, *google.GOOGLE)]
    assert len(names) == len(set(names))
    assert len(entra._ROWS) == len(entra.ENTRA)


@pytest.mark.parametrize("number", WANTED)
def test_the_codes_people_meet_are_known(number: int) -> None:
    assert number in entra.ENTRA


@pytest.mark.parametrize(
    ("error", "description", "codes", "key"),
    [
        ("invalid_grant", "AADSTS50076: Due to a configuration change", (), "AADSTS50076"),
        ("invalid_grant", "", (70043,), "AADSTS70043"),
        ("invalid_grant", "AADSTS50173: x", (53003,), "AADSTS53003"),
        ("invalid_client", "AADSTS1234567: x AADSTS7000215: y", (1234567,), "AADSTS7000215"),
        ("invalid_grant", "AADSTS1234567: x", (), "invalid_grant"),
        ("invalid_grant", "Token has been expired or revoked.", (),
         "invalid_grant: Token has been expired or revoked."),
        ("invalid_grant", "Bad Request", (), "invalid_grant: Bad Request"),
        ("invalid_grant", "reauth related error (invalid_rapt)", (), "invalid_rapt"),
        ("invalid_grant", "Bad Request (invalid_rapt)", (), "invalid_rapt"),
        ("access_denied", "Token has been expired or revoked.", (), "access_denied"),
        ("org_internal", "", (), "org_internal"),
    ],
)  # fmt: skip
def test_the_most_telling_part_is_judged(
    error: str, description: str, codes: tuple[int, ...], key: str
) -> None:
    found = meaning_of(error, description, codes)
    assert found is not None
    assert found.key == key


def test_what_no_table_knows_is_none() -> None:
    assert meaning_of("brand_new") is None
    assert codes_in("aadsts50076 AADSTS7000215: AADSTS50076 XAADSTSnone") == (50076, 7000215)


# lines as people paste them, from logs of other programs
PASTED = [
    ('{"error":"invalid_grant","error_description":"Token has been expired or revoked."}',
     "Google has ended the sign-in"),
    ('{\n "error": "invalid_grant",\n "error_description": "Bad Request"\n}',
     "Google does not know this sign-in"),
    ("MsalServiceException: AADSTS7000222: The provided client secret keys for app 'x' are expired",
     "The client secret has expired"),
    ("ERROR: AADSTS530036 Authentication failed.", "blocked the device flow"),
    ("534-5.7.9 Application-specific password required. For more information, go to\n"
     "534 5.7.9  https://support.google.com/mail/?p=InvalidSecondFactor", "app password"),
    ("* BAD [ALERT] Application-specific password required: https://support.google.com/ (Failure)",
     "app password"),
    ("535-5.7.8 Username and Password not accepted. For more information, go to", "app passwords"),
    ("smtplib.SMTPAuthenticationError: (535, b'5.7.139 Authentication unsuccessful, "
     "SmtpClientAuthentication is disabled for the Tenant. Visit https://aka.ms/smtp_auth_disabled')",
     "switched sending by SMTP off for all"),
    ("535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox.",
     "switched off for this mailbox"),
    ("535 5.7.139 Authentication unsuccessful, the user credentials were incorrect. [X.PROD]",
     "refused the password"),
    ("535 5.7.139 Authentication unsuccessful, basic authentication is disabled. [X.PROD]",
     "refused the password"),
    ("550 5.7.30 Basic authentication is not supported for Client Submission.",
     "no passwords for sending any more"),
    ("535 5.7.3 Authentication unsuccessful [SN2PR00CA0018.namprd00.prod.outlook.com]",
     "Exchange refused the sign-in"),
    ("BAD User is authenticated but not connected.", "no right to this mailbox"),
    ("454 4.7.0 Too many login attempts, please try again later. gsmtp", "Too many sign-ins"),
    ("Error 403: org_internal", "its own organisation only"),
    ("oauth error: interaction_required", "wants the person to be there"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "sentence"), PASTED)
def test_a_pasted_error_is_explained_most_telling_first(text: str, sentence: str) -> None:
    found = explain(text)
    assert found
    assert sentence in found[0].sentence


def test_a_code_with_its_text_is_not_explained_twice() -> None:
    found = explain("535 5.7.139 Authentication unsuccessful, basic authentication is disabled.")
    assert [each.key for each in found] == ["535 5.7.139 (password)"]


def test_what_nobody_knows_is_not_explained() -> None:
    assert explain("the printer is on fire") == ()
    assert explain("") == ()

"""Scopes: defaults, what is refused when saved with the right value, what was granted."""

from __future__ import annotations

from typing import Any

import pytest

from postroom.errors import InvalidValue
from postroom.oauth.discovery import Endpoints
from postroom.oauth.scopes import (
    SignInFlow,
    by_resource,
    check_sign_in,
    compare,
    default_scopes,
    with_identity,
)

__all__: list[str] = []

TENANT = "https://login.microsoftonline.com/contoso.example"
COMMON = "https://login.microsoftonline.com/common"
GOOGLE = "https://accounts.google.com"
PLAIN = "https://login.example.com/realm"
CLIENT: SignInFlow = "oauth_client_credentials"
DEVICE: SignInFlow = "oauth_device_flow"
CODE: SignInFlow = "oauth_authorization_code"
EXCHANGE = "https://outlook.office.com"
GRAPH = "https://graph.microsoft.com"


@pytest.mark.parametrize(
    ("flow", "wires", "more", "scopes"),
    [
        (CLIENT, ["graph"], {}, ("https://graph.microsoft.com/.default",)),
        (CLIENT, ["imap", "smtp"], {}, ("https://outlook.office365.com/.default",)),
        (CLIENT, ["graph"], {"graph_url": "https://graph.microsoft.us/v1.0"},
         ("https://graph.microsoft.us/.default",)),
        (DEVICE, ["graph"], {}, ("offline_access", "Mail.ReadWrite", "Mail.Send")),
        (CODE, ["graph"], {"shared": True},
         ("offline_access", "Mail.ReadWrite", "Mail.Send", "Mail.ReadWrite.Shared",
          "Mail.Send.Shared")),
        (CODE, ["graph"], {"graph_url": "https://graph.microsoft.us"},
         ("offline_access", "https://graph.microsoft.us/Mail.ReadWrite",
          "https://graph.microsoft.us/Mail.Send")),
        (DEVICE, ["imap", "smtp"], {},
         ("offline_access", f"{EXCHANGE}/IMAP.AccessAsUser.All", f"{EXCHANGE}/SMTP.Send")),
        (CODE, ["pop3"], {"shared": True},
         ("offline_access", f"{EXCHANGE}/POP.AccessAsUser.All")),
        (CODE, ["imap"], {"authority": GOOGLE}, ("https://mail.google.com/",)),
        (CLIENT, ["imap"], {"authority": PLAIN}, ()),
        (CODE, ["imap"], {"authority": "https://api.fastmail.com"}, ()),
        (DEVICE, ["imap"], {"authority": PLAIN}, ("offline_access",)),
        (DEVICE, ["graph"], {"authority": PLAIN, "entra": True},
         ("offline_access", "Mail.ReadWrite", "Mail.Send")),
    ],
)  # fmt: skip
def test_defaults_by_wire(
    flow: SignInFlow, wires: list[str], more: dict[str, Any], scopes: tuple[str, ...]
) -> None:
    assert default_scopes(flow, wires, **({"authority": TENANT} | more)) == scopes


def complaint(flow: SignInFlow, authority: str, scopes: tuple[str, ...]) -> str | None:
    """What is said against it when it is saved."""
    try:
        check_sign_in(flow, authority, scopes)
    except InvalidValue as error:
        return str(error)
    return None


@pytest.mark.parametrize("wires", [["graph"], ["imap"], ["pop3", "smtp"]])
@pytest.mark.parametrize("authority", [TENANT, PLAIN])
@pytest.mark.parametrize("flow", [CLIENT, DEVICE, CODE])
def test_every_default_passes_its_own_check(
    flow: SignInFlow, authority: str, wires: list[str]
) -> None:
    assert complaint(flow, authority, default_scopes(flow, wires, authority=authority)) is None


@pytest.mark.parametrize(
    ("flow", "authority", "scopes", "field", "right"),
    [
        (CLIENT, COMMON, ("https://graph.microsoft.com/.default",), "authority",
         "https://login.microsoftonline.com/TENANT"),
        (CLIENT, "https://login.microsoftonline.us/Organizations/v2.0", (), "authority",
         "https://login.microsoftonline.us/TENANT"),
        (CLIENT, "https://login.microsoftonline.com/consumers", (), "authority", "/TENANT"),
        (CLIENT, "https://login.microsoftonline.com", (), "authority", "/TENANT"),
        (CLIENT, TENANT, ("Mail.Read",), "scopes", "https://graph.microsoft.com/.default"),
        (CLIENT, TENANT, ("https://graph.microsoft.com/Mail.Read",), "scopes",
         "https://graph.microsoft.com/.default"),
        (CLIENT, TENANT, ("https://outlook.office.com/IMAP.AccessAsUser.All",), "scopes",
         "https://outlook.office365.com/.default"),
        (CLIENT, TENANT, ("IMAP.AccessAsApp",), "scopes", "https://outlook.office365.com/.default"),
        (CLIENT, TENANT, ("https://graph.microsoft.us/Mail.Read",), "scopes",
         "https://graph.microsoft.us/.default"),
        (CLIENT, TENANT, ("https://a.example/.default", "https://b.example/.default"), "scopes",
         "one scope"),
        (DEVICE, COMMON, ("Mail.ReadWrite",), "scopes", "[offline_access, Mail.ReadWrite]"),
        (DEVICE, GOOGLE, ("https://mail.google.com/",), "type", "oauth_authorization_code"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused_with_the_right_value(
    flow: SignInFlow, authority: str, scopes: tuple[str, ...], field: str, right: str
) -> None:
    with pytest.raises(InvalidValue) as caught:
        check_sign_in(flow, authority, scopes)
    assert caught.value.field == field
    assert right in caught.value.sentence


@pytest.mark.parametrize(
    ("flow", "authority", "scopes"),
    [
        (CLIENT, PLAIN, ("mail",)),
        (DEVICE, COMMON, ("offline_access", "Mail.Send")),
        (CODE, GOOGLE, ("https://mail.google.com/",)),
        (CODE, "https://api.login.yahoo.com", ("mail-w",)),
        (CODE, PLAIN, ("mail",)),  # whether it knows offline_access, it alone can say
    ],
)
def test_what_works_elsewhere_is_not_refused(
    flow: SignInFlow, authority: str, scopes: tuple[str, ...]
) -> None:
    assert complaint(flow, authority, scopes) is None


GRAPH = "https://graph.microsoft.com"


@pytest.mark.parametrize(
    ("asked", "granted", "renewable", "missing", "extra"),
    [
        (["a", "b"], ["b"], False, ("a",), ()),
        (["a"], ["a", "b", "c"], False, (), ("b", "c")),
        (["Mail.Read"], [f"{GRAPH}/mail.read", "openid", "profile"], False, (), ()),
        ([f"{GRAPH}/Mail.Send"], ["Mail.Send", f"{GRAPH}/User.Read"], False, (),
         (f"{GRAPH}/User.Read",)),
        ([f"{EXCHANGE}/SMTP.Send"], ["https://outlook.office365.com/SMTP.Send"], False, (), ()),
        ([f"{EXCHANGE}/Mail.Read"], [f"{GRAPH}/Mail.Read"], False, (f"{EXCHANGE}/Mail.Read",),
         (f"{GRAPH}/Mail.Read",)),
        (["offline_access", "Mail.Send"], ["Mail.Send"], True, (), ()),
        (["offline_access", "Mail.Send"], ["Mail.Send", "offline_access"], False,
         ("offline_access",), ()),
        ([f"{GRAPH}/.default"], ["Mail.Read", "Mail.Send"], False, (), ()),
        (["email", "https://mail.google.com/"],
         ["https://www.googleapis.com/auth/userinfo.email", "https://mail.google.com/"], True, (),
         ()),
        ([], [], False, (), ()),
    ],
)  # fmt: skip
def test_what_is_missing_and_what_is_extra(
    asked: list[str], granted: list[str], renewable: bool, missing: tuple[str, ...],
    extra: tuple[str, ...],
) -> None:  # fmt: skip
    """T90: fewer scopes are named, more are listed."""
    found = compare(asked, granted, renewable=renewable)
    assert (found.missing, found.extra) == (missing, extra)


@pytest.mark.parametrize(
    ("server", "openid", "asked"),
    [
        (Endpoints(scopes=("openid", "profile", "email", "mail")), False,
         ("openid", "mail", "profile", "email")),
        (Endpoints(scopes=("mail", "email")), True, ("openid", "mail", "email")),
        (Endpoints(scopes=("mail",)), True, ("openid", "mail")),
        (Endpoints(openid=True), False, ("openid", "mail", "profile", "email")),
        (Endpoints(), True, ("openid", "mail", "profile", "email")),
        (Endpoints(), False, ("openid", "mail")),
    ],
)  # fmt: skip
def test_who_signed_in_is_asked_of_servers_that_can_say(
    server: Endpoints, openid: bool, asked: tuple[str, ...]
) -> None:
    """Once, and where the server knows the scope: others refuse what they do not know."""
    assert with_identity(("openid", "mail"), server, openid=openid) == asked


BOTH = ("offline_access", "Mail.Send", f"{EXCHANGE}/SMTP.Send", f"{GRAPH}/Mail.ReadWrite")


@pytest.mark.parametrize(
    ("authority", "scopes", "groups"),
    [
        (TENANT, BOTH, (("offline_access", "Mail.Send", f"{GRAPH}/Mail.ReadWrite"),
                        ("offline_access", f"{EXCHANGE}/SMTP.Send"))),
        (TENANT, BOTH[:2], (BOTH[:2],)),
        (TENANT, ("offline_access", "openid"), (("offline_access", "openid"),)),
        (TENANT, (), ((),)),
        (TENANT, ("mail/.default", "api://app/mail"), (("mail/.default",), ("api://app/mail",))),
        (PLAIN, BOTH, (BOTH,)),
        (GOOGLE, ("https://mail.google.com/", "email"), (("https://mail.google.com/", "email"),)),
    ],
)  # fmt: skip
def test_one_token_is_asked_for_one_service_of_entra(
    authority: str, scopes: tuple[str, ...], groups: tuple[tuple[str, ...], ...]
) -> None:
    assert by_resource(scopes, authority=authority) == groups
    assert by_resource(scopes, entra=False) == (scopes,)

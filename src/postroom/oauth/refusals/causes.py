"""The usual causes of refusals, by the key of their meaning; where none stands, the sentence has it."""

from __future__ import annotations

from typing import Final

__all__ = ["CAUSES"]

_IDLE = (
    "Entra ends a sign-in that nobody used for 90 days, and each one when the account's password or "
    "a policy changes."
)
_APP_ONLY = "The account's own password was given; Google has refused it since 2025."
_POLICY = "A Conditional Access policy of the tenant; it may be new, or hold for this place only."
_WRONG_SECRET = (
    "Usually the Secret ID was copied in the place of the Value, or the secret is of another app."
)

CAUSES: Final[dict[str, str]] = {
    "534 5.7.9": _APP_ONLY,
    "534 5.7.14": "The first sign-in from a new place or a server in a data centre.",
    "535 5.7.8": _APP_ONLY + " An app password ends when the account's password is changed.",
    "535 5.7.139 (tenant)": "SMTP AUTH is off in new organisations, and in many others by a setting "
    "of the administrator (SmtpClientAuthenticationDisabled).",
    "535 5.7.139 (mailbox)": "SMTP AUTH is a setting of each mailbox, and it is off for this one.",
    "535 5.7.139 (password)": "Security defaults and authentication policies refuse every password, "
    "right or wrong; Exchange Online ends them for all.",
    "535 5.7.139": "One of three: SMTP AUTH is off for the tenant, off for the mailbox, or the "
    "password was refused. The text behind the code says which.",
    "550 5.7.30": "Microsoft has switched basic authentication off for sending by SMTP.",
    "535 5.7.3": "For IMAP, POP3 and SMTP the app needs permissions of Office 365 Exchange Online, "
    "not those of Microsoft Graph, and has to be registered in Exchange.",
    "User is authenticated but not connected": "The token is good, and the mailbox in `user` is not "
    "the one of its owner, or the app was given no right to it.",
    "5.7.60": "From is not the mailbox that signed in, nor one it has Send As for.",
    "454 4.7.0": "Many processes sign in at once, or one that fails signs in again without a pause.",
    "535 5.7.0 (#AUTH005)": "The account's own password was given.",
    "AADSTS28000": "Scopes of Graph and of Exchange (outlook.office.com) were asked for together.",
    "AADSTS28003": "The code was asked for with scopes of several services, and redeemed without any.",
    "AADSTS7000215": _WRONG_SECRET,
    "AADSTS70002": _WRONG_SECRET,
    "AADSTS7000222": "A client secret lives 24 months at most, and this one's are over.",
    "AADSTS700016": "The client id is mistyped, is the Object ID, or the app is in another tenant.",
    "AADSTS65001": "The permissions were added to the app, and nobody pressed Grant admin consent; "
    "or they were added after the sign-in.",
    "AADSTS50076": "A policy began, or the sign-in comes from a new place.",
    "AADSTS50079": "A policy for multifactor authentication began after the sign-in.",
    "AADSTS50126": "A mistyped password, or an account that signs in elsewhere (federation).",
    "AADSTS50173": "A changed password ends every sign-in before it.",
    "AADSTS53003": _POLICY,
    "AADSTS50105": "The app requires assignment, and nobody assigned the account.",
    "AADSTS530036": "Microsoft advises every tenant to block this flow, since codes are phished.",
    "AADSTS70043": "A policy of the tenant asks for a sign-in every so many hours or days.",
    "AADSTS70008": _IDLE,
    "AADSTS700082": _IDLE,
    "AADSTS700084": "The redirect URI was registered under Single-page application.",
    "AADSTS50011": "The redirect URI is compared letter by letter, the platform (Web, desktop) too.",
    "AADSTS90002": "A mistyped tenant, or one in a national cloud.",
    "AADSTS7000218": "Allow public client flows is off, and the app has no secret here.",
    "AADSTS500011": "The scope names another service than the one the tenant has.",
    "invalid_grant: Token has been expired or revoked.": "Google ends a sign-in after six months "
    "without use, with the account's password, and after seven days while the app is in testing.",
    "redirect_uri_mismatch": "The client is of type Web application, and the address is not in its "
    "list.",
    "admin_policy_enforced": "The Workspace restricts which apps may have the mail scope.",
    "invalid_client": "A mistyped client id, a secret of another client, or one that has ended.",
    "invalid_grant": "The password was changed, the sign-in was withdrawn or lay unused, or another "
    "program used the refresh token up.",
    "invalid_scope": "A scope of another provider, or one that the app's registration does not name.",
    "access_denied": "Somebody pressed Cancel, or may not consent.",
}

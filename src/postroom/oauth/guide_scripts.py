"""The guide for Microsoft as one script, for az or PowerShell, filled in with the same values."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from typing import Final, Literal

from postroom.errors import InvalidValue
from postroom.oauth.guide import Facts, check_facts
from postroom.oauth.scopes import SignInFlow

__all__ = ["script"]

GRAPH_APP: Final = "00000003-0000-0000-c000-000000000000"
EXCHANGE_APP: Final = "00000002-0000-0ff1-ce00-000000000000"
"""The fixed ids of Microsoft Graph and of Office 365 Exchange Online in every tenant."""

Shell = Literal["az", "powershell"]


def script(shell: Shell, flow: SignInFlow, facts: Facts) -> str:
    """The whole registration as one script.

    Permissions are looked up by name, so that no id is copied wrongly.  It asks for nothing and
    prints the ids to copy; a client secret is printed once, to the terminal of who runs it.
    Raises InvalidValue for values that could not stand in a script.
    """
    check_facts(facts)
    if shell == "az" and flow == "oauth_client_credentials" and _exchange_part(facts):
        raise InvalidValue(
            "script",
            "the part in Exchange has no az command; use powershell, or do that step by hand",
        )
    lines = _az(flow, facts) if shell == "az" else _powershell(flow, facts)
    return "\n".join(lines) + "\n"


def _exchange_part(facts: Facts) -> bool:
    return bool(facts.mailboxes) or "graph" not in facts.wires


def _wants_secret(flow: SignInFlow, facts: Facts) -> bool:
    """Whether the app is confidential, and not by a certificate."""
    if flow == "oauth_client_credentials":
        return not facts.certificate
    return flow == "oauth_authorization_code" and bool(facts.page)


def _by_service(flow: SignInFlow, facts: Facts) -> tuple[str, list[str]]:
    wanted = facts.permissions(flow)
    service = GRAPH_APP if wanted[0][0] == "Microsoft Graph" else EXCHANGE_APP
    return service, [name for _, name in wanted]


def _az(flow: SignInFlow, facts: Facts) -> Iterable[str]:
    client = flow == "oauth_client_credentials"
    service, names = _by_service(flow, facts)
    yield "#!/bin/sh"
    yield "# Run after: az login --allow-no-subscriptions"
    yield "set -eu"
    yield f"name={shlex.quote(facts.app_name)}"
    yield f"service={service}"
    more = ""
    if flow == "oauth_device_flow":
        more = " --is-fallback-public-client true"
    elif flow == "oauth_authorization_code":
        more = (
            f" --web-redirect-uris {shlex.quote(facts.page)}"
            if facts.page
            else " --public-client-redirect-uris http://localhost"
        )
    yield (
        'app=$(az ad app create --display-name "$name" --sign-in-audience AzureADMyOrg'
        f"{more} --query appId --output tsv)"
    )
    yield 'az ad sp create --id "$app" --output none'
    kind, where = ("Role", "appRoles") if client else ("Scope", "oauth2PermissionScopes")
    yield f"for permission in {' '.join(names)}; do"
    yield (
        f'    id=$(az ad sp show --id "$service" --query "{where}[?value==\'$permission\'].id | [0]"'
        " --output tsv)"
    )
    yield (
        '    az ad app permission add --id "$app" --api "$service"'
        f' --api-permissions "$id={kind}" --output none'
    )
    yield "done"
    yield "sleep 30 # a new app is not known everywhere at once"
    yield 'az ad app permission admin-consent --id "$app"'
    if client and facts.certificate:
        yield "# the .cer that postroom credential generate wrote"
        yield 'az ad app credential reset --id "$app" --append --cert @postroom.cer --output none'
    elif _wants_secret(flow, facts):
        yield "echo 'The client secret, shown once; give it to the credential:'"
        yield (
            'az ad app credential reset --id "$app" --append --display-name postroom --years 2'
            " --query password --output tsv"
        )
    yield 'echo "client_id: $app"'
    yield 'echo "tenant_id: $(az account show --query tenantId --output tsv)"'


def _quoted(text: str) -> str:
    """A literal of PowerShell: nothing inside single quotes means anything but the quote itself."""
    for quote in "'\u2018\u2019\u201a\u201b":  # PowerShell takes these for one too
        text = text.replace(quote, quote * 2)
    return f"'{text}'"


def _powershell(flow: SignInFlow, facts: Facts) -> Iterable[str]:
    client = flow == "oauth_client_credentials"
    service, names = _by_service(flow, facts)
    fenced = client and "graph" in facts.wires and bool(facts.mailboxes)
    yield "# Modules: Microsoft.Graph.Applications, ExchangeOnlineManagement"
    yield "$ErrorActionPreference = 'Stop'"
    yield (
        "Connect-MgGraph -NoWelcome -Scopes 'Application.ReadWrite.All', "
        "'AppRoleAssignment.ReadWrite.All', 'DelegatedPermissionGrant.ReadWrite.All'"
    )
    yield f"$name = {_quoted(facts.app_name)}"
    yield f"$new = @{{ DisplayName = $name; SignInAudience = 'AzureADMyOrg'{_settings(flow, facts)} }}"
    yield "$app = New-MgApplication @new"
    yield "$principal = New-MgServicePrincipal -AppId $app.AppId"
    if not fenced:
        yield f"$service = Get-MgServicePrincipal -Filter \"appId eq '{service}'\""
        yield from _grants(names, client=client)
    if _wants_secret(flow, facts):
        yield (
            "$secret = Add-MgApplicationPassword -ApplicationId $app.Id -PasswordCredential "
            "@{ DisplayName = 'postroom'; EndDateTime = (Get-Date).AddMonths(24) }"
        )
        yield "Write-Host 'The client secret, shown once; give it to the credential:'"
        yield "Write-Host $secret.SecretText"
    elif client:
        yield "# the .cer that postroom credential generate wrote"
        yield "$bytes = [IO.File]::ReadAllBytes((Resolve-Path 'postroom.cer'))"
        yield (
            "Update-MgApplication -ApplicationId $app.Id -KeyCredentials "
            "@(@{ Type = 'AsymmetricX509Cert'; Usage = 'Verify'; Key = $bytes })"
        )
    if client and _exchange_part(facts):
        yield from _in_exchange(facts, fenced=fenced)
    yield 'Write-Host "client_id: $($app.AppId)"'
    yield 'Write-Host "tenant_id: $((Get-MgContext).TenantId)"'


def _settings(flow: SignInFlow, facts: Facts) -> str:
    if flow == "oauth_device_flow":
        return "; IsFallbackPublicClient = $true"
    if flow != "oauth_authorization_code":
        return ""
    if facts.page:
        return f"; Web = @{{ RedirectUris = @({_quoted(facts.page)}) }}"
    return "; PublicClient = @{ RedirectUris = @('http://localhost') }"


def _grants(names: list[str], *, client: bool) -> Iterable[str]:
    if not client:
        yield (
            "New-MgOauth2PermissionGrant -ClientId $principal.Id -ConsentType 'AllPrincipals' "
            f"-ResourceId $service.Id -Scope {_quoted(' '.join(names))} | Out-Null"
        )
        return
    yield f"foreach ($permission in {', '.join(_quoted(name) for name in names)}) {{"
    yield "    $role = $service.AppRoles | Where-Object Value -eq $permission"
    yield (
        "    New-MgServicePrincipalAppRoleAssignment -ServicePrincipalId $principal.Id "
        "-PrincipalId $principal.Id -ResourceId $service.Id -AppRoleId $role.Id | Out-Null"
    )
    yield "}"


def _in_exchange(facts: Facts, *, fenced: bool) -> Iterable[str]:
    mailboxes = ", ".join(_quoted(address) for address in facts.mailboxes)
    yield "Start-Sleep -Seconds 30 # a new app is not known everywhere at once"
    yield "Connect-ExchangeOnline -ShowBanner:$false"
    yield (
        "New-ServicePrincipal -AppId $app.AppId -ObjectId $principal.Id -DisplayName $name | Out-Null"
    )
    if fenced:
        # an address is compared as text inside the filter, where a quote is written twice
        named = [each.replace("'", "''") for each in facts.mailboxes]
        either = " -or ".join(f"PrimarySmtpAddress -eq '{each}'" for each in named)
        yield f'New-ManagementScope -Name $name -RecipientRestrictionFilter "{either}" | Out-Null'
        yield "foreach ($role in 'Application Mail.ReadWrite', 'Application Mail.Send') {"
        yield (
            "    New-ManagementRoleAssignment -App $principal.Id -Role $role "
            "-CustomResourceScope $name | Out-Null"
        )
        yield "}"
        yield f"foreach ($mailbox in {mailboxes}) {{"
        yield "    Test-ServicePrincipalAuthorization -Identity $principal.Id -Resource $mailbox"
        yield "}"
        return
    if not mailboxes:
        yield "# then, for each mailbox: Add-MailboxPermission -Identity ADDRESS"
        yield "#     -User $principal.Id -AccessRights FullAccess"
        return
    yield f"foreach ($mailbox in {mailboxes}) {{"
    yield (
        "    Add-MailboxPermission -Identity $mailbox -User $principal.Id "
        "-AccessRights FullAccess | Out-Null"
    )
    if "smtp" in facts.wires:
        yield (
            "    Add-RecipientPermission -Identity $mailbox -Trustee $principal.Id "
            "-AccessRights SendAs -Confirm:$false | Out-Null"
        )
    yield "}"

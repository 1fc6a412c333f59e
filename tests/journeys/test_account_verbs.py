"""``postroom account``: an account is connected on the command line as in the page."""

from __future__ import annotations

import shlex

from tests.ground import User
from tests.journeys.conftest import Cli

ELSEWHERE = shlex.split(
    "account connect other ann@firm.invalid --credential acme-login --set incoming.host=127.0.0.3 "
    "--set incoming.port=1 --set outgoing.protocol=none --no-send --no-collect"
)


def test_a_stored_secret_goes_to_an_account_elsewhere_only_when_that_is_said(
    cli: Cli, wired: User
) -> None:
    """T26: the flag that the refusal names is there, and what was there already is not said to be made."""
    assert cli("connection", "test", "acme").status == 0
    refused = cli(*ELSEWHERE)
    assert refused.status == 1
    assert "confirm it with --rebind" in refused.err
    assert cli("connection", "show", "other").status != 0
    done = cli(*ELSEWHERE, "--rebind")
    assert done.status == 0
    assert done.out.startswith("Made connection other.")

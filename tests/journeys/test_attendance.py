"""Mail that waits while no worker is there to send it: said wherever somebody looks."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from postroom.clock import monotonic
from tests.child import Child
from tests.ground import User
from tests.journeys.conftest import Cli

NOBODY = (
    "No worker runs, so nothing is sent. Start one (postroom worker), or send once: postroom outbox "
    "drain"
)
OF_A_ROLE = (
    "No worker with the role mailer runs, so nothing is sent. Start one (postroom worker --role "
    "mailer), or send once: postroom outbox drain --role mailer"
)


def service(cli: Cli) -> tuple[int, str]:
    """How many workers are at it, and the note, as `list` and `show` both say."""
    [listed] = cli("service", "list", "--json").json["items"]
    shown = cli("service", "show", "orders-out", "--json").json
    assert (listed["workers"], listed["note"]) == (shown["workers"], shown["note"])
    return shown["workers"], shown["note"]


def at_it(cli: Cli) -> int:
    found: int = cli("service", "show", "orders-out", "--json").json["workers"]
    return found


def forget(cli: Cli, user: User) -> dict[str, str]:
    answer = cli("send", "--via", "orders-out", "--to", user.address, "--text", "x", "--forget",
                 "--json")  # fmt: skip
    assert answer.status == 0, answer.out
    found: dict[str, str] = answer.json
    return found


def until(true: Callable[[], bool]) -> None:
    end = monotonic() + 30
    while not true():
        assert monotonic() < end


def worker(cli: Cli, *words: str) -> Child:
    where = ("--room", str(cli.settings.room), "--kek", str(cli.settings.kek))
    return Child("-m", "postroom", "worker", *where, *words)


def test_mail_that_nobody_is_there_to_send_is_said_everywhere(cli: Cli, wired: User) -> None:
    """In a line for people, in a field for programs; and not where nothing waits."""
    assert service(cli) == (0, "")
    assert cli("outbox", "list", "--json").json["unattended"] == []
    assert forget(cli, wired)["note"] == NOBODY
    assert service(cli) == (0, NOBODY)
    assert NOBODY in cli("service", "list").out
    assert NOBODY in cli("service", "show", "orders-out").out
    assert f"Service orders-out, 1 waiting. {NOBODY}" in cli("outbox", "list").err
    told = [{"service": "orders-out", "waiting": 1, "note": NOBODY}]
    assert cli("outbox", "list", "--json").json["unattended"] == told
    answer = cli("send", "--via", "orders-out", "--to", wired.address, "--text", "x", "--forget")
    assert f"Stored. {NOBODY}" in answer.err
    assert cli("outbox", "drain").status == 0
    assert service(cli) == (0, "")


def test_a_held_service_waits_for_a_person(cli: Cli, wired: User) -> None:
    """A worker would not help; once it is released, one would."""
    assert cli("service", "hold", "orders-out").status == 0
    assert forget(cli, wired)["note"] == ""
    assert service(cli) == (0, "")
    assert NOBODY in cli("service", "release", "orders-out").err
    item = cli("outbox", "list", "--json").json["items"][0]["id"]
    assert cli("outbox", "hold", item).status == 0
    assert service(cli) == (0, "")
    assert NOBODY in cli("outbox", "release", item).err


def test_a_worker_is_seen_while_it_lives(cli: Cli, wired: User) -> None:
    """It says itself that it is one; killed, it is not counted from that moment on."""
    with worker(cli) as working:
        until(lambda: at_it(cli) == 1)
        assert forget(cli, wired)["note"] == ""
        assert working.stop() == 0
    assert service(cli)[0] == 0
    with worker(cli) as working:
        until(lambda: at_it(cli) == 1)
        working.kill()
        assert service(cli)[0] == 0
        assert forget(cli, wired)["note"] == NOBODY


def test_a_worker_of_another_role_is_none(cli: Cli, wired: User) -> None:
    """A service for the role `mailer`: what to start is said with it, and drain takes it too."""
    assert cli("service", "set", "orders-out", "--worker-roles", "mailer").status == 0
    with worker(cli, "--role", "other"):
        seats = cli.settings.room / "seats"
        until(lambda: any(path.stat().st_size for path in seats.glob("*.lock")))
        assert forget(cli, wired)["note"] == OF_A_ROLE
        assert service(cli) == (0, OF_A_ROLE)
    answer = cli("outbox", "drain")
    assert (answer.status, answer.out) == (0, "Nothing was due.\n")
    assert (
        "Service orders-out, 1 waiting. Only workers with the role mailer send it. Send once: "
        "postroom outbox drain --role mailer"
    ) in answer.err
    assert cli("outbox", "drain", "--role", "mailer").out == "1 sent.\n"
    with worker(cli, "--role", "mailer", "--role", "other"):
        until(lambda: at_it(cli) == 1)


def test_who_sends_for_itself_is_no_worker(cli: Cli, wired: User) -> None:
    """A process that sits in the room to send its own, or to collect once, sends nobody else's."""
    code = (
        "import postroom, sys\n"
        "with postroom.open(sys.argv[1], kek=sys.argv[2]) as room:\n"
        "    room.service('orders-out').send(to=sys.argv[3], text='x')\n"
        "    print('sent', flush=True)\n"
        "    sys.stdin.read()\n"
        "    import time; time.sleep(60)\n"
    )
    where = (str(cli.settings.room), str(cli.settings.kek), wired.address)
    with Child("-c", code, *where) as sender:
        assert sender.line() == "sent"
        assert forget(cli, wired)["note"] == NOBODY
        sender.send(signal.SIGKILL)


def test_a_service_that_is_not_there_is_not_drained(cli: Cli, wired: User) -> None:
    """`Nothing was due.` would be taken for the answer."""
    answer = cli("outbox", "drain", "--service", "orders-uot")
    assert answer.status == 2
    assert "Did you mean orders-out?" in answer.err
    for verb in ("release", "cancel"):
        assert cli("outbox", verb, "--service", "orders-uot", "--yes").status == 2
    assert cli("outbox", "drain", "--service", "ORDERS-OUT").status == 0


def test_what_is_not_held_is_not_cancelled_and_that_is_said(cli: Cli, wired: User) -> None:
    """Nothing of a service is held, and two wait: what to do to cancel those as well."""
    for _ in range(2):
        forget(cli, wired)
    answer = cli("outbox", "cancel", "--service", "orders-out", "--yes")
    assert answer.out == "Nothing was held; none was cancelled.\n"
    assert "2 not held. To cancel these too, hold the service, then cancel again" in answer.err
    assert cli("service", "hold", "orders-out").status == 0
    answer = cli("outbox", "cancel", "--service", "orders-out", "--yes")
    assert (answer.out, answer.err) == ("2 messages were cancelled.\n", "")


@pytest.mark.parametrize("implicit", ["acme", "connection:acme"])
def test_mail_straight_over_a_connection_is_seen_too(cli: Cli, wired: User, implicit: str) -> None:
    """Without a service of its own."""
    answer = cli(
        "send", "--via", implicit, "--to", wired.address, "--text", "x", "--forget", "--json"
    )
    assert answer.json["note"] == NOBODY
    assert f"Service connection:acme, 1 waiting. {NOBODY}" in cli("outbox", "list").err
    assert "Did you mean connection:acme?" in cli("outbox", "list", "--service", "acme").err

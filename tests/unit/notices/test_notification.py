"""The declaration of a notification: one way, an address that is safe, and nothing that contradicts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import pytest

from postroom.errors import WrongUse
from postroom.fields import parse
from postroom.notices import CAUSES, Notify
from postroom.notices.notification import Cause
from postroom.web import notifyform
from postroom.web.pages import overview

GOOD: list[tuple[dict[str, Any], str]] = [
    ({"service": "alerts", "to": ["ann@example.com"]}, "service"),
    ({"url": "https://hooks.example.com/x"}, "webhook"),
    ({"url": "https://hooks.example.com/{secret}", "credential": "c"}, "webhook"),
    (
        {"url": "https://hooks.example.com/x?key={secret}", "credential": "c", "signing": "s"},
        "webhook",
    ),
    ({"command": ["/usr/bin/logger", "-t", "postroom"]}, "command"),
    ({"url": "https://watch.example.com/p", "every": "1d", "method": "GET"}, "ping"),
]
BAD: list[tuple[dict[str, Any], str]] = [
    ({}, "give one of service, url and command"),
    (
        {"service": "a", "to": ["x@y.example"], "command": ["x"]},
        "give one of service, url and command",
    ),
    ({"service": "a"}, "to: belongs to a service"),
    ({"command": ["x"], "to": ["x@y.example"]}, "to: belongs to a service"),
    ({"url": "http://hooks.example.com/x"}, "only https://"),
    ({"url": "https://u:p@hooks.example.com/x"}, "no address that can be asked"),
    ({"url": "https://{secret}.example.com/x", "credential": "c"}, "behind the name of the server"),
    ({"url": "https://h.example/{secret}/{secret}", "credential": "c"}, "stands in it once"),
    ({"url": "https://h.example/{secret}"}, "goes with {secret}"),
    ({"url": "https://h.example/x", "credential": "c"}, "goes with {secret}"),
    ({"command": ["x"], "signing": "s"}, "signing: belongs to an address"),
    ({"command": ["x"], "every": "1d"}, "every: belongs to an address"),
    ({"command": [""]}, "name a program"),
    ({"url": "https://h.example/x", "method": "GET"}, "a webhook is posted"),
    ({"url": "https://h.example/x", "every": "5s"}, "once a minute"),
    (
        {"url": "https://h.example/x", "every": "1d", "causes": ["outbox"]},
        "a ping tells of nothing",
    ),
    ({"url": "https://h.example/x", "causes": ["weather"]}, "causes"),
    ({"url": "https://h.example/x", "proxy": "nonsense"}, "HOST:PORT"),
]


@pytest.mark.parametrize(("fields", "way"), GOOD)
def test_a_notification_has_one_way(fields: dict[str, Any], way: str) -> None:
    one = parse(Notify, {"name": "ops", **fields})
    assert one.way == way
    assert "{secret}" not in one.where


@pytest.mark.parametrize(("fields", "said"), BAD)
def test_what_contradicts_is_refused_with_the_field(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(WrongUse) as refused:
        parse(Notify, {"name": "ops", **fields})
    assert said in str(refused.value)


def test_it_hears_of_all_causes_or_of_those_it_names() -> None:
    everything = parse(Notify, {"name": "a", "command": ["x"]})
    some = parse(Notify, {"name": "a", "command": ["x"], "causes": ["expiry"]})
    ping = parse(Notify, {"name": "a", "url": "https://h.example/x", "every": "1h"})
    assert [one.hears_of("expiry") for one in (everything, some, ping)] == [True, True, False]
    assert [one.hears_of("outbox") for one in (everything, some, ping)] == [True, False, False]


def test_every_cause_is_told_of_wherever_causes_are() -> None:
    """A new one is in the form, on the overview and in the docs."""
    causes = set(get_args(Cause))
    text = (Path(__file__).parents[3] / "docs" / "notify.md").read_text()
    listed = (
        CAUSES,
        notifyform.CAUSES,
        overview._KINDS,
        re.findall(r"^\| `([\w-]+)` \|", text, re.M),
    )
    assert [causes ^ set(each) for each in listed] == [set()] * 4

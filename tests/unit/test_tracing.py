"""Spans: where OpenTelemetry is installed they say what was done; where it is not, nothing is loaded."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from postroom.app import Room
from postroom.errors import Refused
from postroom.tracing import span

EXPORTER = InMemorySpanExporter()


@pytest.fixture(scope="module", autouse=True)
def provider() -> None:
    """OpenTelemetry set up as by whoever runs the process; it can be done once."""
    made = TracerProvider()
    made.add_span_processor(SimpleSpanProcessor(EXPORTER))
    trace.set_tracer_provider(made)


@pytest.fixture
def spans() -> InMemorySpanExporter:
    EXPORTER.clear()
    return EXPORTER


def facts(found: ReadableSpan) -> tuple[str, dict[str, object]]:
    return found.name, dict(found.attributes or {})


def test_a_span_names_what_is_of_the_room_and_no_address(spans: InMemorySpanExporter) -> None:
    with span("send", connection="acme"), span("collect", source="in", box="acme/ann@example.com"):
        pass
    assert [facts(one) for one in spans.get_finished_spans()] == [
        ("postroom.collect", {"postroom.source": "in"}),
        ("postroom.send", {"postroom.connection": "acme"}),
    ]


def test_an_error_is_its_code_and_not_its_text(spans: InMemorySpanExporter) -> None:
    """T31: what a server said, or a secret that it echoes, is in no span."""
    with pytest.raises(Refused), span("send", connection="acme"):
        raise Refused("They said: hunter2 to ann@example.com", code="destination_not_bound")
    (found,) = spans.get_finished_spans()
    assert (found.status.is_ok, found.status.description) == (False, "destination_not_bound")
    assert not found.events
    assert "hunter2" not in found.to_json()


async def test_a_run_is_a_span(room: Room, spans: InMemorySpanExporter) -> None:
    await room.jobs.add({"name": "nightly", "command": {"words": ["/bin/true"]}})
    await room.runs.here(await room.runs.begin("nightly", {}))
    assert facts(spans.get_finished_spans()[-1]) == ("postroom.run", {"postroom.job": "nightly"})


def test_without_the_extra_nothing_is_loaded() -> None:
    code = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "from postroom.tracing import span\n"
        "with span('run', job='x'): print('done')\n"
        "print([one for one in sys.modules if one.startswith('opentelemetry.')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ.copy(),
    )
    assert done.stdout.split("\n")[:2] == ["done", "[]"]

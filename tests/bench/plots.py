"""Growth as pictures: the same measurement at several sizes, drawn as SVG files into docs/images."""

from __future__ import annotations

import dataclasses
import html
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from tests.bench import peers
from tests.bench.idling import sitting
from tests.bench.rooms import ROOT, Place, Scratch, collecting_room, work
from tests.ground import Ground, make_pki, messages

__all__ = ["IMAGES", "Line", "draw", "plots"]

IMAGES: Final = ROOT / "docs" / "images"
_MESSAGES: Final = (1_000, 2_000, 5_000, 10_000, 20_000, 50_000)
_CONNECTIONS: Final = (10, 100, 1_000, 10_000)
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 720, 360, 70, 20, 50, 50
_COLOURS: Final = ("#1f6f8b", "#c05621", "#718096", "#6b46c1")

Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True, slots=True)
class Line:
    """One thing measured at several sizes: pairs of size and value."""

    name: str
    points: Sequence[tuple[float, float]]


def plots(tmpfs: Scratch, say: Say, *, most: int = 50_000, into: Path = IMAGES) -> list[Path]:
    """Measure and draw, up to the size ``most``.  Gives the files, which lie in ``into``."""
    into.mkdir(parents=True, exist_ok=True)
    return [_growing_folder(tmpfs, say, most, into), _growing_room(tmpfs, say, most, into)]


def _up_to(most: int, sizes: Sequence[int]) -> list[int]:
    """Those below ``most``, and that one or the largest."""
    largest = min(most, sizes[-1])
    return [*(size for size in sizes if size < largest), largest]


def _growing_folder(tmpfs: Scratch, say: Say, most: int, into: Path) -> Path:
    ours: list[tuple[float, float]] = []
    raw: list[tuple[float, float]] = []
    theirs: list[tuple[float, float]] = []
    for count in _up_to(most, _MESSAGES):
        with Ground() as ground:  # a new one each time: to remove all of them at once takes long
            port, user = ground.dovecot.imap, ground.user()
            who = (user.address, user.password)
            ground.dovecot.fill(user, (messages.small(number) for number in range(count)))
            peers.raw_imap(port, *who)
            raw.append((count, peers.raw_imap(port, *who)))
            with tmpfs.new() as base:
                place = Place(base)
                collecting_room(place, port, *who)
                ours.append((count, work(place, "collect", count=count)["seconds"]))
            with tmpfs.new() as base:
                theirs.append((count, peers.mbsync(base, port, *who, fsync=False, count=count)))
        say(f"plot: {count:,} messages, {ours[-1][1]:.2f} s")
    lines = [Line("Postroom", ours), Line("mbsync, FSync no", theirs), Line("raw socket", raw)]
    path = into / "collect-growth.svg"
    title = "Collecting a folder of small messages, tmpfs"
    path.write_text(draw(title, "messages in the folder", "seconds", lines), "utf-8")
    return path


def _growing_room(tmpfs: Scratch, say: Say, most: int, into: Path) -> Path:
    memory: list[tuple[float, float]] = []
    with tmpfs.new() as base:
        pki = make_pki(base / "pki")
        for count in _up_to(most, _CONNECTIONS):
            each = sitting(pki, count)["each_kb"]
            memory.append((count, each * count / 1024))
            say(f"plot: {count:,} connections, {each:.1f} KB each")
    path = into / "idle-growth.svg"
    lines = [Line("Postroom, above one connection", memory)]
    title = "Memory of idle TLS connections"
    path.write_text(draw(title, "connections", "megabytes", lines), "utf-8")
    return path


# ---------------------------------------------------------------- drawing


def draw(title: str, across: str, up: str, lines: Sequence[Line]) -> str:
    """A picture with logarithmic axes, on which what grows in step is a straight line."""
    xs = [x for line in lines for x, _ in line.points]
    ys = [max(y, 1e-3) for line in lines for _, y in line.points]
    x_of = _scale(min(xs), max(xs), _LEFT, _WIDTH - _RIGHT)
    y_of = _scale(min(ys), max(ys), _HEIGHT - _BOTTOM, _TOP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f"<title>{html.escape(title)}</title>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
        _text(_LEFT, 20, title, size=15),
        _text(_WIDTH / 2, _HEIGHT - 10, across, anchor="middle"),
        _text(4, _TOP - 12, up),
    ]
    for value in _ticks(min(ys), max(ys)):
        y = y_of(value)
        parts.append(
            f'<path d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}" stroke="#e2e8f0" stroke-width="1"/>'
        )
        parts.append(_text(_LEFT - 8, y + 4, f"{value:g}", anchor="end"))
    for value in sorted(set(xs)):
        parts.append(_text(x_of(value), _HEIGHT - _BOTTOM + 18, f"{value:,.0f}", anchor="middle"))
    for number, line in enumerate(lines):
        parts += _curve(number, line, x_of, y_of)
    return "\n".join([*parts, "</svg>\n"])


def _curve(
    number: int, line: Line, x_of: Callable[[float], float], y_of: Callable[[float], float]
) -> list[str]:
    colour = _COLOURS[number % len(_COLOURS)]
    places = [(x_of(x), y_of(max(y, 1e-3))) for x, y in line.points]
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    dots = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]
    at = _TOP + 16 * number
    return [
        f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>',
        *dots,
        f'<path d="M{_LEFT + 12} {at}h20" stroke="{colour}" stroke-width="2"/>',
        _text(_LEFT + 38, at + 4, line.name),
    ]


def _text(x: float, y: float, text: str, *, anchor: str = "start", size: int = 12) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" '
        f'fill="#1a202c">{html.escape(text)}</text>'
    )


def _scale(least: float, most: float, start: float, end: float) -> Callable[[float], float]:
    low, high = math.log10(least), math.log10(most)
    span = (high - low) or 1.0
    return lambda value: start + (math.log10(value) - low) / span * (end - start)


def _ticks(least: float, most: float) -> list[float]:
    """1, 2 and 5 of every power of ten between the two."""
    powers = range(math.floor(math.log10(least)), math.ceil(math.log10(most)) + 1)
    found = [step * 10.0**power for power in powers for step in (1, 2, 5)]
    return [value for value in found if least <= value <= most]

"""Looking for a person in the outbox: so much at a time that no read lasts long."""

from __future__ import annotations

from postroom.services import erasing
from tests.unit.services.desk import Desk


async def test_a_look_is_bounded_by_bytes_too(desk: Desk) -> None:
    """The content of large messages is decoded while nobody else is served: some, then the next."""
    ids = sorted([await desk.add(content=b"x" * 300_000) for _ in range(7)])
    ids = sorted([*ids, await desk.add(content=b"y" * 3_000_000), await desk.add()])
    looks: list[list[str]] = []
    after = ""
    while True:
        found, after = await desk.db.read(
            lambda tx: erasing.stored(tx, after, lambda text: "@x.example" in text)  # noqa: B023
        )
        looks.append([one.id for one in found])
        if not after:
            break
    assert [one for look in looks for one in look] == ids
    sizes = await desk.db.read(
        lambda tx: {row["id"]: row["size"] for row in tx.all("SELECT id, size FROM outbox")}
    )
    assert all(len(look) == 1 or sum(sizes[one] for one in look) <= 1 << 20 for look in looks)

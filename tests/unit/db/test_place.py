"""Where a room may lie: not on a network file system."""

from __future__ import annotations

from pathlib import Path

import pytest

from postroom.db import open_database
from postroom.db.place import check_place
from postroom.errors import RoomError

MOUNTS = """\
22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
30 22 0:30 / /mnt/nfs rw shared:2 - nfs4 server:/export rw,vers=4.2
31 30 0:31 / /mnt/nfs/local rw - ext4 /dev/vdb1 rw
32 22 0:32 / /mnt/win rw - cifs //server/share rw
33 22 0:33 / /mnt/with\\040space rw - fuse.sshfs host: rw
34 22 0:34 / /run rw - tmpfs tmpfs rw
35 22 0:35 / /mnt/nfsdata rw - xfs /dev/vdc1 rw
"""


@pytest.fixture
def mounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(MOUNTS)
    real = Path.read_text

    def read_text(self: Path, *args: str) -> str:
        return real(table if str(self) == "/proc/self/mountinfo" else self, *args)

    monkeypatch.setattr(Path, "read_text", read_text)


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        ("/home/somebody/room", ""),
        ("/run/room", ""),
        ("/mnt/nfs", "nfs4"),
        ("/mnt/nfs/rooms/a", "nfs4"),
        ("/mnt/nfs/local/a", ""),  # the innermost mount counts
        ("/mnt/nfsdata/a", ""),  # a name that only begins alike
        ("/mnt/win/room", "cifs"),
        ("/mnt/with space/room", "fuse.sshfs"),
    ],
)
def test_network_file_systems_are_refused(mounts: None, place: str, kind: str) -> None:
    """SQLite's locks do not hold there: refused by name, with what to do instead."""
    if not kind:
        check_place(Path(place))
        return
    with pytest.raises(RoomError, match=f"network file system \\({kind}\\)") as refused:
        check_place(Path(place))
    assert "local disk" in refused.value.hint


def test_no_room_is_made_on_one(mounts: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked before the first byte is written."""
    with pytest.raises(RoomError, match="network file system"):
        open_database(Path("/mnt/nfs/room.db"), create=True)

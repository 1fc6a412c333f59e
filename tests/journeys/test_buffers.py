"""What is left of a password in the objects of a process that has signed in with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.child import Child
from tests.journeys.conftest import Cli

if TYPE_CHECKING:
    from tests.ground import Ground, User

PASSWORD = "Cny-0f3a9+/~-of-the-buffers"
LOOK = """
import asyncio, base64, gc, json, sys
from pathlib import Path
from postroom.app import open_room
from postroom.secret import Scrubber, Secret
from postroom.settings import Settings

SEEDED = []

def holders(word, spared):
    forms = [word.encode()]
    for before in (b"", b"\\0", b"\\0\\0"):
        forms.append(base64.b64encode(before + forms[0])[4:-4])
    texts = list(map(bytes.decode, forms))
    found, spared = [], spared | {id(forms), id(texts)}
    waiting = gc.get_objects()
    while waiting:
        holder = waiting.pop()
        if isinstance(holder, Secret) or id(holder) in spared:
            continue
        for value in gc.get_referents(holder):
            if isinstance(value, (dict, tuple)) and not gc.is_tracked(value):
                waiting.append(value)  # the collector does not list what holds no container
            known = forms if isinstance(value, (bytes, bytearray)) else texts
            if isinstance(value, (bytes, bytearray, str)):
                for form in known:
                    if form in value:
                        found.append(type(holder).__qualname__)
                        break
    return found

def look(spare):
    gc.collect()
    nets = [each for each in gc.get_objects() if spare and isinstance(each, Scrubber)]
    spared = {id(each._forms) for each in nets}
    print(json.dumps(holders(Path(sys.argv[3]).read_text(), spared)), flush=True)

async def main():
    room = await open_room(Settings(Path(sys.argv[1]), sys.argv[2]))
    store = await room.desk.opener.open_store("acme")
    transport = await room.desk.opener.open_transport("acme")
    if sys.argv[4]:
        SEEDED.append({"line": b"AUTH PLAIN " + Path(sys.argv[3]).read_bytes()})
    await asyncio.sleep(0.1)
    look(True)
    await store.close()
    await transport.close()
    del store, transport
    await asyncio.sleep(0.1)
    look(False)
    await room.close()

asyncio.run(main())
"""


@pytest.mark.parametrize("seeded", [False, True])
def test_while_both_sides_are_open_no_object_but_the_secret_has_the_password(
    cli: Cli, wired: User, ground: Ground, tmp_path: Path, seeded: bool
) -> None:
    """T36: a walk over every object there is; a buffer that is seeded is seen.

    The scrubbers of the two sessions are spared: they have what they look for.  Once the sessions
    are closed nothing has the password any more.
    """
    user = ground.user(PASSWORD)
    word = tmp_path / "word"
    word.write_text(PASSWORD)
    answer = cli("credential", "set", "acme-login", "--user-name", user.address,
                 "--password-from-file", str(word))  # fmt: skip
    assert answer.status == 0, answer.err
    where = (str(cli.settings.room), str(cli.settings.kek), str(word), "1" if seeded else "")
    with Child("-c", LOOK, *where) as child:
        while_open, afterwards = json.loads(child.line()), json.loads(child.line())
    assert while_open == afterwards == (["dict"] if seeded else [])

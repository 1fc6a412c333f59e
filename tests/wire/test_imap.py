"""The message store of IMAP against Dovecot, with imapclient as the oracle."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from postroom.errors import FolderError, InvalidValue, WireError
from postroom.protocols.base import Folder, Limits
from tests.ground import Ground, User
from tests.ground.messages import mixed, small
from tests.wire.imap_ground import Spools, collect, listing, opened, oracle

LINES = b"some words of a body\r\n" * 100


@pytest.fixture
def spools(tmp_path: Path) -> Spools:
    return Spools(tmp_path)


def numbers(ids: list[str]) -> list[int]:
    return [int(key.partition("-")[2]) for key in ids]


# ------------------------------------------------------------------- folders


async def test_folders_with_their_uses(ground: Ground, fresh_user: User) -> None:
    names = ["Done/2026", "Entwürfe & mehr", "日本語/受信", 'quoted "x"', "a%b*c", "&-", "📦"]
    async with opened(ground, fresh_user) as store:
        for name in [*names, *names]:  # the second time each is there already
            await store.create(name)
        folders = await store.folders()
        assert Folder("Archive", "\\Archive") in folders
        assert {f.name for f in folders} >= {*names, "INBOX", "Done", "日本語"}
        with oracle(ground, fresh_user) as client:
            theirs = {name for _, _, name in client.list_folders()}
        assert {f.name for f in folders} == theirs
        for name in names:
            assert (await store.open(name)).name == name
        assert (await store.open("\\Trash")).name == "Trash"
        assert (await store.open("inbox")).exists == 0


@pytest.mark.parametrize("name", ["No/Such", "\\Flagged", "INBOX/x"])
async def test_a_missing_folder(ground: Ground, fresh_user: User, name: str) -> None:
    ground.dovecot.fill(fresh_user, [small(1)])
    async with opened(ground, fresh_user, folder="INBOX") as store:
        ids = await listing(store)
        for asked in (store.copy(ids, name), store.append(name, b"a"), store.open(name)):
            with pytest.raises(FolderError) as caught:
                await asked
            assert caught.value.code == "folder_missing"
            assert name in caught.value.sentence


async def test_names_that_cannot_be(ground: Ground, fresh_user: User) -> None:
    async with opened(ground, fresh_user) as store:
        for name in ("", "a\r\nb", "a\0", "x" * 2000):
            with pytest.raises(InvalidValue):
                await store.open(name)
        await store.open("INBOX")


async def test_condstore_is_enabled_once_for_every_folder(ground: Ground, fresh_user: User) -> None:
    """RFC 5161, RFC 7162: ENABLE after the sign-in; then a plain SELECT tells HIGHESTMODSEQ."""
    ground.dovecot.fill(fresh_user, [small(1)])
    async with opened(ground, fresh_user) as store:
        before = await store.open("INBOX", read_only=False)
        [one] = await listing(store)
        await store.flag([one], add=["flagged"])
        after = await store.open("INBOX")
        said = "\n".join(store.pump.transcript.lines())
    assert 0 < before.modseq < after.modseq
    assert "ENABLED CONDSTORE" in said
    assert "(CONDSTORE)" not in said


async def test_verbs_want_an_open_folder(ground: Ground, fresh_user: User) -> None:
    async with opened(ground, fresh_user) as store:
        for verb in (store.check(), store.search("ALL"), store.delete(["1-1"]), store.wait(0)):
            with pytest.raises(FolderError):
                await verb


# ------------------------------------------------------------------- listing


async def test_what_is_newer_comes_in_pages(ground: Ground, fresh_user: User) -> None:
    ground.dovecot.fill(fresh_user, (small(n) for n in range(25)))
    async with opened(ground, fresh_user) as store:
        modseq = (await store.open("INBOX")).modseq
        pages = [page async for page in store.newer("", headers=["Subject"], page=10)]
        assert [len(page.summaries) for page in pages] == [10, 10, 5]
        assert [page.cursor.split("/")[0] for page in pages] == ["10", "20", "25"]
        assert {page.cursor.split("/")[1] for page in pages} == {str(modseq)}
        with oracle(ground, fresh_user) as client:
            asked = ["FLAGS", "INTERNALDATE", "RFC822.SIZE", "BODY.PEEK[HEADER.FIELDS (SUBJECT)]"]
            client.normalise_times = False
            theirs = client.fetch(client.search(), asked)
        for row in (row for page in pages for row in page.summaries):
            other = theirs[row.uid]
            assert row.size == other[b"RFC822.SIZE"]
            assert row.received == other[b"INTERNALDATE"]
            assert row.headers == other[b"BODY[HEADER.FIELDS (SUBJECT)]"]
        assert numbers(await listing(store, "23")) == [24, 25]
        assert await listing(store, "25") == []
        assert await listing(store, "4000000000") == []
        with pytest.raises(InvalidValue):
            await listing(store, "x:*")


async def test_new_messages_are_seen_on_an_open_connection(
    ground: Ground, fresh_user: User
) -> None:
    async with opened(ground, fresh_user, folder="INBOX") as store:
        assert await listing(store) == []
        assert await store.check() is False
        ground.dovecot.fill(fresh_user, [small(1)])
        assert numbers(await listing(store)) == [1]
        ground.dovecot.fill(fresh_user, [small(2), small(3)])
        assert await store.check() is True
        assert await store.check() is False
        assert numbers(await listing(store, "1", page=1)) == [2, 3]
        state = await store.open("INBOX")
        assert (state.exists, state.read_only) == (3, True)
        assert state.next_cursor == f"3/{state.modseq}"


async def test_reading_between_pages(ground: Ground, fresh_user: User, spools: Spools) -> None:
    messages = [small(n) for n in range(30)]
    ground.dovecot.fill(fresh_user, messages)
    found: list[bytes | None] = []
    async with opened(ground, fresh_user, folder="INBOX") as store:
        async for page in store.newer("", headers=["From"], page=7):
            ids = [row.id for row in page.summaries]
            found += (await collect(store, ids, spools)).values()
            await store.flag(ids, add=["seen"])
        assert found == messages
        assert len(await store.search("SEEN")) == 30


async def test_summaries_headers_and_search(ground: Ground, fresh_user: User) -> None:
    messages = list(mixed(20, seed=3))
    ground.dovecot.fill(fresh_user, messages)
    async with opened(ground, fresh_user, folder="INBOX") as store:
        ids = await listing(store)
        rows = await store.summaries([ids[7], ids[2]], headers=["To"])
        assert [row.id for row in rows] == [ids[7], ids[2]]
        assert all(row.headers.startswith(b"To: ") for row in rows)
        heads = await store.read_headers(ids)
        blocks = [m.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") for m in messages]
        assert list(heads.values()) == [b.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" for b in blocks]
        await store.flag(ids[3:5], add=["flagged", "$Done"])
        assert await store.search("FLAGGED KEYWORD $Done") == ids[3:5]
        assert await store.search("NOT ALL") == []
        with pytest.raises(WireError, match="does not understand"):
            await store.search("NONSENSE")
        assert len(await store.search("ALL")) == 20


# ------------------------------------------------------------------- fetching


@pytest.mark.parametrize("limits", [Limits(), Limits(in_memory=3000, in_flight=20_000)])
async def test_messages_come_byte_for_byte(
    ground: Ground, fresh_user: User, spools: Spools, limits: Limits
) -> None:
    ground.dovecot.fill(fresh_user, mixed(60, seed=1, largest=300_000))
    async with opened(ground, fresh_user, folder="INBOX", limits=limits) as store:
        ids = await listing(store)
        found = await collect(store, ids, spools)
        again = await collect(store, ids[::-1], spools)  # nothing is told of sizes now
    assert list(found) == ids
    assert list(again) == ids[::-1]
    with oracle(ground, fresh_user) as client:
        theirs = client.fetch(client.search(), ["BODY.PEEK[]"])
        seen = client.search("SEEN")
    assert seen == []
    for key, number in zip(ids, numbers(ids), strict=True):
        assert found[key] == again[key] == theirs[number][b"BODY[]"]
    sizes = [len(m) for m in found.values() if m is not None and len(m) > limits.in_memory]
    assert sorted(size for size, _ in spools.made) == sorted(sizes * 2)
    assert all(spool.largest <= 64 * 1024 for _, spool in spools.made)


async def test_ten_thousand_messages(ground: Ground, spools: Spools) -> None:
    user = ground.user()
    messages = [b"Subject: %d\r\n\r\n%s" % (n, LINES) for n in range(10_000)]
    ground.dovecot.fill(user, messages)
    found: list[bytes] = []
    async with opened(
        ground, user, folder="INBOX", port=ground.dovecot.imaps, security="tls"
    ) as store:
        async for page in store.newer("", page=2000):
            async for batch in store.fetch([row.id for row in page.summaries], spools):
                found += [fetched.content.bytes() for fetched in batch if fetched.content]
    assert sorted(found) == sorted(messages)


async def test_what_is_gone_is_said_so(ground: Ground, fresh_user: User, spools: Spools) -> None:
    ground.dovecot.fill(fresh_user, (small(n) for n in range(20)))
    async with opened(ground, fresh_user, folder="INBOX") as store:
        ids = await listing(store)
        with oracle(ground, fresh_user) as client:
            client.delete_messages([3, 4, 20])
            client.expunge()
        found = await collect(store, [*ids, "0-0".replace("0-0", ids[0])], spools)
        assert numbers([key for key, body in found.items() if body is None]) == [3, 4, 20]
        assert len(found) == 20
        assert len(await listing(store)) == 17
        assert len(await store.summaries(ids)) == 17


async def test_a_reader_may_leave_in_the_middle(
    ground: Ground, fresh_user: User, spools: Spools
) -> None:
    ground.dovecot.fill(fresh_user, [LINES] * 500)
    limits = Limits(in_flight=200_000)
    async with opened(ground, fresh_user, folder="INBOX", limits=limits) as store:
        ids = await listing(store)
        async for batch in store.fetch(ids, spools):
            assert batch
            break
        assert len(await store.search("ALL")) == 500
        assert len(await collect(store, ids[:5], spools)) == 5


async def test_ids_of_another_folder_are_refused(
    ground: Ground, fresh_user: User, spools: Spools
) -> None:
    ground.dovecot.fill(fresh_user, (small(n) for n in range(50)))
    limits = Limits(in_flight=10_000)
    async with opened(ground, fresh_user, folder="INBOX", limits=limits) as store:
        for wrong in ("1-1", "x", "", "-1"):
            with pytest.raises(FolderError) as caught:
                await store.delete([wrong])
            assert caught.value.code == "not_found"
        ids = await listing(store)
        reading = store.fetch(ids, spools)
        assert await anext(reading)
        await store.open("Sent")
        with pytest.raises(FolderError, match="was left"):
            await anext(reading)


# ------------------------------------------------------------------- changing


async def test_flags(ground: Ground, fresh_user: User) -> None:
    ground.dovecot.fill(fresh_user, (small(n) for n in range(4)))
    async with opened(ground, fresh_user, folder="INBOX") as store:
        ids = await listing(store)
        await store.flag(ids, add=["seen", "flagged", "$Junk"])
        await store.flag(ids[:1], remove=["seen", "$Junk"])
        flags = [row.flags for row in await store.summaries(ids[:2])]
        assert flags == [{"flagged"}, {"seen", "flagged", "$Junk"}]
        with oracle(ground, fresh_user) as client:
            assert set(client.get_flags([2])[2]) >= {b"\\Seen", b"\\Flagged", b"$Junk"}
        await store.flag([], add=["seen"])


@pytest.mark.parametrize("instance", ["main", "bare"])
async def test_copy_move_and_delete(ground: Ground, fresh_user: User, instance: str) -> None:
    """`bare` knows neither MOVE nor UIDPLUS, so nothing of ours may be expunged there."""
    bare = instance == "bare"
    ground.dovecot.fill(fresh_user, (small(n) for n in range(8)))
    port = getattr(ground.dovecot, instance).imap
    async with opened(ground, fresh_user, folder="INBOX", port=port) as store:
        assert (
            store.features.exact_expunge is store.features.move is store.features.push is not bare
        )
        ids = await listing(store)
        with oracle(ground, fresh_user) as client:
            client.add_flags([8], ["\\Deleted"])  # somebody else's mark
        await store.create("Done/2026")
        copied = await store.copy(ids[:2], "Done/2026")
        moved = await store.move(ids[2:4], "Done/2026")
        assert await store.delete(ids[4:5]) is not bare
        if not bare:
            state = await store.open("Done/2026")
            assert copied == {k: f"{state.uidvalidity}-{n}" for n, k in enumerate(ids[:2], 1)}
            assert moved == {k: f"{state.uidvalidity}-{n}" for n, k in enumerate(ids[2:4], 3)}
        said = store.pump.transcript.lines()
    with oracle(ground, fresh_user) as client:
        assert client.search() == ([1, 2, 3, 4, 5, 6, 7, 8] if bare else [1, 2, 6, 7, 8])
        assert client.search("DELETED") == ([3, 4, 5, 8] if bare else [8])
        assert client.folder_status("Done/2026")[b"MESSAGES"] == 4
    ours = [text.split(" ", 2)[-1] for text in said if text.startswith("C: ")]
    assert not any(text.startswith(("EXPUNGE", "CLOSE")) for text in ours)
    assert any("EXPUNGE" in text for text in ours) is not bare


async def test_moving_many(ground: Ground, fresh_user: User) -> None:
    ground.dovecot.fill(fresh_user, [LINES] * 1200)
    async with opened(ground, fresh_user, folder="INBOX") as store:
        ids = await listing(store)
        odd = ids[::2]
        assert len(await store.move(odd, "Archive")) == 600
        assert await listing(store) == ids[1::2]
        assert (await store.open("Archive")).exists == 600


@pytest.mark.parametrize("size", [10, 5000, 400_000])
async def test_append(ground: Ground, fresh_user: User, spools: Spools, size: int) -> None:
    message = b"Subject: x\r\n\r\n" + b"\xff\xfe {5}\r\n" * (size // 8)
    async with opened(ground, fresh_user) as store:
        store._session.core.literals = "LITERAL-"  # both ways of sending
        key = await store.append("\\Sent", message, flags=["seen", "$x"])
        state = await store.open("Sent")
        assert key == f"{state.uidvalidity}-1"
        assert await collect(store, [key], spools) == {key: message}
        assert (await store.summaries([key]))[0].flags == {"seen", "$x"}


async def test_a_full_mailbox(ground: Ground) -> None:
    user = ground.dovecot.user(quota_kib=20)
    async with opened(ground, user) as store:
        with pytest.raises(FolderError) as caught:
            await store.append("INBOX", b"Subject: x\r\n\r\n" + b"y" * 40_000)
        assert (caught.value.code, caught.value.temporary) == ("over_quota", True)


# ------------------------------------------------------------------- waiting


async def test_waiting_for_news(ground: Ground, fresh_user: User) -> None:
    async with opened(
        ground, fresh_user, folder="INBOX", port=ground.dovecot.imaps, security="tls"
    ) as store:
        assert await store.wait(0.1) is False
        waiting = asyncio.create_task(store.wait(10))
        await asyncio.sleep(0.2)
        with oracle(ground, fresh_user) as client:
            began = time.monotonic()
            client.append("INBOX", small(1))
            assert await waiting is True
        assert time.monotonic() - began < 5
        assert numbers(await listing(store)) == [1]
        assert await store.wait(0.1) is False


async def test_waiting_is_renewed_and_can_be_given_up(ground: Ground, fresh_user: User) -> None:
    limits = Limits(idle_renewal=0.1)
    async with opened(ground, fresh_user, folder="INBOX", limits=limits) as store:
        assert await store.wait(0.5) is False
        said = store.pump.transcript.lines()
        assert 4 <= sum(line == "C: DONE" for line in said) <= 7
        waiting = asyncio.create_task(store.wait(10))
        await asyncio.sleep(0.05)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await store.check() is False


async def test_a_server_without_idle(ground: Ground, fresh_user: User) -> None:
    port = ground.dovecot.bare.imap
    async with opened(ground, fresh_user, folder="INBOX", port=port) as store:
        with pytest.raises(WireError) as caught:
            await store.wait(1)
        assert caught.value.code == "not_supported"
        ground.dovecot.fill(fresh_user, [small(1)])
        assert await store.check() is True

"""The ways of a notice: an email through the outbox, a webhook, a program, a ping."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Final, NamedTuple

from postroom.access.users import any_restrained
from postroom.clock import format_duration, timestamp
from postroom.credentials.trust import trusted_in
from postroom.credentials.types.secret import SecretValue
from postroom.db import Tx
from postroom.errors import PostroomError, Refused
from postroom.jobs.handing import Told
from postroom.jobs.job import Limits
from postroom.jobs.process import run_program, why_it_ended
from postroom.log import about, logger
from postroom.mail import Draft
from postroom.net.dial import Policy
from postroom.net.origin import Origin
from postroom.net.veil import behind, cut
from postroom.notices import store, webhook
from postroom.notices.destinations import origin
from postroom.notices.notification import Notify
from postroom.notices.saying import Notice, one_line
from postroom.operations.desk import Desk
from postroom.operations.doing import RUNS
from postroom.operations.email import Email
from postroom.secret import Secret

__all__ = ["Outcome", "Ways"]

_log: Final = logger("notify")
_PROGRAM: Final = Limits(time="60s", memory="512MiB", output="16KiB")
_PURPOSE: Final = "tell people"
_WENT: Final = ("sent",)
_LOST: Final = ("failed", "ambiguous", "cancelled")


class Outcome(NamedTuple):
    """What became of one notice over one way: a sentence; ``item`` is the email of it that waits."""

    ok: bool
    said: str
    item: str = ""


class _Opened(NamedTuple):
    """Where it goes; its secret part and its signing key, opened for that place and written down; and
    of which version each is.
    """

    where: Origin
    part: Secret | None
    key: Secret | None
    versions: dict[str, int]


class Ways:
    """Tells one notice over one way."""

    def __init__(self, desk: Desk, *, policy: Policy | None = None) -> None:
        self._desk = desk
        self._email = Email(desk)
        self._policy = policy or Policy()

    async def tell(self, one: Notify, notice: Notice, *, wait: float = 0.0) -> Outcome:
        """Tell it; never raises but for what is no failure of the way.

        ``wait``: an email is sent from this process, for at most so many seconds.  What came of it is
        noted beside the notification.
        """
        restrained = await self._desk.db.read(any_restrained)
        if one.service and restrained:  # the outbox is read by others
            notice = dataclasses.replace(notice, said=cut(notice.said))
        try:
            outcome = await self._over(one, notice, wait)
        except PostroomError as error:
            outcome = Outcome(ok=False, said=one_line(error.kept(str(error))))
        told = about(notification=one.name, cause=notice.cause)
        if not outcome.ok:
            _log.warning("notification %s: %s", one.name, outcome.said, extra=told)
        # a ping that failed is due as before
        at = timestamp() if outcome.ok or one.every is None else None
        await self._desk.write(lambda tx: store.used(tx, one.name, outcome=outcome.said, now=at))
        return outcome

    async def _over(self, one: Notify, notice: Notice, wait: float) -> Outcome:
        if one.service:
            return await self._by_email(one, notice, wait)
        if one.command:
            return await self._by_program(one, notice)
        body = b"" if one.method == "GET" else notice.body()
        opened = await self._desk.write(lambda tx: self._opened(tx, one))
        at = int(timestamp())
        asked = webhook.ask(
            one, opened.where, id=notice.id, at=at, body=body, part=opened.part, key=opened.key
        )
        answer = await behind(asked, opened.where.where, self._desk.veiled)

        def accepted(tx: Tx) -> None:
            for name, version in opened.versions.items():
                self._desk.credentials.presented(tx, name, version, timestamp())

        await self._desk.write(accepted)
        return Outcome(ok=True, said=f"{opened.where.where} answered {answer.status}.")

    def _opened(self, tx: Tx, one: Notify) -> _Opened:
        where = origin(one, trusted_in(tx), policy=self._policy)
        versions: dict[str, int] = {}

        def secret(name: str) -> Secret | None:
            if not name:
                return None
            found = self._desk.credentials.open(
                tx, name, line=where.line, actor=self._desk.actor, purpose=f"{_PURPOSE}: {one.name}"
            )
            if not isinstance(found.fields, SecretValue) or found.fields.value is None:
                raise Refused(f"Credential {name} is not of type secret.")
            versions[name] = found.version
            return found.fields.value

        return _Opened(where, secret(one.credential), secret(one.signing), versions)

    async def _by_email(self, one: Notify, notice: Notice, wait: float) -> Outcome:
        draft = Draft(
            None,
            to=list(one.to),
            subject=notice.subject,
            text=notice.text,
            headers={"Auto-Submitted": "auto-generated"},  # RFC 3834
        )
        said = f"{one.name} {notice.id} {notice.text}".encode()
        key = f"notice-{hashlib.sha256(said).hexdigest()[:32]}"
        via = one.service if ":" in one.service else f"service:{one.service}"
        item = await self._email.store(via, draft, idempotency_key=key)
        if not wait:
            return Outcome(ok=True, said=f"Stored in the outbox, as {item}.", item=item)
        found = await self._email.follow(item, wait=wait)
        if found.state in _WENT:
            return Outcome(ok=True, said="Sent.")
        said_last = next((each.reply for each in found.recipients if each.reply), "")
        why = one_line(f"{found.state}: {found.reason or said_last or 'it waits in the outbox'}")
        if found.state in _LOST:
            return Outcome(ok=False, said=f"The email was not sent: {why}")
        return Outcome(ok=True, said=f"Not sent within {format_duration(wait)}: {why}", item=item)

    async def _by_program(self, one: Notify, notice: Notice) -> Outcome:
        lines: list[str] = []
        ended = await run_program(
            one.command,
            runs=self._desk.data_dir / RUNS,
            told=Told(
                f"notice-{hashlib.sha256(f'{one.name} {notice.id}'.encode()).hexdigest()[:24]}"
            ),
            on_output=lambda _stream, line: lines.append(line),
            stdin=json.dumps(notice.document(), ensure_ascii=False).encode() + b"\n",
            limits=_PROGRAM,
        )
        if ended.why or ended.status != 0:
            last = f" It said: {lines[-1]}" if lines else ""
            return Outcome(ok=False, said=one_line(why_it_ended(ended, _PROGRAM) + last))
        return Outcome(ok=True, said="The program ended with 0.")

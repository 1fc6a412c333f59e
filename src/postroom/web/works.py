"""Works: what takes longer than an answer may; each is watched from the page until it is done."""

from __future__ import annotations

import asyncio
import dataclasses
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, Final

from postroom.clock import monotonic
from postroom.errors import NotThere, PostroomError, Refused, WrongUse
from postroom.log import logger

__all__ = ["Work", "Works"]

_KEPT: Final = 900.0
"""Seconds for which the end of a work can still be seen."""
_LONGEST: Final = 2100.0
_AT_ONCE: Final = 0.3
"""Seconds in which what was typed wrong is found out, before anything is dialled."""
_OF_ONE: Final = 10
_ALL: Final = 200
_MOST_STEPS: Final = 500


@dataclasses.dataclass(slots=True)
class Work:
    """One long action: whose it is, how it is shown, what has happened, and how it ended.

    ``template`` is the partial that shows it, ``facts`` what that may want besides.  While it runs
    ``steps`` grow; then ``result`` or ``error`` is there.
    """

    id: str
    owner: str
    template: str
    facts: dict[str, Any]
    steps: list[Any] = dataclasses.field(default_factory=list)
    result: Any = None
    error: PostroomError | None = None
    done: bool = False
    ended: float = 0.0
    task: asyncio.Task[None] | None = None

    def tell(self, step: Any) -> None:
        """Add what has just happened."""
        if len(self.steps) < _MOST_STEPS:
            self.steps.append(step)


class Works:
    """The works of this process, by id; each is seen by whoever began it alone."""

    def __init__(self) -> None:
        self._known: dict[str, Work] = {}

    def begin(
        self, owner: str, template: str, run: Callable[[Work], Awaitable[Any]], **facts: Any
    ) -> Work:
        """Begin a work.  Raises Refused (``too_many``) where somebody has too many that run."""
        self._forget()
        running = [each for each in self._known.values() if not each.done]
        if len(running) >= _ALL or sum(each.owner == owner for each in running) >= _OF_ONE:
            raise Refused(
                "Too much is under way already.",
                code="too_many",
                hint="Wait until something of it has ended.",
                temporary=True,
            )
        work = Work(secrets.token_urlsafe(16), owner, template, facts)
        self._known[work.id] = work
        work.task = asyncio.create_task(self._do(work, run))
        return work

    def find(self, owner: str, id: str) -> Work:
        """A work of somebody.  Raises NotThere, also for one of another's."""
        work = self._known.get(id)
        if work is None or work.owner != owner:
            raise NotThere(
                "That is not known any more: it ended more than 15 minutes ago, or Postroom was "
                "started anew since.",
                hint="Begin it again from its page.",
            )
        return work

    async def mistake(self, work: Work) -> WrongUse | None:
        """What was typed wrong, where a work that was just begun ended over that; None: it goes on."""
        if work.task is not None:
            await asyncio.wait({work.task}, timeout=_AT_ONCE)
        return work.error if isinstance(work.error, WrongUse) else None

    def of(self, owner: str) -> list[Work]:
        """What somebody has under way."""
        return [each for each in self._known.values() if each.owner == owner and not each.done]

    def stop(self, owner: str, id: str) -> bool:
        """End a work before it is done; False where it was done already."""
        task = self.find(owner, id).task
        return task is not None and task.cancel()

    async def close(self) -> None:
        """End everything that runs."""
        tasks = [each.task for each in self._known.values() if each.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _do(self, work: Work, run: Callable[[Work], Awaitable[Any]]) -> None:
        try:
            async with asyncio.timeout(_LONGEST):
                work.result = await run(work)
        except PostroomError as error:
            work.error = error
        except TimeoutError:
            work.error = Refused("It took too long and was ended.", code="timed_out")
        except asyncio.CancelledError:
            work.error = Refused("It was ended before it was done.")
            raise
        except Exception as error:  # noqa: BLE001  # whoever watches must see an end
            logger("web").error("a work failed: %s", type(error).__name__, exc_info=error)
            work.error = Refused("This is a mistake of Postroom's.", code="mistake")
        finally:
            work.done, work.ended = True, monotonic()
            # what it holds, a password that was typed among it, is gone then though nobody begins another
            asyncio.get_running_loop().call_later(_KEPT, self._known.pop, work.id, None)

    def _forget(self) -> None:
        old = monotonic() - _KEPT
        for key, work in [*self._known.items()]:
            if work.done and work.ended < old:
                del self._known[key]

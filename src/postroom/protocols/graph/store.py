"""The message store of Microsoft Graph: base.MessageStore out of the verbs, and how to open one."""

from __future__ import annotations

from postroom.protocols.base import Features, SignIn, WireTarget
from postroom.protocols.graph.changing import ChangeVerbs
from postroom.protocols.graph.refusals import refusal
from postroom.protocols.graph.requests import Requests
from postroom.protocols.graph.searching import SearchVerb
from postroom.protocols.graph.session import known_of
from postroom.protocols.opening import OnStep

__all__ = ["GraphStore", "open_store"]


class GraphStore(ChangeVerbs, SearchVerb):
    """One mailbox on Graph; see base.MessageStore for what each verb does.

    Ids are immutable: they stay when a message is moved within its mailbox.  UIDVALIDITY is 0, a
    size is not told.  ``wait`` is a poll, so it hears of a change within seconds.
    """

    features = Features(append=False, newest=True, sizes=False)


async def open_store(
    target: WireTarget, sign_in: SignIn, *, on_step: OnStep | None = None
) -> GraphStore:
    """Dial, and prove the token on the inbox of the mailbox ``sign_in.user``.

    Raises DialError, TlsError, SignInError, WireError, ProtocolError.
    """
    requests = Requests(target, sign_in, on_step)
    store = GraphStore(requests)
    try:
        query = {"$select": "id,displayName,totalItemCount,unreadItemCount"}
        answer = await requests.first(requests.path("mailFolders/inbox", query), lets=(403, 404))
        if answer.status != 200:
            raise refusal(answer, step="mailbox" if answer.status == 404 else "folder")
        store.begin(known_of(answer.json(), "INBOX"))
    except BaseException:
        await requests.close()
        raise
    return store

"""The message that ``connection test --send-to`` sends: who it is from, and that it may be."""

from __future__ import annotations

from postroom.connections.trial import Trial
from postroom.db import Tx
from postroom.errors import InvalidValue
from postroom.mail import Draft, parse_address
from postroom.operations.desk import Desk
from postroom.operations.outgoing import route_of, write_out

__all__ = ["trial_of"]

_TEXT = """\
This message shows that Postroom can send through the connection {name}.

It was sent by hand with: postroom connection test {name} --send-to {to}
"""


def trial_of(desk: Desk, tx: Tx, name: str, to: str, from_: str) -> Trial:
    """The message, ready to leave.  Raises InvalidValue, Refused (``sender_not_allowed``)."""
    if not to:
        raise InvalidValue("send_to", "is needed: the address a test message goes to")
    route = route_of(desk, tx, f"connection:{name}")
    draft = Draft(
        from_=from_ or None, to=to, subject=f"Test of {name}", text=_TEXT.format(name=name, to=to)
    )
    parcel, _ = write_out(route, draft, repeatable=False)
    author = parse_address(from_, "from").address if from_ else ""
    return Trial(
        parcel.content, parcel.sender, parcel.recipients, parcel.message_id, utf8=parcel.utf8,
        author="" if author == parcel.sender else author,
    )  # fmt: skip

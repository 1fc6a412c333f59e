"""Mail as RFC 5322 and MIME have it: addresses, drafts to bytes, bytes to messages.  All pure.

    addresses   strict for what we send, flagging for what we read
    draft       Draft -> compose() -> bytes and envelope (folding, mimewrite)
    answers     reply() and forward(): a Message becomes a Draft
    automatic   whether a machine may answer a message, and what marks its answer
    headers     the fast scanner, RFC 2047, dates
    message     Message, a lazy view over exact bytes (mimeread, charsets)
    filenames   safe names from strangers' text

Nothing here opens a socket, a file or a table.
"""

from postroom.mail.addresses import (
    Address,
    AddressInput,
    envelope,
    parse_address,
    parse_addresses,
    read_addresses,
)
from postroom.mail.answers import forward, plain_text, reply
from postroom.mail.automatic import MARKS, answered_to, as_automatic, why_not_answer
from postroom.mail.draft import Attachment, Composed, Draft, compose, new_message_id
from postroom.mail.filenames import safe_name, unique
from postroom.mail.headers import decode_header, header_block, read_date, scan
from postroom.mail.message import Message, Part

__all__ = [
    "MARKS",
    "Address",
    "AddressInput",
    "Attachment",
    "Composed",
    "Draft",
    "Message",
    "Part",
    "answered_to",
    "as_automatic",
    "compose",
    "decode_header",
    "envelope",
    "forward",
    "header_block",
    "new_message_id",
    "parse_address",
    "parse_addresses",
    "plain_text",
    "read_addresses",
    "read_date",
    "reply",
    "safe_name",
    "scan",
    "unique",
    "why_not_answer",
]

"""What exit statuses and error codes mean, a sentence each: for ``postroom explain`` and the docs."""

from __future__ import annotations

from typing import Final

__all__ = ["CODE_MEANINGS", "EXIT_MEANINGS"]

EXIT_MEANINGS: Final[dict[int, str]] = {
    0: "Done.",
    1: "Failed; trying the same again does not help.",
    2: "Wrong use: the request itself is wrong.",
    3: "Stored, but not finished. Do not send it again; follow it with `postroom outbox show ID`.",
    75: "Something temporary. Try again later; nothing was lost.",
    78: "Configuration: the room, its key or its place must be put right by a person first.",
    130: "Stopped by Ctrl-C.",
}

CODE_MEANINGS: Final[dict[str, str]] = {
    "invalid_value": "A field has a value it cannot have. The sentence names the field.",
    "unknown_field": "Nobody declared that field, flag or section. The nearest name is suggested.",
    "not_found": "There is no record, message or outbox item of that name.",
    "secret_in_file": "A room file holds a secret as plain text. Use `from_env`, `from_file` or "
    "`prompt`, and treat the text that stood there as known to others.",
    "masked_value_submitted": "A mask such as `****wxyz` was given as a value. Leave the field out "
    "to keep what is stored.",
    "unknown_variable": "A macro names a variable that the room does not have, or an environment "
    "variable that nobody allowed.",
    "refused": "Understood, and not possible as things are. The sentence says why.",
    "name_taken": "There is a record of that name already; upper and lower case are the same.",
    "in_use": "Something still refers to the record. The list says what.",
    "incomplete": "The credential lacks fields and cannot be used yet. The list says which.",
    "expired": "The credential is past its `expires_at`.",
    "read_only": "The connection, or the folder as it was opened, may not be changed.",
    "secret_reentry_required": "The change would present a stored secret at a new place. Type the "
    "secret again, or confirm the listed lines (`--rebind`).",
    "destination_not_bound": "The secret may not be presented where it was about to be. No socket "
    "was opened.",
    "cleartext_sign_in": "The sign-in would cross a network without TLS.",
    "sender_not_allowed": "The message's From is none of the allowed senders.",
    "queue_full": "The service has `queue_size` messages waiting. Nothing was stored.",
    "idempotency_conflict": "The same idempotency key came with another message before.",
    "not_supported": "The other side, the protocol or this release cannot do it.",
    "sign_in_required": "A person has to sign in again before this connection can be used.",
    "claim_lost": "Another worker has taken the work over. It goes on there.",
    "room_missing": "There is no room at that place. `postroom init` makes one.",
    "room_error": "The room cannot be opened or written.",
    "room_too_new": "A newer release made or upgraded the room. It is not touched.",
    "room_too_old": "The room has an older schema than this release needs.",
    "room_busy": "Another process held the database for more than ten seconds.",
    "room_full": "The disk is full. What was not stored waits.",
    "key_missing": "The room's key is not where it should be. The room is locked.",
    "key_wrong": "That key is not this room's. The sentence names the key id it wants.",
    "key_unsafe": "The key file could have been read or replaced by others, or holds no key.",
    "unreadable": "One sealed value does not open: damaged, moved, rolled back or repointed. "
    "Others are fine.",
    "audit_unavailable": "The audit record cannot be written, so nothing is done.",
    "host_unknown": "The name does not resolve.",
    "address_refused": "The name resolves to an address that Postroom does not dial: link-local, "
    "metadata or multicast.",
    "connect_refused": "The host is there, and nobody listens on that port.",
    "connect_failed": "The host could not be reached.",
    "timed_out": "The other side did not answer in time. The step says where.",
    "connection_lost": "The other side closed the connection in the middle.",
    "proxy_failed": "The proxy did not open the way.",
    "tls_failed": "TLS could not be set up.",
    "tls_unavailable": "The server offers no STARTTLS, and TLS is required.",
    "certificate_expired": "The server's certificate is not valid yet, or not any more.",
    "certificate_name": "The server's certificate is for another name.",
    "certificate_untrusted": "The server's certificate is signed by nobody who is trusted.",
    "protocol_error": "The other side broke the protocol; nothing it says is believed.",
    "too_large": "A line, an answer or a message is larger than the limit.",
    "sign_in_failed": "The other side refused the sign-in.",
    "folder_missing": "There is no such folder, or it cannot be used.",
    "over_quota": "The mailbox on the server is full.",
    "deferred": "The other side said: not now.",
    "rejected": "The other side refused the message for good.",
    "wire_error": "Something else went wrong on the way.",
}

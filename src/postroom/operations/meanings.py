"""What exit statuses and error codes mean, for ``postroom explain`` and the docs.

Of each code: a sentence, the usual cause, what to do, and whether trying again helps.
"""

from __future__ import annotations

from typing import Final

from postroom.errors import CODES, FAILED, TRY_AGAIN
from postroom.operations.doormeanings import DOOR_MEANINGS
from postroom.operations.meaning import Meaning

__all__ = ["CODE_MEANINGS", "EXIT_MEANINGS", "exit_statuses"]

EXIT_MEANINGS: Final[dict[int, str]] = {
    0: "Done.",
    1: "Failed; trying the same again does not help.",
    2: "Wrong use: the request itself is wrong.",
    3: "Stored, but not finished. A message: do not send it again; follow it with `postroom outbox "
    "show ID`. A credential, also of a room file: nothing can use it until `postroom credential set "
    "NAME` completes it.",
    75: "Something temporary. Try again later; nothing was lost.",
    78: "Configuration: the room, its key or its place must be put right by a person first.",
    130: "Stopped by Ctrl-C.",
}

CODE_MEANINGS: Final[dict[str, Meaning]] = {
    "invalid_value": Meaning(
        "A field has a value it cannot have. The sentence names the field.",
        "A typing mistake, a value of another kind, or a reference to a record that is not there.",
        "Give a value that fits; `postroom explain NOUN` lists the fields and what they take.",
    ),
    "unknown_field": Meaning(
        "Nobody declared that field, flag or section.",
        "A misspelled name, or a field of another type or noun.",
        "Use the nearest name, which the sentence suggests; `postroom explain NOUN` lists"
        " them all.",
    ),
    "not_found": Meaning(
        "There is no record, message or outbox item of that name.",
        "A misspelled name, another room than the one you think of, or it was deleted.",
        "List what there is, such as `postroom credential list`; `postroom keys status` "
        "says which room this is.",
    ),
    "secret_in_file": Meaning(
        "A room file holds a secret as plain text.",
        "A password was written into the file where only a reference may stand.",
        "Write `{from_env: NAME}`, `{from_file: PATH}` or `{prompt: true}`, and replace "
        "the secret: treat the text that stood there as known to others.",
    ),
    "masked_value_submitted": Meaning(
        "A mask such as `****wxyz` was given as a value.",
        "What was shown was saved back, mask and all.",
        "Leave the field out to keep what is stored, or give the whole new secret.",
    ),
    "unknown_variable": Meaning(
        "A macro names a variable that the room does not have, or an environment variable"
        " that nobody allowed.",
        "A misspelled name, a variable that was not set in this room, or `${NAME}` where "
        "`${env:NAME}` was meant.",
        "`postroom variable set NAME VALUE`, or `postroom variable allow-env NAME` for "
        "`${env:NAME}`.",
    ),
    "refused": Meaning(
        "Understood, and not possible as things are. The sentence says why.",
        "A rule of the room, or the other side, does not permit it in this state.",
        "Read the sentence and its hint: they name the rule and the way round it.",
        "sometimes",
    ),
    **DOOR_MEANINGS,
    "name_taken": Meaning(
        "There is a record of that name already; upper and lower case are the same.",
        "It was made before, perhaps with other capitals.",
        "Choose another name, or change the one there is with `set`.",
    ),
    "in_use": Meaning(
        "Something still refers to the record. The list says what.",
        "Connections, sources, services or waiting messages need it.",
        "Change or delete those first (`postroom NOUN usage NAME` lists them); some verbs"
        " take `--force`.",
    ),
    "incomplete": Meaning(
        "The credential lacks fields and cannot be used yet. The list says which.",
        "It was saved before every field was given, or is a copy: copies hold no secret.",
        "`postroom credential set NAME` asks for it; a script gives `--password-from-env NAME`.",
    ),
    "read_only": Meaning(
        "The connection, or the folder as it was opened, may not be changed.",
        "`read_only: true` stands on the connection, or the server gives this user no more.",
        "Take `read_only` away, or use a source whose `after` is `keep`.",
    ),
    "secret_reentry_required": Meaning(
        "The change would present a stored secret at a new place.",
        "A host, a port, a certificate, a proxy or a variable was changed, so the secret "
        "would go elsewhere.",
        "Check the listed lines. If they are right, type the secret again, or confirm "
        "them with `--rebind`.",
    ),
    "destination_not_bound": Meaning(
        "The secret may not be presented where it was about to be. No socket was opened, nothing was run.",
        "The connection leads to another place, or the script of the job has other content, than when it "
        "was saved; `postroom exec` was not permitted; or the database was edited.",
        "Look at what is there now. If it is right, save it again: `postroom connection set NAME` with the "
        "secret's value, `postroom job set NAME --set python.file=PATH`, or for exec "
        "`postroom credential set NAME --programs`.",
    ),
    "cleartext_sign_in": Meaning(
        "The sign-in would cross a network without TLS.",
        "`security: none` for a host that is not this machine.",
        "Use `security` `tls` or `starttls`; only for a network you trust set "
        "`cleartext_sign_in: true`.",
    ),
    "sender_not_allowed": Meaning(
        "The message's From is none of the allowed senders.",
        "`allowed_senders` does not name the address, or is empty and it is not the account's own.",
        "Send from the account's own address, or add the other to `allowed_senders` of "
        "the service.",
    ),
    "queue_full": Meaning(
        "The service has `queue_size` messages waiting. Nothing was stored.",
        "Its server takes nothing, or less than is sent.",
        "See what holds it up with `postroom outbox list --service NAME`; then send again.",
        "yes",
    ),
    "idempotency_conflict": Meaning(
        "The same idempotency key came with another message or request before, or the first one with "
        "it is still being answered.",
        "A key was used twice for different contents, or a repeat did not wait.",
        "Use a key of its own for each; for a repeat, send exactly the same, a little later.",
        "sometimes",
    ),
    "not_supported": Meaning(
        "The other side, the protocol or this release cannot do it.",
        "A server without the capability, a POP3 mailbox asked for folders, a side the "
        "connection does not have.",
        "Use another connection or another way; the sentence names what is missing.",
    ),
    "sign_in_required": Meaning(
        "A person has to sign in again before this connection can be used.",
        "A grant of an OAuth provider ended or was taken back.",
        "Sign in again; until then what is collected and sent waits.",
    ),
    "claim_lost": Meaning(
        "Another worker has taken the work over. It goes on there.",
        "This process was frozen or cut off for longer than its lease.",
        "Nothing, as a rule. If it happens often, see whether the machine is overloaded.",
        "yes",
    ),
    "program_failed": Meaning(
        "The program or function of a job ended in an error, or was ended at one of its limits.",
        "The sentence says how it ended; what it wrote is in the log of its run.",
        "Read the log: `postroom job log RUN`. Limits are of the job: `limits`.",
        "sometimes",
    ),
    "backup_damaged": Meaning(
        "The file is no backup, or not the one that was made: cut short, or changed.",
        "A copy that did not finish, a bad disk, or somebody edited it.",
        "Take another copy or an older backup; `postroom backup verify FILE` checks it.",
    ),
    "mistake": Meaning(
        "Postroom itself made a mistake; nobody thought of this.",
        "A case that no test has yet.",
        "Report it: the same command with `--verbose` shows where it happened, without secrets.",
    ),
    "room_missing": Meaning(
        "There is no room at that place.",
        "Another directory was meant, or the room was not made yet.",
        "Give the place with `--room` or `POSTROOM_ROOM`, or make a room with `postroom init`.",
    ),
    "room_error": Meaning(
        "The room cannot be opened or written.",
        "The files belong to somebody else, the database is damaged, or it lies on a "
        "network file system.",
        "Read the sentence; check owner and permissions of the directory, or restore it "
        "from a backup.",
    ),
    "room_too_new": Meaning(
        "A newer release made or upgraded the room. It is not touched.",
        "An older Postroom was started on it.",
        "Use the newer release.",
    ),
    "room_too_old": Meaning(
        "The room has an older schema than this release needs.",
        "The room was made by an earlier release.",
        "Run `postroom upgrade`, or start a worker, which does the same; a copy of the room as it was is "
        "kept.",
    ),
    "room_busy": Meaning(
        "Another process held the database for more than ten seconds.",
        "A large change, a backup, or a process that hangs.",
        "Try again; the sentence names the process where it is known.",
        "yes",
    ),
    "room_full": Meaning(
        "The disk is full. What was not stored waits on the server.",
        "No space for the database or for a sink.",
        "Free some space; sources go on by themselves.",
        "yes",
    ),
    "key_missing": Meaning(
        "The room's key is not where it should be. The room is locked.",
        "The key file was moved, a mount is missing, or `POSTROOM_KEK` is not set for this user.",
        "Put the key back, or say where it is with `--kek` or `POSTROOM_KEK`. `postroom "
        "keys status` names its id.",
    ),
    "key_unreachable": Meaning(
        "The service that has the room's key did not answer, several times. The room is locked.",
        "The key service or the way to it is down, or it answers too many at the moment.",
        "Try again; a service manager does so by itself. What runs already goes on.",
        "yes",
    ),
    "key_wrong": Meaning(
        "That key is not this room's. The sentence names the key id it wants.",
        "The key of another room, or of a backup.",
        "Give the key with that id. Nothing was overwritten.",
    ),
    "key_unsafe": Meaning(
        "The key file could have been read or replaced by others, or holds no key.",
        "Its mode is not 0600, it belongs to somebody else, it is a link, or it lies in "
        "the room itself.",
        "Put owner and mode right (`chmod 600`), or move it out of the room.",
    ),
    "unreadable": Meaning(
        "One sealed value does not open. Others are fine.",
        "The row was damaged, moved, rolled back or edited outside Postroom.",
        "Restore that record from a backup, or delete it and make it again; `postroom "
        "audit verify` may say more.",
    ),
    "audit_unavailable": Meaning(
        "The audit record cannot be written, so nothing is done.",
        "The database cannot be written, or somebody changed its tables.",
        "See what is wrong with the disk, then try again; a room whose tables were changed is restored "
        "from a backup.",
        "yes",
    ),
    "host_unknown": Meaning(
        "The name does not resolve.",
        "A misspelled host, or a name server that does not answer.",
        "Check `host` of the connection; try the name with another program on this machine.",
        "sometimes",
    ),
    "address_refused": Meaning(
        "The name resolves to an address that Postroom does not dial.",
        "It is link-local, metadata or multicast, or private while `POSTROOM_PUBLIC_ONLY` is set.",
        "Use a host with a permitted address, or, in your own network, take "
        "`POSTROOM_PUBLIC_ONLY` away.",
    ),
    "connect_refused": Meaning(
        "The host is there, and nobody listens on that port.",
        "A wrong port, a server that is down, or a firewall that rejects.",
        "Check the port (IMAP 993 or 143, POP3 995 or 110, SMTP 465, 587 or 25), and that"
        " the server runs.",
        "yes",
    ),
    "connect_failed": Meaning(
        "The host could not be reached.",
        "No way there: no network, no route, or a firewall between.",
        "Check the network of this machine and any firewall.",
        "yes",
    ),
    "timed_out": Meaning(
        "The other side did not answer in time. The step says where.",
        "A server that is slow or down; at step connect often a firewall, at step tls or "
        "greeting a port of the other kind of security.",
        "Check host, port and `security`; `postroom connection test NAME` goes step by step.",
        "yes",
    ),
    "connection_lost": Meaning(
        "The other side closed the connection in the middle.",
        "A restart, a time-out or a limit of the server, or a device between.",
        "Nothing at first: it is tried again. If it is always the same step, ask the "
        "server's administrator.",
        "yes",
    ),
    "proxy_failed": Meaning(
        "The proxy did not open the way.",
        "It is down, or does not permit that host or port.",
        "Check `proxy` of the connection, and that the proxy permits CONNECT to the mail port.",
        "sometimes",
    ),
    "tls_failed": Meaning(
        "TLS could not be set up.",
        "A port that begins in plain text, versions or ciphers of TLS that are too old, "
        "or a client certificate that is wanted.",
        "Use `security: starttls` or the port for TLS; the sentence says what the server did.",
        "sometimes",
    ),
    "tls_unavailable": Meaning(
        "The server offers no STARTTLS, and TLS is required.",
        "A port for TLS from the first byte, a server without TLS, or somebody between "
        "who took the offer away.",
        "Use `security: tls` with its port (993, 995, 465), or ask the server's administrator.",
    ),
    "certificate_expired": Meaning(
        "The server's certificate is not valid yet, or not any more.",
        "It was not renewed, or a clock is wrong.",
        "Whoever runs the server renews it. Check the clock of this machine too.",
    ),
    "certificate_name": Meaning(
        "The server's certificate is for another name.",
        "The host was given as an address or an alias, or something else answers there.",
        "Use a name that the certificate has. Only if you are sure who answers: "
        "`check_server_identity: false`.",
    ),
    "certificate_untrusted": Meaning(
        "The server's certificate is signed by nobody who is trusted.",
        "An authority of your own, a certificate that signed itself, or a missing intermediate.",
        "Compare the fingerprint with the server's, then `postroom connection trust NAME "
        "SIDE FINGERPRINT`.",
    ),
    "protocol_error": Meaning(
        "The other side broke the protocol; nothing it says is believed.",
        "Another kind of server on that port, a device that interferes, or a mistake in "
        "the server.",
        "Check protocol and port of the connection; `postroom connection test NAME` shows"
        " what was said.",
        "sometimes",
    ),
    "too_large": Meaning(
        "A line, an answer or a message is larger than the limit.",
        "A message over the size that the server takes, or a server that sends lines without end.",
        "Send something smaller, or raise the limit where it is yours.",
    ),
    "sign_in_failed": Meaning(
        "The other side refused the sign-in.",
        "A wrong user or secret, an account that needs an app password, or a protocol "
        "that is switched off for it.",
        "Check both and store them anew: `postroom credential set NAME`. Sources wait "
        "longer after this, so that no account is locked.",
        "sometimes",
    ),
    "folder_missing": Meaning(
        "There is no such folder, or it cannot be used.",
        "A misspelled name (capital and small letters count), or it was deleted or renamed.",
        "`postroom mail folders --via NAME` lists them; folders of a source are made when"
        " they are missing.",
    ),
    "over_quota": Meaning(
        "The mailbox on the server is full.",
        "The server takes nothing more into it: a move or a copy there, or a message to it.",
        "Delete something there or raise the quota. What could not be moved stays where "
        "it is and is tried again.",
        "yes",
    ),
    "deferred": Meaning(
        "The other side said: not now.",
        "Greylisting, a limit on connections or messages, or maintenance.",
        "Nothing: it is tried again by itself. `postroom outbox show ID` has the reply.",
        "yes",
    ),
    "rejected": Meaning(
        "The other side refused the message for good.",
        "An unknown recipient, a mailbox that is full, a sender that may not send there, "
        "or content that it does not take.",
        "Read the reply in `postroom outbox show ID`; put right what it names, then send again.",
    ),
    "wire_error": Meaning(
        "Something else went wrong on the way.",
        "None of the other codes fits.",
        "Read the sentence and what the other side said; `postroom connection test NAME` "
        "goes step by step.",
        "sometimes",
    ),
}


def exit_statuses(code: str) -> tuple[int, ...]:
    """The exit statuses of commands that end with this error, the usual one first."""
    status = CODES[code].exit
    if status != FAILED:
        return (status,)
    return {"no": (FAILED,), "yes": (TRY_AGAIN,), "sometimes": (FAILED, TRY_AGAIN)}[
        CODE_MEANINGS[code].again
    ]

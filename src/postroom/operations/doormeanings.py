"""What the codes mean that only a served room answers: who asks, what they may, and how often."""

from __future__ import annotations

from typing import Final

from postroom.operations.meaning import Meaning

__all__ = ["DOOR_MEANINGS"]

DOOR_MEANINGS: Final[dict[str, Meaning]] = {
    "not_signed_in": Meaning(
        "Nobody is signed in with this request, or no longer.",
        "A session that ended, a token that expired or was revoked, a wrong name or password.",
        "Sign in again, or give a token that is good: `postroom token list` says which are.",
    ),
    "not_permitted": Meaning(
        "Whoever asks may not do that: their role, or their token, lacks the right that is named.",
        "Another role than the task wants, or a token that was made for less.",
        "Ask an administrator: `postroom user set NAME --role ROLE`, or another token.",
    ),
    "changed_since": Meaning(
        "The record is not any more what the request was made for (If-Match).",
        "Somebody else changed it in between.",
        "Read it again, and send the change for what it is now.",
    ),
    "too_many": Meaning(
        "Asked too often: sign-ins and tokens that fail are slowed down.",
        "A program with an old password, or somebody who guesses.",
        "Wait as long as the answer says; the audit record names who asked from where.",
        "yes",
    ),
    "malformed": Meaning(
        "The request is not understood: no JSON, or JSON that two readers may read differently.",
        "A name that stands twice, half a character, a number that JSON does not have, too many levels.",
        "Send one JSON object, in UTF-8.",
    ),
    "no_such_method": Meaning(
        "There is something at this address, and that cannot be done there.",
        "GET and POST, PATCH and PUT taken for one another.",
        "The answer's Allow names what can be done; openapi.json has all of it.",
    ),
    "not_acceptable": Meaning(
        "It is answered as a stream alone: it tells a person what to do while it waits for them.",
        "A sign-in that is asked for without a stream.",
        "Ask with Accept: text/event-stream.",
    ),
    "request_too_large": Meaning(
        "The body is longer than is taken, and was not read.",
        "A request takes 1 MiB, a command with attachments 40 MiB.",
        "Send less at once.",
    ),
    "media_type": Meaning(
        "The body is not JSON, or it is compressed.",
        "A form, a file, a Content-Encoding.",
        "Send it as it is, with Content-Type: application/json.",
    ),
}

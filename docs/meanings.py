"""What the generated pages say beside names that the code declares without a sentence."""

from __future__ import annotations

from typing import Final

from postroom.operations.macromeanings import MACROS, STEP_MACROS
from postroom.operations.meaning import AGAIN
from postroom.operations.meanings import CODE_MEANINGS, EXIT_MEANINGS, exit_statuses

__all__ = [
    "AGAIN",
    "CODES",
    "EXITS",
    "KEK_SOURCES",
    "MACROS",
    "STEP_MACROS",
    "VARIABLES",
    "exit_statuses",
]

EXITS: Final = EXIT_MEANINGS
CODES: Final = CODE_MEANINGS

VARIABLES: Final[dict[str, str]] = {
    "POSTROOM_ROOM": "The room's directory, as `--room` gives it. Default: `postroom` in the "
    "user's data directory (`$XDG_DATA_HOME`, else `~/.local/share`; macOS: "
    "`~/Library/Application Support`).",
    "POSTROOM_KEK": "Where the room's key is, as `--kek` gives it: a key source, see below.",
    "POSTROOM_PASSPHRASE": "The passphrase, for the key source `passphrase:`.",
    "POSTROOM_PUBLIC_ONLY": "`1` refuses to dial loopback and private addresses too.",
    "POSTROOM_AUDIT_KEEP": "How long the audit record is kept, such as `90d`; `400d` if it is not set.",
    "POSTROOM_DEVICE_FLOW": "`0` forbids to sign in by a code that is typed on another device: such codes "
    "are phished. A browser on the machine and `connection signin --link` go on working.",
    "POSTROOM_FD": "Set for a program that is handed fields by descriptor: the number to read JSON from.",
    "POSTROOM_DIRECTORY": "Set for a program that is handed fields by files: where they lie.",
    "POSTROOM_URL": "The address of a room that is served, such as `https://mail.example.com`: commands and "
    "programs work on that one ([rest.md](../rest.md)).",
    "POSTROOM_TOKEN": "Who asks a room that is served: an API token.",
    "POSTROOM_TOKEN_FILE": "A file with that token; better than the token itself.",
    "POSTROOM_TRUST": "A file with the certificate (PEM) that is trusted for a room that is served, instead "
    "of the system's.",
    "POSTROOM_OIDC_CREDENTIAL": "The `oauth_client` credential of the provider of OpenID Connect at which "
    "people sign in to the page ([people.md](../people.md)).",
    "POSTROOM_OIDC_ISSUER": "Instead of that credential, for an app without a secret: the provider's "
    "address.",
    "POSTROOM_OIDC_CLIENT_ID": "With it: the id of the app there.",
    "POSTROOM_OIDC_ROLES": "Roles by group, such as `mail-admins=admin,staff=viewer`: the first that fits.",
    "POSTROOM_OIDC_GROUPS_CLAIM": "Where the id token has the groups; `groups` if it is not set.",
    "POSTROOM_DATABASE_URL": "Reserved for PostgreSQL. This release refuses to start while it is "
    "set, so that nobody believes to be working on another database.",
}

KEK_SOURCES: Final[dict[str, str]] = {
    "file:PATH": "A file of mode 0600 that belongs to you and lies outside the room. The default: "
    "`postroom/keys/ROOM-ID.key` in the user's configuration directory (root: "
    "`/etc/postroom/keys/`; `XDG_CONFIG_HOME` where it is set). `postroom init` makes it; nothing "
    "else ever does.",
    "mounted:PATH": "A secret mounted by Docker or Kubernetes, read-only or from memory.",
    "systemd:NAME": "A credential of the systemd unit, from `LoadCredential=` or, better, "
    "`LoadCredentialEncrypted=`.",
    "env:NAME": "An environment variable that holds the key. It works, with a warning: other "
    "programs of the same user can read it.",
    "passphrase:[PATH]": "A passphrase: asked for, or from `POSTROOM_PASSPHRASE`, or from a file.",
    "KIND:REFERENCE": "What an installed package adds; see [how it is safe](../safety.md#where-the-key-is).",
}

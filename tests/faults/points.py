"""The named crash points of the store, the keys and the claims: a name, and the spot it stands for.

A name says what has just happened.  Those of a group are reached by one story of ``clients.py``.
"""

from __future__ import annotations

from typing import Final

__all__ = ["CLAIMING", "FIRST_RUN", "KEKS", "KEYS", "STORE"]

FIRST_RUN: Final = {
    "schema made": "postroom.db.migrate:make_schema after",
    "room named": "postroom.vault.first_run:_room_id after",
    "key file begun": "postroom.vault.keyfile:write_private before",
    "key file written": "postroom.vault.keyfile:write_private after",
    "key made": "postroom.vault.keyfile:write_key after",
    "first term inserted": "sql INSERT INTO vault_keys after",
    "first term wrapped": "sql INSERT INTO vault_key_wraps after",
    "audit key inserted": "postroom.vault.terms:Terms.insert after 2",
    "keyring not committed": "sql COMMIT before 2",
    "keyring committed": "sql COMMIT after 2",
}
"""``postroom init``."""

STORE: Final = {
    "record inserted": "sql INSERT INTO credentials after",
    "version inserted": "sql INSERT INTO credential_versions after",
    "dek made": "postroom.vault.terms:Terms.insert before",
    "dek inserted": "postroom.vault.terms:Terms.insert after",
    "field sealed": "sql INSERT INTO sealed after",
    "record sealed": "postroom.vault.keyring:Keyring.seal after",
    "hint sealed": "postroom.vault.hints:Hints.seal after",
    "version is current": "sql UPDATE credentials SET version after",
    "version saved": "postroom.credentials.versions:save_version after",
    "old fields dropped": "sql DELETE FROM sealed after",
    "old dek dropped": "sql DELETE FROM data_keys after",
    "old version emptied": "sql UPDATE credential_versions SET destroyed_at after",
    "change audited": "sql INSERT INTO audit after",
    "secrets bound": "postroom.operations.desk:Desk.rebind after",
    "transaction begun": "sql BEGIN IMMEDIATE after",
    "change not committed": "sql COMMIT before",
    "change committed": "sql COMMIT after",
    "change not answered": "postroom.db.engine:_answer before",
    "change answered": "postroom.db.engine:_answer after",
    "secret opened": "postroom.credentials.store:CredentialStore.open after",
    "version restored": "postroom.credentials.history:History.restore after",
    "version destroyed": "postroom.credentials.history:History.destroy after",
    "record deleted": "sql DELETE FROM credentials after",
}
"""Creating, changing, restoring, destroying, opening and deleting credentials."""

KEYS: Final = {
    "term retired": "sql UPDATE vault_keys SET state = 'retired' after",
    "term inserted": "sql INSERT INTO vault_keys after",
    "term wrapped": "sql INSERT INTO vault_key_wraps after",
    "kek kept again": "sql INSERT INTO keks after",
    "term begun": "postroom.vault.terms:Terms.begin after",
    "rotation staged": "postroom.vault.rotation:stage after",
    "batch rewrapped": "postroom.vault.rotation:rewrap after",
    "one dek swapped": "sql UPDATE data_keys after",
    "batch swapped": "postroom.vault.rotation:swap after",
    "unused terms sought": "postroom.vault.rotation:destroy_unused before",
    "term's wraps gone": "sql DELETE FROM vault_key_wraps after",
    "term gone": "sql DELETE FROM vault_keys after",
    "terms destroyed": "postroom.vault.rotation:destroy_unused after",
}
"""Rotations of the vault key."""

KEKS: Final = {
    "second key file begun": "postroom.vault.keyfile:write_private before",
    "second key file written": "postroom.vault.keyfile:write_private after",
    "second kek wraps": "sql INSERT INTO vault_key_wraps after",
    "second kek kept": "sql INSERT INTO keks after",
    "second kek added": "postroom.vault.terms:Terms.add_kek after",
    "second kek committed": "sql COMMIT after",
    "first kek's seat": "sql INSERT INTO workers after",
    "first kek's wraps gone": "sql DELETE FROM vault_key_wraps after",
    "first kek gone": "sql DELETE FROM keks after",
    "first kek retired": "postroom.vault.keks:retire after",
    "first kek's end committed": "sql COMMIT after 4",
}
"""A second key-encryption key that takes the place of the first."""

CLAIMING: Final = {
    "seat taken": "sql INSERT INTO workers after",
    "dead removed": "postroom.db.seats:Seat.remove_dead after",
    "rows claimed": "postroom.db.claims:Queue.claim after",
    "claims committed": "sql COMMIT after",
    "claim guarded": "postroom.db.claims:Queue.guard after",
    "claim released": "postroom.db.claims:Queue.release after",
    "seat left": "sql DELETE FROM workers after",
}
"""Claiming rows and settling them."""

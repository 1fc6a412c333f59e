"""The vault: keys, and the seal that binds a value to its record and its destinations."""

from postroom.vault.codes import audit_code
from postroom.vault.datakey import Binding, DataKey
from postroom.vault.first_run import Start, another_kek, open_vault
from postroom.vault.hints import Hints
from postroom.vault.kek import Kek, default_source, heads_file, load_kek, make_key_file
from postroom.vault.keyring import Keyring

__all__ = [
    "Binding",
    "DataKey",
    "Hints",
    "Kek",
    "Keyring",
    "Start",
    "another_kek",
    "audit_code",
    "default_source",
    "heads_file",
    "load_kek",
    "make_key_file",
    "open_vault",
]

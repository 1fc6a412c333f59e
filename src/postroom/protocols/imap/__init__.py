"""IMAP (RFC 9051, RFC 3501): a pure core, and the message store on it.

frames     bytes to lines and literals          sets       sets of uids
tokens     a response to its words              names      folders' names
responses  words to typed events                commands   what we say, as bytes
machine    the core made of these               refusals   what a NO means
session    the core on a pump                   sign_in    greeting, STARTTLS, sign-in
opened, folders, listing, fetch, arrivals, changes, idle  the verbs; store puts them together
"""

from postroom.protocols.imap.store import ImapStore, open_store

__all__ = ["ImapStore", "open_store"]

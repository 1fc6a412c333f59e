"""The in-memory twin of both contracts: a mail server without a network, for tests and trials."""

from postroom.protocols.memory.server import MemoryServer, Submitted
from postroom.protocols.memory.store import MemoryStore, open_store
from postroom.protocols.memory.transport import MemoryTransport, open_transport

__all__ = [
    "MemoryServer",
    "MemoryStore",
    "MemoryTransport",
    "Submitted",
    "open_store",
    "open_transport",
]

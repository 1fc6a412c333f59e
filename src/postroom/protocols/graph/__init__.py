"""Microsoft Graph's mail: a message store and a transport over HTTPS (graph.microsoft.com, v1.0).

requests    token, immutable ids, four at a time, patience when throttled, links checked
refusals    Graph's error codes as our errors
session     folders by name            folders    open, create, what changed
cursors     delta links, pure          listing    rounds of the delta query
described   properties as summaries    fetching   MIME by $value, streamed
changing    flags, move, copy, delete  searching  SEARCH by $filter and $search
"""

from __future__ import annotations

from postroom.protocols.graph.store import GraphStore, open_store
from postroom.protocols.graph.transport import GraphTransport, open_transport

__all__ = ["GraphStore", "GraphTransport", "open_store", "open_transport"]

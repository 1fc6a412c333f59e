"""Tokens: who has signed in where, and the access tokens that came of it."""

from postroom.credentials.tokens.grant import BEARER, FlowName, Grant
from postroom.credentials.tokens.keeper import Keeper, VeiledKeeper
from postroom.credentials.tokens.kept import Kept, Use
from postroom.credentials.tokens.rows import Access

__all__ = ["BEARER", "Access", "FlowName", "Grant", "Keeper", "Kept", "Use", "VeiledKeeper"]

"""How the house measures itself: the tree as parsed modules, its gauges and its lints."""

__all__: list[str] = []

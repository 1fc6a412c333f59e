"""The documentation: pages, and the programs that write the generated ones."""

__all__: list[str] = []

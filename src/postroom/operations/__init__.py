"""Operations: what a person may ask - checked, done once in one transaction, written down."""

__all__: list[str] = []

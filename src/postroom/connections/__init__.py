"""Connections: the saved settings of email endpoints, and where wire and credential meet."""

__all__: list[str] = []

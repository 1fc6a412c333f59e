"""The REST API: every door of the room under ``/api/v1``, from the one table of doors."""

from postroom.api.app import make_app

__all__ = ["make_app"]

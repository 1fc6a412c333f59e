"""The web page: an ASGI application of Starlette whose every page is a door to the operations of a room."""

from postroom.web.app import make_app

__all__ = ["make_app"]

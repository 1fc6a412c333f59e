"""What came with a form: texts, choices and secrets; a secret never goes back into a page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from starlette.datastructures import FormData, UploadFile
from starlette.requests import ClientDisconnect, Request

from postroom.errors import InvalidValue, WrongUse
from postroom.secret import Secret

__all__ = ["Form", "read_form"]

_MOST_FIELDS: Final = 500
_MOST_FILES: Final = 20
_LONGEST: Final = 2 * 1024 * 1024


class Form:
    """The values of a form by their names; what is not there is an empty text."""

    def __init__(self, data: FormData) -> None:
        self._data = data

    @classmethod
    def of(cls, plain: Mapping[str, str]) -> Form:
        """A form of these texts."""
        return cls(FormData([*plain.items()]))

    def text(self, name: str) -> str:
        """One value, without white space around it."""
        return self.raw(name).strip()

    def raw(self, name: str) -> str:
        """One value as it was typed, with the line ends of this house."""
        value = self._data.get(name, "")
        return value.replace("\r\n", "\n") if isinstance(value, str) else ""

    def texts(self, name: str) -> list[str]:
        """Every value of that name that is not empty."""
        found = (each.strip() for each in self._data.getlist(name) if isinstance(each, str))
        return [each for each in found if each]

    def secret(self, name: str) -> Secret | None:
        """One value that is not to be seen again; None where nothing was typed."""
        value = self._data.get(name, "")
        return Secret(value) if isinstance(value, str) and value.strip() else None

    def twice(self, name: str) -> Secret:
        """A new secret that was typed twice, the second time as ``again``.  Raises InvalidValue."""
        chosen = self.secret(name)
        if chosen is None or chosen != self.secret("again"):
            raise InvalidValue(name, "the two are not the same; type it twice")
        return chosen

    def ticked(self, name: str) -> bool:
        """Whether a box is ticked."""
        return bool(self.text(name))

    def files(self, name: str) -> list[UploadFile]:
        """The files that were chosen under that name."""
        found = (each for each in self._data.getlist(name) if isinstance(each, UploadFile))
        return [each for each in found if each.filename]

    def __contains__(self, name: object) -> bool:
        return name in self._data

    def __iter__(self) -> Iterator[str]:
        return iter(self._data.keys())

    def plain(self, sealed: Iterable[str] = ()) -> dict[str, str]:
        """What may be shown again after a mistake: everything but files and what is ``sealed``."""
        hidden = {"csrf", *sealed}
        return {
            name: value.replace("\r\n", "\n")
            for name, value in self._data.items()
            if isinstance(value, str) and name not in hidden
        }


async def read_form(request: Request) -> Form:
    """The form of a request.  Raises WrongUse for one that is too big or not well formed."""
    try:
        data = await request.form(
            max_fields=_MOST_FIELDS, max_files=_MOST_FILES, max_part_size=_LONGEST
        )
    except ClientDisconnect:
        raise WrongUse("The form did not arrive whole.") from None
    except Exception as error:  # starlette raises its own HTTPException for a form that is not one
        if getattr(error, "status_code", None) == 400:
            raise WrongUse("The form could not be read: it is too big or broken.") from None
        raise
    if len(data.multi_items()) > _MOST_FIELDS:
        raise InvalidValue("", "the form has too many fields")
    return Form(data)

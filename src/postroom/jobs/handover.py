"""How the fields of credentials reach a program, declared once; apart, because ``exec`` wants only this."""

from __future__ import annotations

import re
from typing import Final, Literal, Self

from pydantic import model_validator

from postroom.fields import Fields, field

__all__ = ["HandOver"]

_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class HandOver(Fields):
    """How the fields of its credentials reach a program; never as words of its command line."""

    by: Literal["descriptor", "files", "environment"] = field(
        "descriptor",
        label="By",
        help="descriptor: JSON, from the file descriptor that POSTROOM_FD names. files: in the "
        "directory POSTROOM_DIRECTORY, CREDENTIAL/FIELD each. environment: as said beside it.",
    )
    environment: dict[str, str] = field(
        default_factory=dict, label="Environment", help="VARIABLE: credential.field"
    )

    @model_validator(mode="after")
    def _names_it(self) -> Self:
        if (self.by == "environment") != bool(self.environment):
            raise ValueError("environment: goes with by: environment, as {VARIABLE: crm.password}")
        for name, value in self.environment.items():
            if not _VARIABLE.fullmatch(name):
                raise ValueError(f"environment: {name} is not the name of a variable")
            if "." not in value:
                raise ValueError(f"environment: {name}: give credential.field")
        return self

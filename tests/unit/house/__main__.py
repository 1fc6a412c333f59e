"""Print the gauges: ``make gauges``."""

from __future__ import annotations

from tests.unit.house.gauges import figures
from tests.unit.house.tree import modules

if __name__ == "__main__":
    found = figures(modules())
    print(found.table())
    print(found.summary())

"""Package faces whose names are loaded at first use (PEP 562)."""

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

GetAttribute = Callable[[str], Any]
ListNames = Callable[[], list[str]]


def lazy_face(package: str, homes: Mapping[str, Sequence[str]]) -> tuple[GetAttribute, ListNames]:
    """Return the ``__getattr__`` and ``__dir__`` of a package that loads its modules at first use.

    PyTorch and scikit-learn take seconds to load, so what only checks a study must not load the
    modules that train one.

    Args:
        package: its ``__name__``.
        homes: the names that each module gives, by its name below the package, or by its full name.
    """
    home = {
        name: module if "." in module else f"{package}.{module}"
        for module, names in homes.items()
        for name in names
    }

    def get(name: str) -> Any:
        if name not in home:
            raise AttributeError(f"module '{package}' has no attribute '{name}'")
        value = getattr(import_module(home[name]), name)
        setattr(sys.modules[package], name, value)  # found at once from now on
        return value

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *home})

    return get, names

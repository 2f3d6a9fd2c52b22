"""Code of the user's own, named in a study file, is imported only where the user has said so.

A study file, or a model that was handed over, may name ``module:package.attribute``. It is imported
when its package is trusted: by ``labelweave --trust package``, by `trust_packages` in Python, or by
the environment variable ``LABELWEAVE_TRUST`` (packages with commas), which the processes of a study
inherit.
"""

import importlib
import os
from typing import Any

from labelweave.errors import LabelweaveError, listing, nearest

VARIABLE = "LABELWEAVE_TRUST"
MODULE = "module:"


def trust_packages(*packages: str) -> None:
    """Allow names of these packages in study files and models, in this process and its children.

    >>> trust_packages("my_package")  # now 'module:my_package.Encoder' may stand in a study file
    """
    os.environ[VARIABLE] = ",".join(dict.fromkeys([*_trusted(), *packages]))


def trusted_attribute(name: str) -> Any:
    """Return what ``module:package.attribute`` names.

    Raises:
        LabelweaveError: its package is not trusted, or there is no such module or attribute.
    """
    path = name.removeprefix(MODULE)
    module, _, attribute = path.rpartition(".")
    if not module:
        raise LabelweaveError(f"'{name}': expected '{MODULE}package.attribute'")
    package = module.partition(".")[0]
    if package not in _trusted():
        raise LabelweaveError(
            f"'{name}' is code of the package '{package}', which is not trusted: "
            f"labelweave --trust {package} ..., or labelweave.trust_packages('{package}') in Python"
        )
    try:
        found = importlib.import_module(module)
    except ImportError as error:
        raise LabelweaveError(f"'{name}': cannot be imported ({error})") from None
    if not hasattr(found, attribute):
        names = [each for each in vars(found) if not each.startswith("_")]
        raise LabelweaveError(
            f"'{name}': module '{module}' has no '{attribute}', found {listing(names)}"
            f"{nearest(attribute, names)}"
        )
    return getattr(found, attribute)


def _trusted() -> list[str]:
    return [name for name in os.environ.get(VARIABLE, "").split(",") if name]

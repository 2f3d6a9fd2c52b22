"""The database of a search: one SQLite file, which several processes may use at once."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from labelweave.errors import LabelweaveError

if TYPE_CHECKING:
    import optuna

NAME = "trials.db"
WAIT = 120  # seconds for another process that is writing


def opened(
    folder: Path,
    name: str,
    sampler: "optuna.samplers.BaseSampler | None" = None,
    pruner: "optuna.pruners.BasePruner | None" = None,
) -> "optuna.Study":
    """Return the search of that name in a folder's database, made where there is none.

    Raises:
        LabelweaveError: the package optuna is missing, or the file is no database of searches.
    """
    try:
        import optuna
        from sqlalchemy.exc import DatabaseError
    except ImportError:
        raise LabelweaveError(
            "tuning needs the package optuna, which is not installed; "
            "install it with: pip install 'labelweave[tune]'"
        ) from None

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    path = folder / NAME
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            storage = optuna.storages.RDBStorage(
                f"sqlite:///{path}", engine_kwargs={"connect_args": {"timeout": WAIT}}
            )
            return optuna.create_study(
                storage=storage, study_name=name, sampler=sampler, pruner=pruner,
                direction="maximize", load_if_exists=True,
            )  # fmt: skip
    except (DatabaseError, RuntimeError) as error:
        reason = str(error.__cause__ or error).strip().splitlines()[0]
        raise LabelweaveError(
            f"{path}: cannot be used as a database of trials ({reason}); remove it to start anew"
        ) from None

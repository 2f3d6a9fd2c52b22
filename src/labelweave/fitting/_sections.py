"""Sections of settings: the network, class priors, relatedness, teachers, the split."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from labelweave._validation import Section, stated
from labelweave.errors import LabelweaveError
from labelweave.networks._backbone_options import MOST_LAYERS, Pooling, Width
from labelweave.networks._backbones import backbone_options, check_name, family_of
from labelweave.networks._model_folders import PREFIX, located
from labelweave.relations._relate import Origin

ANY = {"backbone", "norm", "frozen", "trunks"}  # keys that every backbone has


class NetworkSection(Section):
    """The shared backbone.

    Attributes:
        backbone: ``mlp``, ``linear``, or ``cnn`` for small images; ``hf:NAME`` for a model of
            Hugging Face transformers: a folder with its weights, or an architecture with random
            ones, such as ``hf:vit``; ``timm:NAME``; or your own code as
            ``module:package.attribute``.
        hidden: sizes of the hidden layers of an mlp, or of the layers after a cnn's convolutions.
        dropout: share of hidden units dropped in training.
        shape: for a cnn on images given as columns: channels, height and width, for example ``[1,
            28, 28]``; the columns go channel by channel, row by row. Use ``inputs: {scale:
            together}`` with it.
        channels: channels of a cnn's convolutions, each of which halves height and width.
        config: settings of an architecture with random weights, such as ``{num_hidden_layers: 4}``;
            options of timm or of your code.
        pooling: for ``hf:``, how states become features: their ``mean``, or the ``first``. Default:
            the first if it represents the image, else the mean.
        weights: for ``timm:``, a safetensors file, relative to the study file.
        download: download an ``hf:`` model that is not a local folder. No other setting contacts
            the hub.
        norm: ``group`` replaces batch normalisation, whose statistics depend on the mix of sources,
            with group normalisation.
        frozen: the backbone keeps its weights, and only the heads are trained.
        trunks: of a network of several tasks: ``shared`` = all read one backbone; ``own`` = each
            task has one that no other task reads; ``auto`` = a task has its own where held-out
            training rows say that sharing harms it (`labelweave.fitting.choose_trunks`), and one
            from ``hf:``, ``timm:`` or ``module:`` is shared.
    """

    backbone: str = "mlp"
    hidden: list[Width] = Field(default=[256, 256], min_length=1, max_length=MOST_LAYERS)
    dropout: float = Field(default=0.2, ge=0, lt=1)
    shape: list[Width] | None = Field(default=None, min_length=3, max_length=3)
    channels: list[Width] = Field(default=[16, 32], min_length=1, max_length=MOST_LAYERS)
    config: dict[str, Any] = Field(default={})
    pooling: Pooling | None = None
    weights: str | None = None
    download: bool = False
    norm: Literal["batch", "group"] = "batch"
    frozen: bool = False
    trunks: Literal["shared", "own", "auto"] = "shared"

    @field_validator("backbone")
    @classmethod
    def _known(cls, name: str) -> str:
        return check_name(name)

    @model_validator(mode="after")
    def _keys_fit(self) -> Self:
        if family_of(self.backbone) is None:
            known = {"hidden", "dropout", "shape", "channels"}
        else:
            known = {*backbone_options(self.backbone)}
        known |= ANY | ({"download"} if self.backbone.startswith(PREFIX) else set())
        if self.trunks == "own" and (self.frozen or self.backbone == "linear"):
            what = "a frozen backbone" if self.frozen else "the backbone 'linear'"
            raise ValueError(f"{what} has nothing to train, found 'trunks: own'")
        for name in sorted(self.model_fields_set - known):
            if getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"the backbone '{self.backbone}' has no key '{name}'")
        return self

    @property
    def takes_images(self) -> bool:
        """Whether the backbone takes images; one of the user's own may."""
        return self.backbone == "cnn" or family_of(self.backbone) is not None

    def options(self) -> dict[str, Any]:
        """Return the backbone's options, as `labelweave.networks.backbone` takes them."""
        own = [name for name in backbone_options(self.backbone) if hasattr(self, name)]
        given = {name: getattr(self, name) for name in own}
        given = {name: value for name, value in given.items() if value not in (None, {})}
        changed = {"norm": "batch", "frozen": False}
        return given | {k: v for k in changed if (v := getattr(self, k)) != changed[k]}

    @property
    def chooses_trunks(self) -> bool:
        """Whether the training rows are to say which tasks share a trunk."""
        trained = not self.frozen and self.backbone != "linear"
        return self.trunks == "auto" and trained and family_of(self.backbone) is None

    def located(self, folder: Path) -> Self:
        """Return the section with files by their absolute paths, and what is to be fetched here.

        Raises:
            LabelweaveError: there is no such model.
        """
        changes: dict[str, Any] = {}
        if self.weights is not None:
            changes["weights"] = str((folder / self.weights).absolute())
        if self.backbone.startswith(PREFIX):
            source = self.backbone.removeprefix(PREFIX)
            try:
                found = located(source, folder, download=self.download)
            except LabelweaveError as error:
                raise LabelweaveError(f"key 'network.backbone': {error}") from None
            changes["backbone"] = PREFIX + found
        return self.model_copy(update=changes)


class LabelShiftSection(Section):
    """Class priors that differ between sources, and between training and prediction.

    Attributes:
        training: ``adjust`` = every source has its own class priors, estimated from its labels or
            through the relations, and all losses of a row use the prior of its source; ``none`` =
            one prior for all sources.
        prediction: the class prior that predictions assume: ``training`` (the shares among the
            labelled training rows), ``population`` (among all of them, as far as relations allow),
            ``uniform``, ``rows`` (estimated by EM on the rows predicted), or per task each class
            with its share.
    """

    training: Literal["none", "adjust"] = "none"
    prediction: Literal["training", "population", "uniform", "rows"] | dict[str, Any] = "training"


def _more_than_one(folds: int) -> int:
    if folds == 1:
        raise ValueError("found 1, expected 0 or at least 2 folds")
    return folds


Folds = Annotated[int, Field(ge=0, le=100), AfterValidator(_more_than_one)]


class RelatednessSection(Section):
    """How relations are checked and estimated.

    Attributes:
        from: the evidence for the relations of coupled methods that do not set it: all (the
            expert's tables, corrected by the data), knowledge, annotations, predictions, or given:
            the tables as they are, unchecked. Except with given, only relations that hold on
            held-out rows couple tasks.
        strength: number of pseudo-rows that a row of an expert's table counts as.
        folds: without validation rows, train the uncoupled network this many times more, each time
            without a part of the rows (and as many passes over the others), to measure how reliable
            its predictions are and how much each task can learn from the others. 0 = do not;
            couplings then fade with the number of labels.
    """

    origin: Origin | Literal["given"] = Field(default="all", alias="from")
    strength: float = Field(default=5.0, gt=0, le=1e9)
    folds: Folds = 2


class TeachersSection(Section):
    """How single-task networks are calibrated before they teach a method that distils.

    Attributes:
        folds: without validation rows, train them this many times more, each time without a part of
            the rows, to find the temperature that calibrates their probabilities; 0 = use the
            probabilities as they are.
    """

    folds: Folds = 0


def _share_or_rows(value: float | int) -> float | int:
    if not 0 <= value <= MOST_ROWS or (isinstance(value, float) and value >= 1):
        raise ValueError(f"found {value}, expected a share below 1 or a whole number of rows")
    return value


MOST_ROWS = 10**9
Size = Annotated[
    Annotated[float, stated(0, 1)] | Annotated[int, stated(0, MOST_ROWS)],
    AfterValidator(_share_or_rows),
]


class SplitSection(Section):
    """How rows are divided: shares below 1, or numbers of rows.

    Attributes:
        test: rows to prove the result on; used once. Default: .2, or 0 where a source is the test.
        validation: rows for early stopping, thresholds and temperatures; 0 = train a fixed number
            of steps.
        folds: repeated cross-validation instead of `test`: this many parts of whole groups, each of
            which is the test of one seed in turn. As many seeds as folds test every row once.
        on_leak: what to do if both sides have identical inputs.
    """

    test: Size | None = None
    validation: Size = 0
    folds: int | None = Field(default=None, ge=2, le=100)
    on_leak: Literal["warn", "error"] = "warn"

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.folds is not None and self.test is not None:
            raise ValueError("found 'test' with 'folds', expected one of them")
        return self


LARGEST_SEED = 2**32 - 1  # scikit-learn's trees take no larger one

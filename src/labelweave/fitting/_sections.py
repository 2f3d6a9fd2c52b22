"""A part of a configuration."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from labelweave.errors import LabelweaveError
from labelweave.networks import backbone_options, check_name, family_of
from labelweave.networks._model_folders import PREFIX, located
from labelweave.networks._pretrained import Pooling


class Section(BaseModel):
    """A part of the study file; keys that it does not know are errors."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, serialize_by_alias=True
    )


ANY = {"backbone", "norm", "frozen"}  # keys that every backbone has


class NetworkSection(Section):
    """The shared backbone.

    Attributes:
        backbone: ``mlp``, ``linear``, or ``cnn`` for small images; ``hf:NAME`` for a model of
            Hugging Face transformers: a folder with its weights, or an architecture with random
            ones, such as ``hf:vit``; ``timm:NAME``; or code of your own as
            ``module:package.attribute``.
        hidden: sizes of the hidden layers of an mlp, or of those after a cnn's convolutions.
        dropout: share of hidden units dropped in training.
        shape: of a cnn's images that are given as columns: channels, height and width, for example
            ``[1, 28, 28]``; the columns go channel by channel, row by row. Such columns want
            ``inputs: {scale: together}``.
        channels: channels of a cnn's convolutions, each of which halves height and width.
        config: settings of an architecture with random weights, such as ``{num_hidden_layers: 4}``;
            options of timm or of your own code.
        pooling: of ``hf:``: how states become features: their ``mean``, or the ``first``. Default:
            the first where it stands for an image, else the mean.
        weights: of ``timm:``: a safetensors file, relative to the study file.
        download: fetch an ``hf:`` model that is no folder here from the hub; nothing else asks it.
        norm: ``group`` puts group in the place of batch normalisation, whose statistics are those
            of a mix of sources.
        frozen: the backbone keeps its weights, and only the heads are trained.
    """

    backbone: str = "mlp"
    hidden: list[Annotated[int, Field(ge=1)]] = Field(default=[256, 256], min_length=1)
    dropout: float = Field(default=0.2, ge=0, lt=1)
    shape: list[Annotated[int, Field(ge=1)]] | None = Field(
        default=None, min_length=3, max_length=3
    )
    channels: list[Annotated[int, Field(ge=1)]] = Field(default=[16, 32], min_length=1)
    config: dict[str, Any] = Field(default={})
    pooling: Pooling | None = None
    weights: str | None = None
    download: bool = False
    norm: Literal["batch", "group"] = "batch"
    frozen: bool = False

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
        training: ``adjust`` = every source has class priors of its own, known from its labels or
            through the relations, and all losses of a row see its source's; ``none`` = one for all.
        prediction: the class prior that predictions assume: ``training`` (the shares among the
            labelled training rows), ``population`` (among all of them, as far as relations tell),
            ``uniform``, ``rows`` (estimated by EM on the rows predicted), or per task each class
            with its share.
    """

    training: Literal["none", "adjust"] = "none"
    prediction: Literal["training", "population", "uniform", "rows"] | dict[str, Any] = "training"

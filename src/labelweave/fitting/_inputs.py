"""The section of a study file that says how columns become inputs."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from labelweave._validation import Section
from labelweave.data import ImageFormat
from labelweave.data._frozen_encoders import (
    IMAGE_ENCODERS,
    TEXT_ENCODERS,
    check_encoder,
    image_encoder,
    text_encoder,
)
from labelweave.data._image_files import Mode, Resizing
from labelweave.data._media_columns import (
    EncodedImageColumn,
    ImageColumn,
    MediaColumn,
    TextColumn,
    TokenColumn,
    token_column,
)
from labelweave.data._table_encoder import Scale
from labelweave.errors import LabelweaveError
from labelweave.fitting._sections import NetworkSection
from labelweave.networks._model_folders import PREFIX, architectures, located
from labelweave.tables import Roles
from labelweave.tables._dates import Part as DatePart
from labelweave.training import TrainingConfig

Pixels = Annotated[int, Field(ge=1, le=4096)]


class ImageSection(Section):
    """Images: where their paths are, and what they become.

    Attributes:
        column: the column with the paths, relative to the table's folder. For a folder of images,
            the name of the column that its paths become.
        encoder: a frozen encoder whose features are the inputs: ``efficientnet-lite0``, or your own
            code as ``module:package.attribute``; default: none, the images are the inputs.
        size: pixels, or ``[height, width]``; default: the encoder's size, or 224.
        mode: ``rgb`` or ``grey``; default: the encoder's mode, or ``rgb``.
        fit: how images of other proportions are fitted: ``stretch``; ``crop`` = cut to the middle;
            ``pad`` = add black borders. Default: the encoder's way, or ``stretch``.
        on_error: ``error`` = stop at a file that is not an image; ``skip`` = leave such rows out
            and name the files.
    """

    column: str = Field(default="image", min_length=1)
    encoder: str | None = None
    size: Pixels | Annotated[list[Pixels], Field(min_length=2, max_length=2)] | None = None
    mode: Mode | None = None
    fit: Resizing | None = None
    on_error: Literal["error", "skip"] = "error"

    @field_validator("encoder")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        return name if name is None else check_encoder(name, list(IMAGE_ENCODERS))

    def media(self) -> MediaColumn:
        """Return the column, as it is read.

        Raises:
            LabelweaveError: the encoder is not there, or wants images of another mode.
        """
        encoder = None if self.encoder is None else image_encoder(self.encoder)
        form = ImageFormat() if encoder is None else encoder.form
        if encoder is not None and self.mode not in (None, form.mode):
            raise LabelweaveError(
                f"key 'inputs.image.mode': found '{self.mode}', expected '{form.mode}', which the "
                f"encoder '{self.encoder}' wants"
            )
        height, width = self._size(form)
        form = ImageFormat(height, width, self.mode or form.mode, self.fit or form.fit)
        if self.encoder is None or encoder is None:
            return ImageColumn(self.column, form)
        return EncodedImageColumn(self.column, form, self.encoder, encoder.name, encoder.width)

    def _size(self, form: ImageFormat) -> tuple[int, int]:
        if self.size is None:
            return form.height, form.width
        height, width = (self.size, self.size) if isinstance(self.size, int) else self.size
        return height, width


class TextSection(Section):
    """Texts: where they are, and what they become.

    Attributes:
        column: the column with the texts; a missing one is empty.
        encoder: the frozen encoder whose features are the inputs: ``minilm``, or your own code as
            ``module:package.attribute``. Default: ``minilm``, unless the network reads tokens.
        tokenizer: texts go to the network as tokens: the folder of a model with its tokenizer, or
            ``minilm``. Default: the tokenizer in the folder of an ``hf:`` backbone.
        length: tokens a text; longer ones are cut, shorter ones padded.
    """

    column: str = Field(default="text", min_length=1)
    encoder: str | None = None
    tokenizer: str | None = None
    length: int = Field(default=128, ge=2, le=8192)

    @field_validator("encoder")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        return name if name is None else check_encoder(name, list(TEXT_ENCODERS))

    @model_validator(mode="after")
    def _one_reader(self) -> Self:
        if self.encoder is not None and self.tokenizer is not None:
            raise ValueError("found both 'encoder' and 'tokenizer', expected one of them")
        return self

    def located(self, folder: Path, tokenizer: str | None, *, download: bool) -> Self:
        """Return the section with the tokenizer's folder by its absolute path.

        Args:
            folder: what paths are relative to.
            tokenizer: the one to take where the section does not say.
            download: see `NetworkSection`.

        Raises:
            LabelweaveError: there is no such folder.
        """
        if self.encoder is not None or (self.tokenizer or tokenizer) is None:
            return self
        name = (self.tokenizer or str(tokenizer)).removeprefix(PREFIX)
        try:
            found = located(name, folder, download=download)
        except LabelweaveError as error:
            raise LabelweaveError(f"key 'inputs.text.tokenizer': {error}") from None
        if found in architectures():
            raise LabelweaveError(
                f"key 'inputs.text.tokenizer': found the architecture '{name}', expected the "
                "folder of a model, or 'minilm'"
            )
        return self.model_copy(update={"tokenizer": found})

    def media(self) -> MediaColumn:
        """Return the column, as it is read.

        Raises:
            LabelweaveError: there is no encoder, or no tokenizer.
        """
        if self.tokenizer is not None:
            return _tokens(self.column, self.tokenizer, self.length)
        name = self.encoder or "minilm"
        encoder = text_encoder(name)
        return TextColumn(self.column, name, encoder.name, encoder.width)


@lru_cache(maxsize=4)
def _tokens(column: str, folder: str, length: int) -> TokenColumn:
    # asked for by every split
    return token_column(column, Path(folder), length)


class InputsSection(Section):
    """How columns become inputs.

    Attributes:
        image: the column with the paths of images, and what they become.
        text: the column with texts, and what they become.
        categorical: numeric columns that are categories.
        dates: numbers to make of dates, by column: ``elapsed`` (days since the first training
            date), ``month``, ``weekday``, ``hour``. Other columns with dates are no inputs.
        hashed: columns whose categories stand in a model's files as hashes and not as texts, for
            example customer numbers; they are inputs whatever they look like. A hash hides a text
            from whoever opens the file, not from whoever guesses it.
        clip: standardised values beyond this many standard deviations are cut.
        max_categories: rarer categories of a column share the "unknown" input.
        scale: ``each`` numeric column has its own mean and deviation; or ``together``: all columns
            share one, for the pixels of an image, and constant columns are kept.
        cache: folder for what is read from images and texts, relative to the study file; may be
            removed at any time. Default: ``<output>/cache``.
    """

    image: ImageSection | None = None
    text: TextSection | None = None
    categorical: list[str] = Field(default=[])
    dates: dict[str, Annotated[list[DatePart], Field(min_length=1)]] = Field(default={})
    hashed: list[str] = Field(default=[])
    clip: float = Field(default=10.0, gt=0, le=1e6)
    max_categories: int = Field(default=50, ge=1, le=100_000)
    scale: Scale = "each"
    cache: str | None = None

    def media(self) -> list[MediaColumn]:
        """Return the columns whose values stand for something to be read."""
        return [section.media() for section in (self.image, self.text) if section]

    def roles(self, labels: Mapping[str, str] | None = None) -> Roles:
        """Return what is known of columns, for their schema.

        Args:
            labels: by label column its task.
        """
        return Roles(
            labels or {},
            categorical=self.categorical,
            hashed=self.hashed,
            text=[] if self.text is None else [self.text.column],
            image=[] if self.image is None else [self.image.column],
            dates={name: tuple(parts) for name, parts in self.dates.items()},
        )

    @property
    def skip(self) -> bool:
        """Whether rows that cannot be read are left out."""
        return self.image is not None and self.image.on_error == "skip"

    @property
    def pixels(self) -> bool:
        """Whether images go to the network as they are."""
        return self.image is not None and self.image.encoder is None

    @property
    def tokens(self) -> bool:
        """Whether texts go to the network as tokens."""
        return self.text is not None and self.text.tokenizer is not None


COLUMNS_ONLY = ("linear", "mlp")  # backbones


def check_network(network: NetworkSection, inputs: InputsSection, training: TrainingConfig) -> None:
    """Check the section ``network`` of a study file against its inputs.

    Args:
        network: the backbone.
        inputs: decides whether it gets columns, images or tokens.
        training: may augment images.

    Raises:
        ValueError: they do not fit; names the key.
    """
    name, pixels = network.backbone, inputs.pixels
    if pixels and name in COLUMNS_ONLY:
        raise ValueError(
            f"key 'network': the backbone '{name}' takes columns, found images; expected 'cnn'"
        )
    if inputs.tokens and name in (*COLUMNS_ONLY, "cnn"):
        raise ValueError(
            f"key 'network': the backbone '{name}' takes no tokens of texts, expected 'hf:...'"
        )
    if training.augment is not None and not pixels:
        raise ValueError(
            "key 'training.augment': changes images that go to the network, found none"
        )
    if not pixels and (name == "cnn") != (network.shape is not None):
        found = "none" if network.shape is None else f"it for '{name}'"
        raise ValueError(
            f"key 'network': the backbone 'cnn', and it alone, needs 'shape'; found {found}"
        )
    if pixels and network.shape is not None:
        raise ValueError("key 'network.shape': images bring their own, see 'inputs.image.size'")

"""The section of a study file that says how columns become inputs."""

from typing import Annotated, Literal

from pydantic import Field

from labelweave.data import ImageColumn, ImageFormat, MediaColumn, Scale
from labelweave.data.image_files import Fit, Mode
from labelweave.study.sections import Section

Pixels = Annotated[int, Field(ge=1, le=4096)]


class ImageSection(Section):
    """Images: where their paths are, and what they become.

    Attributes:
        column: the column with the paths, relative to the table's folder. Of a folder of images,
            what its paths are called.
        size: pixels, or ``[height, width]``.
        mode: ``rgb`` or ``grey``.
        fit: how images of other proportions get there: ``stretch``; ``crop`` = cut what stands
            over, from the middle; ``pad`` = black around.
        on_error: ``error`` = stop at a file that is no image; ``skip`` = leave such rows out, and
            name the files.
    """

    column: str = Field(default="image", min_length=1)
    size: Pixels | Annotated[list[Pixels], Field(min_length=2, max_length=2)] = 224
    mode: Mode = "rgb"
    fit: Fit = "stretch"
    on_error: Literal["error", "skip"] = "error"

    def media(self) -> MediaColumn:
        """Return the column, as it is read."""
        height, width = (self.size, self.size) if isinstance(self.size, int) else self.size
        return ImageColumn(self.column, ImageFormat(height, width, self.mode, self.fit))


class InputsSection(Section):
    """How columns become inputs.

    Attributes:
        image: the column with the paths of images, and what they become.
        categorical: numeric columns that are categories.
        clip: standardised values beyond this many standard deviations are cut.
        max_categories: rarer categories of a column share the "unknown" input.
        scale: ``each`` numeric column has a mean and deviation of its own; or all of them
            ``together`` have one, as the pixels of an image, and constant columns are kept.
        cache: folder for what is read from images, relative to the study file; may be removed
            at any time. Default: ``<output>/cache``.
    """

    image: ImageSection | None = None
    categorical: list[str] = Field(default=[])
    clip: float = Field(default=10.0, gt=0)
    max_categories: int = Field(default=50, ge=1)
    scale: Scale = "each"
    cache: str | None = None

    def media(self) -> list[MediaColumn]:
        """Return the columns whose values stand for something to be read."""
        return [self.image.media()] if self.image else []

    @property
    def skip(self) -> bool:
        """Whether rows that cannot be read are left out."""
        return self.image is not None and self.image.on_error == "skip"

    @property
    def pixels(self) -> bool:
        """Whether images go to the network as they are."""
        return self.image is not None

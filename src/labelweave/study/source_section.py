"""The section of a study file that says where rows come from."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from labelweave.cases.readers import find_reader
from labelweave.study.section import Section
from labelweave.study.sections import MISSING

OF_TABLES = ("folders", "inputs", "exclude", "group", "missing")


class SourceSection(Section):
    """A table, a folder of images, or a published data set, with labels of some tasks.

    Attributes:
        name: the source's name; default: the file's name without its ending, or the data set's.
        path: CSV, TSV or Parquet file, or a folder of images, relative to the study file.
        case: instead of ``path``, a published data set by name, for example ``raf-db``
            (`labelweave case --list` shows all). Its images, labels, groups and official parts
            are read from its official files where they lie.
        root: of a published data set: the folder of its files, relative to the study file.
        options: of a published data set: its reader's options, by name.
        rows: of a published data set: use this many rows of the training part, evenly spread.
        folders: of a folder of images: the column that the names of its folders become, mostly a
            task; or several, from the outermost folder. The paths become the column that
            ``inputs: {image: ...}`` names.
        inputs: input columns, or ``rest``: all that are no label, group or excluded column.
        exclude: columns that are no inputs, such as identifiers.
        group: column of the person, plant or batch whose rows must stay on one side of a split.
        tasks: tasks whose labels are taken from this table; default: all that have a column here.
        split: put all rows on one side, for example an official test set; of a published data set
            instead of its own parts.
        missing: texts that mean "no value".
    """

    path: str | None = None
    name: str | None = None
    case: str | None = None
    root: str | None = None
    options: dict[str, Any] = Field(default={})
    rows: int | None = Field(default=None, ge=1)
    folders: str | list[str] | None = None
    inputs: Literal["rest"] | list[str] = "rest"
    exclude: list[str] = Field(default=[])
    group: str | None = None
    tasks: list[str] | None = None
    split: Literal["train", "validation", "test"] | None = None
    missing: list[str] = Field(default=list(MISSING))

    @model_validator(mode="after")
    def _of_one_kind(self) -> Self:
        fields = type(self).model_fields.items()
        given = {name for name, field in fields if getattr(self, name) != field.default}
        if self.case is None:
            if self.path is None:
                raise ValueError("found neither 'path' nor 'case', expected one of them")
            for name in ("root", "options", "rows"):
                if name in given:
                    raise ValueError(f"found '{name}' without 'case', which it belongs to")
            return self
        if self.path is not None:
            raise ValueError("found both 'path' and 'case', expected one of them")
        for name in OF_TABLES:
            if name in given:
                raise ValueError(f"a published data set has no '{name}', which its reader decides")
        reader = find_reader(self.case)
        if self.root is None:
            raise ValueError(f"'case: {self.case}' needs 'root', the folder of its files")
        reader.check_options(self.options)
        return self

    @property
    def called(self) -> str:
        """The source's name, given or taken from its file or data set."""
        return self.name or self.case or Path(self.path or "").stem

    @property
    def place(self) -> str:
        """What errors call the source."""
        return self.path or f"{self.case} in {self.root}"

    @property
    def levels(self) -> list[str]:
        """The columns that the names of folders become."""
        return [self.folders] if isinstance(self.folders, str) else self.folders or []


def _distinct(sources: list[SourceSection]) -> list[SourceSection]:
    names = [source.called for source in sources]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two sources are called '{name}'; give each a 'name' of its own")
    return sources


Sources = Annotated[list[SourceSection], AfterValidator(_distinct)]

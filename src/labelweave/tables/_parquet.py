"""A Parquet file that stays where it is: a few of its row groups are read at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from labelweave._files import check_regular
from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.tables._addresses import is_address, open_address
from labelweave.tables._options import ReadOptions
from labelweave.tables._reading import arrow_table
from labelweave.tables._table import Table

LARGEST_GROUP = 2**30  # bytes of a row group, unpacked


class ParquetTable:
    """A Parquet file of any number of rows; opening reads its metadata only.

    Args:
        path: a file, or an address of fsspec: ``s3://``, ``gs://`` or ``memory://``. Nothing else
            contacts another machine.
        read: what means missing.

    Attributes:
        place: what errors call it.
        columns: the names of its columns.
        group_rows: the rows of each row group, (G,).

    Raises:
        LabelweaveError: no such file, another protocol, no Parquet file, no rows, or a row group of
            more than a gigabyte.
    """

    def __init__(self, path: str | Path, read: ReadOptions | None = None) -> None:
        self.place, self.read = str(path), read or ReadOptions()
        self.file = _opened(self.place)
        found = self.file.metadata
        unnamed = "__index_level_"  # pandas writes a column for an index that only counts
        self.columns = [n for n in self.file.schema_arrow.names if not n.startswith(unnamed)]
        groups = [found.row_group(i) for i in range(found.num_row_groups)]
        self.group_rows: NDArray[np.int64] = np.array([g.num_rows for g in groups], np.int64)
        if not len(self):
            raise LabelweaveError(f"{self.place}: found no data rows, expected at least one")
        largest = max(group.total_byte_size for group in groups)
        if largest > LARGEST_GROUP:
            raise LabelweaveError(
                f"{self.place}: found a row group of {largest:,} bytes, expected at most "
                f"{LARGEST_GROUP:,}: write the file with row groups of about 100,000 rows"
            )

    def __len__(self) -> int:
        return int(self.group_rows.sum())

    def groups(self, numbers: Sequence[int], columns: Sequence[str] | None = None) -> Table:
        """Return the rows of some row groups, in this order.

        Args:
            numbers: of the row groups, from 0.
            columns: which columns; None = all.

        Raises:
            LabelweaveError: no such column, one of several values a row, or a damaged file.
        """
        names = self.columns if columns is None else list(columns)
        for name in names:
            if name not in self.columns:
                raise LabelweaveError(
                    f"{self.place}: no column '{name}', found {listing(self.columns)}"
                    f"{nearest(name, self.columns)}"
                )
        try:
            table = self.file.read_row_groups(list(map(int, numbers)), columns=names)
        except (pa.ArrowException, OSError) as error:
            reason = str(error).strip().splitlines()[0]
            raise LabelweaveError(f"{self.place}: cannot be read: {reason}") from None
        return arrow_table(self.place, self.read, table.select(names))

    def parts(self, rows: int, columns: Sequence[str] | None = None) -> Iterator[Table]:
        """Give all rows, in order, as tables of whole row groups and about `rows` rows."""
        waiting: list[int] = []
        for number, count in enumerate(self.group_rows):
            if waiting and self.group_rows[waiting].sum() + count > rows:
                yield self.groups(waiting, columns)
                waiting = []
            waiting.append(number)
        yield self.groups(waiting, columns)

    def exact_parts(self, rows: int) -> Iterator[Table]:
        """Give all rows, in order, as tables of `rows` rows, the last one of what is left."""
        held: pa.Table | None = None
        for part in self.parts(rows):
            held = part.cells if held is None else pa.concat_tables([held, part.cells])
            while held.num_rows >= rows:
                yield replace(part, cells=held.slice(0, rows))
                held = held.slice(rows)
        if held is not None and held.num_rows:
            yield replace(part, cells=held)

    def whole_numbers_with_gaps(self) -> list[str]:
        """Return the columns of whole numbers with missing values, by the file's own counts."""
        found = self.file.metadata
        gaps: set[str] = set()
        for group in map(found.row_group, range(found.num_row_groups)):
            for chunk in map(group.column, range(group.num_columns)):
                counts = chunk.statistics
                if counts is not None and counts.has_null_count and counts.null_count:
                    gaps.add(chunk.path_in_schema)
        types = self.file.schema_arrow
        return [n for n in self.columns if n in gaps and pa.types.is_integer(types.field(n).type)]


def _opened(place: str) -> Any:
    try:
        if is_address(place):
            return pq.ParquetFile(open_address(place))
        check_regular(Path(place), None)
        return pq.ParquetFile(place)
    except FileNotFoundError:
        raise LabelweaveError(f"{place}: no such file") from None
    except pa.ArrowException:
        raise LabelweaveError(f"{place}: not a readable Parquet file") from None
    except OSError as error:
        raise LabelweaveError(f"{place}: cannot be read: {error.strerror or error}") from None

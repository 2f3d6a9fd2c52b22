"""CSV and TSV files: encoding, separator, header and quotes, found from the file itself."""

import codecs
import csv
import gzip
import io
import os
import re
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from tempfile import mkstemp
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from labelweave._files import LARGEST as LARGEST_HANDWRITTEN
from labelweave._files import unwritable
from labelweave._messages import Message, Text, some
from labelweave.errors import LabelweaveError, listing
from labelweave.tables._numbers import holds
from labelweave.tables._options import ReadOptions
from labelweave.tables._table import Table, check_columns, with_first

HEAD = 1 << 18  # bytes that decide on encoding and separator
LARGEST = 1 << 36  # bytes of a file once unpacked; what claims more is an archive bomb
LONGEST = 1 << 24  # characters of one cell
SEPARATORS = ",;\t|"
# those that charset-normalizer chooses from, the more frequent first
ENCODINGS = ["cp932", "cp1252", "cp1250", "cp1251", "euc_jp", "gb18030", "euc_kr", "big5"]
JAPANESE = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff\uff66-\uff9f]{2}|[\u3040-\u30ff\u4e00-\u9fff]")
MARKS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
NAMES = {"\t": "tab"}
FORMULA_MARK = r"^'+[=+\-@\t\r]"


@contextmanager
def opened(path: Path, sheet: str | int | None = None) -> Iterator[IO[bytes]]:
    """Open a file for reading, packed by gzip or zip where its name ends so.

    Raises:
        LabelweaveError: a damaged archive, or one of several files where none is chosen.
    """
    try:
        if path.suffix.lower() == ".gz":
            with gzip.open(path) as packed:
                yield packed  # type: ignore[misc]
        elif path.suffix.lower() == ".zip":
            with zipfile.ZipFile(path) as archive, archive.open(_member(path, archive, sheet)) as f:
                yield f
        else:
            with path.open("rb") as file:
                yield file
    except (EOFError, zipfile.BadZipFile, gzip.BadGzipFile, RuntimeError) as error:
        raise LabelweaveError(f"{path}: not a readable archive ({error})") from None


def _member(path: Path, archive: zipfile.ZipFile, sheet: str | int | None) -> zipfile.ZipInfo:
    files = [each for each in archive.infolist() if not each.is_dir()]
    files = [each for each in files if not each.filename.startswith("__MACOSX/")]
    names = [each.filename for each in files]
    if isinstance(sheet, str):
        files = [each for each in files if each.filename == sheet]
    elif sheet is not None:
        files = files[sheet - 1 : sheet]
    if len(files) != 1:
        raise LabelweaveError(
            f"{path}: found the files {listing(names)}, expected one; choose it by 'sheet'"
        )
    if files[0].file_size > LARGEST:
        raise LabelweaveError(f"{path}: unpacks to {files[0].file_size:,} bytes, more than allowed")
    return files[0]


def read_text_table(path: Path, read: ReadOptions, folder: Path | None = None) -> Table:
    """Return the cells of a CSV or TSV file as text.

    Args:
        path: the file.
        read: how it is read.
        folder: keep the cells in a file there, mapped into memory, so that a table larger than
            memory can be read; the file is removed at once, or where a mapped one cannot be, left
            to whoever removes the folder. None = in memory.

    Raises:
        LabelweaveError: no header, a row of another length, a quote that is not closed, or an
            encoding that does not fit; names the line.
    """
    largest = LARGEST_HANDWRITTEN if read.handwritten else LARGEST
    with opened(path, read.sheet) as file:
        head = file.read(HEAD)
        quotes, size = head.count(b'"'), len(head)
        while block := file.read(1 << 24):
            quotes += block.count(b'"')
            size += len(block)
            if size > largest:
                raise LabelweaveError(f"{path}: unpacks to more than {largest:,} bytes")
    encoding = read.encoding or _encoding(head, read.fallback)
    try:
        return _read(path, read, head, encoding, quotes, folder)
    except UnicodeDecodeError:
        if read.encoding is not None:
            raise _wrong_encoding(path, read, encoding) from None
    with opened(path, read.sheet) as file:  # its first bytes said nothing of those further down
        encoding = _guess(_first_wrong(file), read.fallback)
    try:
        return _read(path, read, head, encoding, quotes, folder)
    except UnicodeDecodeError:
        raise _wrong_encoding(path, read, encoding) from None


def _read(
    path: Path, read: ReadOptions, head: bytes, encoding: str, quotes: int, folder: Path | None
) -> Table:
    start = _decoded(head, encoding)
    skipped, sep = 0, read.sep
    if found := re.match(r"sep=(.)\r?\n", start):  # a line that Excel reads, and writes
        skipped, sep = 1, sep or found[1]
        start = start[found.end() :]
    sep = sep or _separator(path, start)
    raw = _header(path, start, sep)
    several = quotes > 0 or encoding.startswith("utf-16")
    try:
        if read.handwritten:
            filled = _filled(path, read, sep, encoding, skipped, len(raw))
            cells = _parsed(filled, "utf-8", 0, sep, raw, read, several=True, folder=folder)
        else:
            with opened(path, read.sheet) as file:
                packed = path.suffix.lower() in {".gz", ".zip"}
                content = file if packed or encoding != "utf-8" else path
                cells = _parsed(
                    content, encoding, skipped, sep, raw, read, several=several, folder=folder
                )
    except pa.ArrowInvalid as error:
        if "UTF8" in str(error) or "UTF-8" in str(error):
            raise UnicodeDecodeError("utf-8", b"", 0, 1, str(error)) from None
        raise _unreadable(path, read, sep, encoding, skipped, len(raw), str(error)) from None
    if several and (quotes % 2 or _has_lines(cells)):
        _check_quotes(path, read, sep, encoding, skipped, len(raw))
    cells, notes = _named(path, read, cells, raw)
    cells = _without_marks(cells)
    said = _said(path, read, sep, encoding, head)
    known = replace(read, sep=sep, encoding=encoding)
    return Table(str(path), cells, known, (*said, *notes))


def _parsed(
    content: Path | IO[bytes], encoding: str, skipped: int, sep: str, names: Sequence[str],
    read: ReadOptions, *, several: bool, folder: Path | None,
) -> pa.Table:  # fmt: skip
    options: dict[str, Any] = {
        "read_options": pyarrow.csv.ReadOptions(
            encoding=encoding, skip_rows=skipped, block_size=1 << 23
        ),
        "parse_options": pyarrow.csv.ParseOptions(delimiter=sep, newlines_in_values=several),
        "convert_options": pyarrow.csv.ConvertOptions(
            null_values=list(read.missing),
            strings_can_be_null=True,
            column_types=dict.fromkeys(names, pa.string()),
        ),
    }
    if folder is None:
        return pyarrow.csv.read_csv(content, **options)
    with pyarrow.csv.open_csv(content, **options) as batches:
        return _mapped(batches, folder)


def _mapped(batches: pa.RecordBatchReader, folder: Path) -> pa.Table:
    """Return a table whose cells are in a file of a folder; the file is removed at once."""
    number, name = mkstemp(".arrow", dir=folder)
    path = Path(name)
    try:
        with (
            os.fdopen(number, "wb") as file,
            pa.ipc.new_file(file, batches.schema) as writer,
        ):
            for batch in batches:
                writer.write_batch(batch)
        return pa.ipc.open_file(pa.memory_map(name)).read_all()
    except OSError as error:
        raise unwritable(path, error) from None
    finally:
        with suppress(OSError):  # not where a mapped file is in use: there the folder goes later
            path.unlink()


def _filled(
    path: Path, read: ReadOptions, sep: str, encoding: str, skipped: int, width: int
) -> io.BytesIO:
    """Return a text table as UTF-8 with empty cells at the ends of short lines."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=sep)
    try:
        with _rows(path, read, sep, encoding, skipped) as reader:
            for row in reader:
                if row:
                    writer.writerow([*row, *[""] * (width - len(row))])
    except csv.Error as error:
        raise pa.ArrowInvalid(str(error)) from None  # looked into by `_unreadable`
    return io.BytesIO(text.getvalue().encode())


def _without_marks(cells: pa.Table) -> pa.Table:
    # what stands before a formula makes a text of it for Excel, and is no part of the text
    for place, name in enumerate(cells.column_names):
        column = cells.column(place)
        if holds(column, "'") and pc.any(pc.starts_with(column, "'")).as_py():
            marked = pc.match_substring_regex(column, FORMULA_MARK)
            kept = pc.if_else(marked, pc.utf8_slice_codeunits(column, 1), column)
            cells = cells.set_column(place, name, kept)
    return cells


def _said(path: Path, read: ReadOptions, sep: str, encoding: str, head: bytes) -> list[Text]:
    """Return what was found out that a plain reader would not expect, in one line or none."""
    usual = "\t" if ".tsv" in path.suffixes else ","
    marked = encoding == "utf-8" and head.startswith(codecs.BOM_UTF8)
    if (read.sep or usual) == sep and (read.encoding or "utf-8") == encoding and not marked:
        return []
    if (read.sep, read.encoding) == (sep, encoding):
        return []
    shown = "utf-8 (BOM)" if marked else encoding
    values = {"place": str(path), "sep": NAMES.get(sep, sep), "encoding": shown}
    return [Message("note.read_as", values)]


def _decoded(head: bytes, encoding: str) -> str:
    text = io.TextIOWrapper(
        io.BytesIO(head),
        encoding="utf-8-sig" if encoding == "utf-8" else encoding,
        errors="strict" if len(head) < HEAD else "ignore",
        newline="",
    )
    return text.read()


def _encoding(head: bytes, fallback: str | None) -> str:
    for mark, name in MARKS:
        if head.startswith(mark):
            return name
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 4 or len(head) < HEAD:  # no character cut at the end
            return _guess(head[max(0, error.start - HEAD // 2) :], fallback)
    return "utf-8"


def _guess(part: bytes, fallback: str | None) -> str:
    """Return the encoding of bytes that are not UTF-8."""
    if fallback is not None:
        return fallback
    if part[:1024].count(0) > len(part[:1024]) // 4:
        return "utf-16-le" if part[1:2] == b"\0" else "utf-16-be"
    with suppress(UnicodeDecodeError):
        text = part.rpartition(b"\n")[0].decode("cp932") or part.decode("cp932")
        if JAPANESE.search(text):
            return "cp932"
    high = sum(byte > 127 for byte in part)
    if high < 20:  # too few to decide: the one that most files have
        with suppress(UnicodeDecodeError):
            part.decode("cp1252")
            return "cp1252"
    import charset_normalizer  # only where it is needed

    best = charset_normalizer.from_bytes(part, cp_isolation=ENCODINGS).best()
    return "latin-1" if best is None else str(best.encoding)


def _first_wrong(file: IO[bytes]) -> bytes:
    """Return the bytes around the first that is not UTF-8."""
    kept = b""
    while block := file.read(1 << 20):
        part = kept + block
        try:
            part.decode("utf-8")
            kept = b""
        except UnicodeDecodeError as error:
            if error.start < len(part) - 4:
                return part[max(0, error.start - HEAD // 2) : error.start + HEAD // 2]
            kept = part[error.start :]
    return kept


def _wrong_encoding(path: Path, read: ReadOptions, encoding: str) -> LabelweaveError:
    line = 0
    with opened(path, read.sheet) as file:
        for text in file:
            line += 1
            try:
                text.decode(encoding)
            except UnicodeDecodeError:
                break
    return LabelweaveError(
        f"{path}: line {line} is no {encoding} text, expected one; give the encoding by "
        "'read: {encoding: ...}'"
    )


def _separator(path: Path, start: str) -> str:
    """Return what separates the columns, by the header and, where it is not clear, the rows."""
    usual = "\t" if ".tsv" in path.suffixes else ","
    line = next((each for each in start.splitlines() if each.strip()), "")
    counts = Counter(re.sub(r'"[^"]*"', "", line))
    found = [sep for sep in SEPARATORS if counts[sep]]
    if len(found) < 2:
        return found[0] if found else usual
    whole = start if len(start) < HEAD // 4 else start.rpartition("\n")[0]
    best, most = usual, -1.0
    for sep in found:
        with suppress(csv.Error):
            rows = [row for row in csv.reader(io.StringIO(whole[:65536]), delimiter=sep) if row]
            same = sum(len(row) == len(rows[0]) for row in rows[:-1] or rows)
            score = same / max(1, len(rows) - 1) + 0.001 * (sep == usual) + 1e-6 * len(rows[0])
            best, most = (sep, score) if score > most else (best, most)
    return best


def _header(path: Path, start: str, sep: str) -> list[str]:
    try:
        reader = csv.reader(io.StringIO(start), delimiter=sep)
        names = next((row for row in reader if row), [])
    except csv.Error as error:
        raise LabelweaveError(f"{path}: the header cannot be read: {error}") from None
    if not names:
        raise LabelweaveError(f"{path}: the file is empty, expected a header and rows")
    return names


def _named(
    path: Path, read: ReadOptions, cells: pa.Table, raw: list[str]
) -> tuple[pa.Table, list[Text]]:
    """Return the columns by their names without blanks; empty ones without a name are left out."""
    notes: list[Text] = []
    names = [re.sub(f"({FORMULA_MARK})", lambda found: found[0][1:], name) for name in raw]
    names = with_first(read, [name.strip() for name in names])
    kept = [
        i
        for i, name in enumerate(names)
        if name or cells.column(i).null_count < len(cells) or not len(cells)
    ]
    if len(kept) < len(names):
        left_out = len(names) - len(kept)
        notes.append(Message("note.unnamed_columns", {"place": str(path), "n": left_out}))
    changed = [name for name in raw if name.strip() and name != name.strip()]
    if changed:
        values = {"place": str(path), "names": some(changed)}
        notes.append(Message("note.header_blanks", values))
    names = [names[i] for i in kept]
    check_columns(str(path), names)
    return pa.table([cells.column(i) for i in kept], names=names), notes


def _has_lines(cells: pa.Table) -> bool:
    return any(holds(column, "\n") for column in cells.columns)


@contextmanager
def _rows(path: Path, read: ReadOptions, sep: str, encoding: str, skipped: int) -> Iterator[Any]:
    limit = csv.field_size_limit(LONGEST)
    try:
        with opened(path, read.sheet) as file:
            name = "utf-8-sig" if encoding == "utf-8" else encoding
            text = io.TextIOWrapper(file, encoding=name, newline="")
            for _ in range(skipped):
                text.readline()
            yield csv.reader(text, delimiter=sep, strict=True)
            text.detach()
    finally:
        csv.field_size_limit(limit)


def _check_quotes(
    path: Path, read: ReadOptions, sep: str, encoding: str, skipped: int, width: int
) -> None:
    """Raise `LabelweaveError` for a quote that is not closed, or closed in another row."""
    with _rows(path, read, sep, encoding, skipped) as reader:
        line = 1
        try:
            for row in reader:
                inside = [cell for cell in row if cell.count("\n") > 1]
                for cell in inside:  # whole rows in one cell: the quote of one closed in another
                    parts = cell.strip("\r\n").splitlines()[1:-1]
                    if width > 2 and parts and all(p.count(sep) == width - 1 for p in parts):
                        raise _open_quote(path, line + skipped, reader.line_num + skipped)
                line = reader.line_num + 1
        except csv.Error:
            if reader.line_num > line or "end of data" in _reason(reader):
                raise _open_quote(path, line + skipped, reader.line_num + skipped) from None


def _reason(reader: Any) -> str:
    try:
        next(reader)
    except (csv.Error, StopIteration) as error:
        return "end of data" if isinstance(error, StopIteration) else str(error)
    return ""


def _open_quote(path: Path, line: int, end: int) -> LabelweaveError:
    return LabelweaveError(
        f'{path}: line {line}: a quote (") opens that no quote closes in its row (read on to line '
        f'{end}); close it, or write "" for a quote in a text'
    )


def _unreadable(
    path: Path, read: ReadOptions, sep: str, encoding: str, skipped: int, width: int, reason: str
) -> LabelweaveError:
    """Find out why Arrow gave up, with the line, by reading the file again."""
    line, first, others = 1, None, 0
    try:
        with _rows(path, read, sep, encoding, skipped) as reader:
            try:
                for row in reader:
                    short = read.handwritten and len(row) < width
                    if row and len(row) != width and not short:
                        if first is None:
                            first = (line + skipped, len(row))
                        others += 1
                        if any("\n" in cell for cell in row):
                            return _open_quote(path, line + skipped, reader.line_num + skipped)
                    line = reader.line_num + 1
            except csv.Error as error:
                if reader.line_num > line:
                    return _open_quote(path, line + skipped, reader.line_num + skipped)
                reason = f"line {line}: {error}"
    except UnicodeDecodeError:
        return _wrong_encoding(path, read, encoding)
    if first is not None:
        more = f" (and {others - 1:,} more such rows)" if others > 1 else ""
        return LabelweaveError(
            f"{path}: line {first[0]} has {first[1]} values, expected {width} as in the header"
            f"{more}"
        )
    return LabelweaveError(f"{path}: cannot be read: {reason.splitlines()[0]}")

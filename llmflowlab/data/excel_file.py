"""Excel workbooks: the first sheet that holds something, every cell as the text it shows a program."""

from __future__ import annotations

import datetime as dt
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from llmflowlab.data.bounds import MOST_BYTES, MOST_CELLS, refuse_many_columns
from llmflowlab.data.csv_text import table_of_cells
from llmflowlab.data.file_records import DataTable
from llmflowlab.errors import DatasetError, InputError

__all__ = ["read_excel"]

_BROKEN = "cannot be read as a workbook; save it again as .xlsx or CSV."
_ERRORS = frozenset({"#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NUM!", "#NULL!"})


def read_excel(path: Path) -> DataTable:
    """Read a workbook. Formulas count as what was last calculated, dates as ISO 8601 texts.

    Raises:
        InputError: It is another kind of archive.
        DatasetError: It is broken or too large, or a formula has no result in it.
    """
    file = path.name
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            size = sum(item.file_size for item in archive.infolist())
            formulas = size <= MOST_BYTES and any(
                b"<f" in archive.read(name)
                for name in names
                if name.startswith("xl/worksheets/sheet")
            )
    except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError) as exc:
        raise DatasetError(_BROKEN, file=file) from exc
    if "xl/workbook.xml" not in names:
        raise InputError(
            f"{path} is {_other(names)}; export it as CSV, JSON Lines or Parquet first."
        )
    if size > MOST_BYTES:
        raise DatasetError(f"holds {size:,} bytes when unpacked, more than is read.", file=file)
    return _sheet(path, formulas=formulas)


def _other(names: list[str]) -> str:
    if "word/document.xml" in names:
        return "a Word document"
    return "an OpenDocument file" if "content.xml" in names else "a zip archive"


def _sheet(path: Path, *, formulas: bool) -> DataTable:
    # Imported here: only this format needs it.
    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    file = path.name
    try:
        with path.open("rb") as source:
            book = load_workbook(source, read_only=True, data_only=True)
            filled = [sheet for sheet in book.worksheets if _written(sheet)]
            if not filled:
                raise DatasetError("is empty; add a header and at least one question.", file=file)
            sheet = filled[0]
            warnings = (
                (f"{file}: the sheet {sheet.title!r} was read, {len(filled) - 1} others were not.",)
                if len(filled) > 1
                else ()
            )
            table = table_of_cells(_lines(sheet, file), file, warnings)
            if formulas:
                _refuse_uncalculated(source, sheet, file)
            return table
    except DatasetError:
        raise
    except (
        InvalidFileException,
        zipfile.BadZipFile,
        KeyError,
        ValueError,
        TypeError,
        OSError,
        SyntaxError,
    ) as exc:
        # XML that is broken raises a SyntaxError.
        raise DatasetError(_BROKEN, file=file) from exc


def _written(sheet: Any) -> bool:
    if sheet.sheet_state != "visible":
        return False
    # What the file says of its size is often wrong.
    sheet.reset_dimensions()
    return any(value is not None for row in sheet.iter_rows(values_only=True) for value in row)


def _lines(sheet: Any, file: str) -> Iterator[tuple[int, list[str]]]:
    seen = 0
    for number, row in enumerate(sheet.iter_rows(values_only=True), start=1):
        refuse_many_columns(row, file)
        seen += len(row)
        if seen > MOST_CELLS:
            raise DatasetError(f"holds over {MOST_CELLS:,} cells; take a part of it.", file=file)
        cells = [_text(value) for value in row]
        if wrong := next((cell for cell in cells if cell in _ERRORS), None):
            reason = f"holds the error {wrong}; mend its formula or empty the cell."
            raise DatasetError(reason, file=file, line=number)
        if any(cell.strip() for cell in cells):
            yield number, cells


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dt.datetime):
        midnight = value.time() == dt.time()
        return value.date().isoformat() if midnight else value.isoformat(sep=" ")
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        # Workbooks know no whole numbers: 2 may be kept as 2.0.
        return str(int(value))
    return value.isoformat() if isinstance(value, dt.date | dt.time) else str(value)


def _refuse_uncalculated(source: Any, values: Any, file: str) -> None:
    """Refuse a formula whose result was never kept: the cell would be empty in silence."""
    from openpyxl import load_workbook

    written = load_workbook(source, read_only=True)[values.title]
    written.reset_dimensions()
    pairs: Iterable[tuple[Any, Any]] = zip(
        written.iter_rows(values_only=True), values.iter_rows(values_only=True), strict=False
    )
    for number, (formulas, results) in enumerate(pairs, start=1):
        for formula, result in zip(formulas, results, strict=False):
            if result is None and isinstance(formula, str) and formula.startswith("="):
                raise DatasetError(
                    f"the formula {formula[:40]!r} has no result in the file; open it in a "
                    "spreadsheet program and save it.",
                    file=file,
                    line=number,
                )

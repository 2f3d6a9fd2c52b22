"""The page of `labelweave explain`: one file, without scripts or anything from elsewhere."""

from collections.abc import Sequence
from html import escape

import pandas as pd

from labelweave.errors import printable
from labelweave.trust._row_explanations import RowExplanation

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto }
table { border-collapse: collapse; margin: 1rem 0 }
th, td { border-bottom: 1px solid #ccc; padding: .3rem .7rem; text-align: left }
td.number { text-align: right; font-variant-numeric: tabular-nums }
"""
HEAD = ("row", "task", "answer", "probability", "own learners", "a relation alone",
        "without a relation", "columns, words, regions", "nearest labelled rows")  # fmt: skip


def explanation_page(
    name: str,
    rows: Sequence[RowExplanation],
    importance: pd.DataFrame | None,
    gains: pd.DataFrame | None,
) -> str:
    """Return the page as HTML.

    Args:
        name: of the table.
        rows: the rows that are explained.
        importance: what `input_importance` gives; None = not measured.
        gains: what `gain_sources` gives; None = not measured.
    """
    lines = ["<tr>" + "".join(_cell(value) for value in _values(each)) + "</tr>" for each in rows]
    head = "".join(f"<th>{text}</th>" for text in HEAD)
    parts = [
        f"<h1>Why {_text(name)} got these answers</h1>",
        "<p>Own learners: the answer's probability by the task's learners alone. A relation alone: "
        "its probability by the other task's prediction and the table. Without a relation, and for "
        "columns, words and regions: by how much the answer's probability falls without it. Those "
        "that carry the same information hide each other.</p>",
        f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>",
        "<h2>Which inputs matter to each task</h2>", _frame(importance),
        "<h2>What each part of the model brought</h2>", _frame(gains),
    ]  # fmt: skip
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{_text(name)}</title>'
        f"<style>{STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )


def _values(each: RowExplanation) -> list[object]:
    near = ", ".join(f"row {n['row'] + 1}: {n['label']}" for n in each.nearest)
    return [
        each.row + 1, each.question, each.answer, each.probability, each.own,
        ", ".join(f"{name} {value:.3f}" for name, value in each.says.items()),
        _signed(each.relations), _signed({**each.columns, **each.parts}), near,
    ]  # fmt: skip


def _signed(parts: object) -> str:
    assert isinstance(parts, dict)
    return ", ".join(f"{name} {value:+.3f}" for name, value in parts.items())


def _frame(table: pd.DataFrame | None) -> str:
    if table is None:
        return "<p>Not measured: the table has no labels, or the model has no such parts.</p>"
    head = "".join(f"<th>{_text(str(name))}</th>" for name in table.columns)
    lines = "".join(
        "<tr>" + "".join(_cell(value) for value in line) + "</tr>"
        for line in table.itertuples(index=False)
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>"


def _cell(value: object) -> str:
    if value is None:
        return "<td></td>"
    if isinstance(value, float):
        return f'<td class="number">{value:.3f}</td>'
    return f"<td>{_text(str(value))}</td>"


def _text(value: str) -> str:
    return escape(printable(value, 400))

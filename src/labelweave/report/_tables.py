"""The figures of results as text and as tables: CSV and LaTeX."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from labelweave._files import write_csv
from labelweave.errors import listing
from labelweave.results import Results, cell

MARKS = {"gain": "▲", "negative transfer": "▼", "no difference": "·", "not enough data": "?"}


def main_metrics(results: Results) -> str:
    """Return the usual main metric, and the others with their tasks: "accuracy; f1 of 'edge'"."""
    metrics: dict[str, list[str]] = {}
    for task in results.tasks:
        metrics.setdefault(task.main_metric, []).append(task.name)
    usual = max(metrics, key=lambda metric: len(metrics[metric]))
    others = [f"{metric} of {listing(of)}" for metric, of in metrics.items() if metric != usual]
    return "; ".join([usual, *others])


def interval_level(results: Results) -> str:
    """Return the intervals' coverage in words, "95 %" unless the study's settings say otherwise."""
    return f"{100 * results.level:g} %"


# the least amount that is worth a mention; of other currencies one unit
LEAST_AMOUNT = {"JPY": 100, "KRW": 1000, "HUF": 100, "INR": 50, "CNY": 5, "IDR": 10_000,
                "VND": 10_000}  # fmt: skip
CURRENCY = 3  # letters of a currency's code


def negligible(amount: float, currency: str) -> bool:
    """Return whether an amount of a currency (ISO 4217) is too small to matter; else False."""
    code = len(currency) == CURRENCY and currency.isupper()
    return code and abs(amount) < LEAST_AMOUNT.get(currency, 1)


def fixed(value: float | None, digits: int = 3, sign: str = "") -> str:
    """Return a number in fixed decimals, "no data" for None; `sign` "+" shows every sign."""
    return "no data" if value is None else f"{value:{sign}z.{digits}f}"


def clean(text: object) -> str:
    """Return a name with every control character replaced, fit for a terminal or a picture."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(text))


SPECIAL = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "±": r"$\pm$", "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}  # fmt: skip


def escaped(text: object) -> str:
    """Return a text that LaTeX prints as it is."""
    return "".join(SPECIAL.get(character, character) for character in clean(text))


def tabular(
    heads: Sequence[str], groups: Mapping[str, Sequence[Sequence[str]]], caption: str
) -> str:
    """Return a ``table`` with a head, groups of rows under their titles, and a caption.

    Args:
        heads: the names of the columns, not yet escaped; the first column is text, the others
            are figures.
        groups: by title (not yet escaped, may be empty) the rows, as LaTeX.
        caption: the caption, as LaTeX.
    """
    lines = [
        "% needs \\usepackage{booktabs,amssymb}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{caption}}}",
        r"\label{tab:ablation}",
        rf"\begin{{tabular}}{{l{'r' * (len(heads) - 1)}}}",
        r"\toprule",
        _row([escaped(head) for head in heads]),
    ]
    for title, rows in groups.items():
        lines.append(r"\midrule")
        if title:
            lines.append(rf"\multicolumn{{{len(heads)}}}{{l}}{{\emph{{{escaped(title)}}}}} \\")
        lines += [_row(row) for row in rows]
    lines += [r"\bottomrule", r"\end{tabular}", r"\end{table}", ""]
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


COLUMNS = (
    "method", "task", "metric", "mean", "low", "high", "n", "seeds",
    "difference", "difference_low", "difference_high", "p_adjusted",
    "difference_raw_low", "difference_raw_high", "p", "effect", "detectable", "verdict",
)  # fmt: skip


def write_results_csv(results: Results, path: str | Path, *, formulas: bool = False) -> None:
    """Write one row for every method, task and metric; an empty field is "no data".

    Values are in the metric's own unit and unrounded; `difference` is the paired difference to
    the baseline. Its interval and `p_adjusted` hold for all tasks together and decide the verdict;
    `difference_raw_low`, `difference_raw_high` and `p` are those of this test alone. `effect` is
    Cohen's h, `detectable` the smallest true change that would have been found. The verdict is in
    the rows of the task's main metric only.

    Args:
        results: of a study.
        path: the file to write, replaced as a whole.
        formulas: leave names that start a formula as they are; default: with a ' in front, for
            spreadsheets run them.

    Raises:
        LabelweaveError: the file cannot be written.
    """
    rows = []
    for method in results.method_names:
        for task in results.tasks:
            name = task.name
            for metric in results.methods[method].get(name, {}):
                value = cell(results.methods, method, name, metric)
                change = cell(results.differences, method, name, metric)
                word = results.verdict(method, task) if metric == task.main_metric else None
                rows.append(
                    (
                        *(method, name, metric),
                        *(value.mean, value.low, value.high, value.n, value.seeds),
                        *(change.mean, change.low, change.high, change.p_adjusted),
                        *(change.raw_low, change.raw_high, change.p),
                        *(change.effect, change.detectable, word),
                    )
                )
    # numbers as they are: a column of whole ones may have gaps
    table = pd.DataFrame(rows, columns=list(COLUMNS), dtype=object)
    write_csv(Path(path), table, formulas=formulas)

"""A table in LaTeX, with the rules of the package booktabs."""

from collections.abc import Mapping, Sequence

from labelweave.report.tables import printable

SPECIAL = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "±": r"$\pm$", "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}  # fmt: skip


def escaped(text: object) -> str:
    """Return a text that LaTeX prints as it is."""
    return "".join(SPECIAL.get(character, character) for character in printable(text))


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

"""Columns that are inputs but look like something else, and groups."""

from collections.abc import Sequence

from labelweave.tables._column_kinds import (
    DATE,
    LABEL_SIGNS,
    LABEL_WORDS,
    called,
    distinct,
    few_values,
    grouping,
    matching,
    personal,
    scattered,
    unusable,
)
from labelweave.tables._findings import (
    DataFinding,
    SourceTable,
    bare,
    few,
    is_number,
    yaml_line,
)

MOST_LABELS = 20


def role_findings(tables: Sequence[SourceTable], known: Sequence[str] = ()) -> list[DataFinding]:
    """Return inputs that look like labels, free text, identifiers, dates or personal data.

    Args:
        tables: the sources.
        known: columns to pass over: media, and those that are found already.
    """
    found = []
    for column in dict.fromkeys(c for t in tables for c in t.inputs if c not in known):
        having = [t for t in tables if column in t.inputs]
        parts = [t.sampled(column) for t in having]
        place = f"column '{column}'" if len(having) > 1 else f"{having[0].name}, column '{column}'"
        exclude = yaml_line("exclude", [column])
        left_out = all(column in t.left_out for t in having)
        why = personal(column, parts)
        if why is not None:
            role = "left out of the inputs" if left_out else "among the inputs"
            found.append(DataFinding("warning", "personal_data", place, f"{role}; {why}", exclude))
            continue
        tied = grouping(column, parts)
        if tied is not None:
            if all(t.group is None for t in having):
                found.append(
                    DataFinding(
                        "warning", "group_candidate", place,
                        f"{tied}: rows that belong together may stand on both sides of a split",
                        yaml_line("group", column),
                    )
                )  # fmt: skip
            continue
        reason = unusable(parts)
        if reason is not None:
            code = (
                "dates" if reason == "dates" else "text_input" if "text" in reason else "identifier"
            )
            role = "left out of the inputs" if left_out else "enters as categories"
            evidence = f"{role}: {reason}" if code != "identifier" else reason
            found.append(DataFinding("warning", code, place, evidence, exclude))
            continue
        labelled = _label_like(column, tables, having)
        if labelled is not None:
            found.append(
                DataFinding(
                    "warning", "label_like_input", place, f"is an input, but {labelled}",
                    yaml_line("tasks", [{"name": column}]) + f"   # or {exclude}",
                )
            )  # fmt: skip
    return found


def _label_like(
    column: str, tables: Sequence[SourceTable], having: Sequence[SourceTable]
) -> str | None:
    parts = [t.sampled(column) for t in having]
    if not few_values(parts) or len(distinct(parts)) > MOST_LABELS:
        return None
    if called(column, LABEL_WORDS, LABEL_SIGNS):
        return f"is called like a label ({few(sorted(distinct(parts)))})"
    if len(tables) > len(having):
        same = bare(column)
        lacking = [t.name for t in tables if same not in map(bare, t.frame.columns)]
        if lacking:
            return f"is absent from {few(lacking)}, as labels are ({few(sorted(distinct(parts)))})"
    gaps = sum(int(p.isna().sum()) for p in parts) / sum(len(p) for p in parts)
    if scattered(parts, len(having)) and gaps >= 0.05 and not all(is_number(p) for p in parts):
        labels = few(sorted(distinct(parts)))
        return f"has gaps in {gaps:.0%} of the rows, as labels have ({labels})"
    return None


def _shared_group(table: SourceTable, tables: Sequence[SourceTable]) -> bool:
    """Return whether a group has rows in another table, too: the same sample, labelled twice."""
    own = set() if table.group is None else distinct([table.frame[table.group]])
    return any(
        not own.isdisjoint(distinct([other.frame[other.group]]))
        for other in tables
        if other is not table and other.group is not None
    )


def group_findings(tables: Sequence[SourceTable]) -> list[DataFinding]:
    """Return gaps in groups, groups of one row each, and candidates among the columns left out."""
    found = []
    for table in tables:
        if table.group is None:
            left = [c for c in table.frame.columns if c not in table.inputs]
            for column in left:
                part = table.sampled(column)
                why = grouping(column, [part])
                if why is not None and matching([part], DATE) < 0.5:
                    found.append(
                        DataFinding(
                            "note", "group_candidate", f"{table.name}, column '{column}'",
                            f"{why}: rows that belong together may stand on both sides of a split",
                            yaml_line("group", column),
                        )
                    )  # fmt: skip
            continue
        rows, known = len(table.frame), table.known(table.group)
        place = f"{table.name}, group '{table.group}'"
        if known < rows:
            found.append(
                DataFinding(
                    "warning", "group_gaps", place,
                    f"{rows - known:,} of {rows:,} rows have no group; each is one by itself",
                )
            )  # fmt: skip
        many = int(table.frame[table.group].nunique())
        if 0 < many == known and rows > 1 and not _shared_group(table, tables):
            found.append(
                DataFinding(
                    "note", "single_groups", place, "every group has one row; it ties nothing"
                )
            )
        elif many == 1 and rows > 1 and len(tables) == 1:
            found.append(
                DataFinding(
                    "serious", "one_group", place, "all rows are one group: no split exists"
                )
            )
    return found

"""What a look at the tables of a study finds, before anything is trained."""

from collections.abc import Sequence

from labelweave.tables._column_findings import unlike_categories, unlike_columns, unlike_numbers
from labelweave.tables._findings import SEVERITIES, DataFinding, SourceTable
from labelweave.tables._label_findings import class_findings, giveaways
from labelweave.tables._role_findings import group_findings, role_findings
from labelweave.tasks import Task


def inspect_tables(
    tables: Sequence[SourceTable], tasks: Sequence[Task], media: Sequence[str] = ()
) -> list[DataFinding]:
    """Return what is wrong with tables and their labels, or may be, the serious first.

    Names, spellings and gaps are looked at in all rows; values of numbers and texts in up to
    20,000 rows of a table, evenly spread. Time is linear in the rows.

    Args:
        tables: the sources.
        tasks: the tasks; their classes need not be known.
        media: the columns of images and texts, which are inputs by their content.
    """
    given = giveaways(tables, tasks, media)
    known = [*media, *given]  # a copy of a label also looks like a label
    found = [
        *unlike_columns(tables),
        *class_findings(tables, tasks),
        *(finding for each in given.values() for finding in each),
        *unlike_numbers(tables),
        *unlike_categories(tables, media),
        *role_findings(tables, known),
        *group_findings(tables),
    ]
    return sorted(found, key=lambda finding: SEVERITIES.index(finding.severity))

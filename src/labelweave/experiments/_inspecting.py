"""What a study's data and settings would make worthless, found before any training."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from labelweave._files import check_makeable
from labelweave.errors import LabelweaveError, listing
from labelweave.experiments._checking import description
from labelweave.experiments._config import StudyConfig
from labelweave.experiments._loading import Typed, load_data, schema_of_study
from labelweave.experiments._power import power_findings
from labelweave.experiments._sections import SourceSection
from labelweave.experiments._source_files import ReadSource, brought_tasks, read_sources
from labelweave.experiments._study import Study
from labelweave.fitting._methods import BASELINE, METHODS
from labelweave.tables import DataFinding, SourceTable, inspect_tables
from labelweave.tables._column_kinds import identifying
from labelweave.tables._findings import SEVERITIES, is_number, yaml_line
from labelweave.tables._label_findings import tasks_by_column
from labelweave.tables._typed import own_frame
from labelweave.tasks import Task, task_from_dict


class Inspection:
    """A study that is looked at.

    Args:
        config: the settings.
        folder: the folder that paths in the settings are relative to.

    Attributes:
        findings: what is wrong, or may be, the serious first.
        described: what a reader should see before training, as lines and tables to print.
        error: what stops the study, or None.

    Raises:
        LabelweaveError: a file cannot be read.
    """

    def __init__(self, config: StudyConfig, folder: Path) -> None:
        config = config.located(folder)
        sources = read_sources(config, folder)
        declared = config.tasks or brought_tasks(sources)
        tasks = [task_from_dict(section.description()) for section in declared]
        # texts of hashed columns are not to be shown
        media = [*(part.column for part in config.inputs.media()), *config.inputs.hashed]
        try:
            tables = schema_of_study(config, sources, tasks)
        except LabelweaveError:  # `load_data` raises it below; each table is still looked at
            tables = None
        asked = {*config.inputs.categorical, *config.inputs.dates}
        found = inspect_tables(
            source_tables(sources, tasks, tables, asked), tasks, [*media, *config.inputs.dates]
        )
        self.error: LabelweaveError | None = None
        self.described: list[Any] = []
        try:
            study = Study(config, folder, data=load_data(config, folder, sources, tables))
            check_makeable(study.output)
            splits = study.splits()
            self.described = description(config, study.data.tasks, study.methods, splits)
            found += [*power_findings(config, splits), *method_findings(study)]
        except LabelweaveError as error:
            self.error = error  # what was found out from the files may explain it
            self.described = [f"note: {note}" for source in sources for note in source.table.notes]
        self.findings = sorted(found, key=lambda finding: SEVERITIES.index(finding.severity))

    @property
    def serious(self) -> int:
        """The number of serious findings."""
        return sum(finding.severity == "serious" for finding in self.findings)

    @property
    def verdict(self) -> str:
        """How many findings there are, in a sentence."""
        many = {name: sum(f.severity == name for f in self.findings) for name in SEVERITIES}
        parts = [
            f"{n} {name}{'s' * (n > 1 and name != 'serious')}" for name, n in many.items() if n
        ]
        return f"Found: {', '.join(parts)}." if parts else "Nothing wrong found."


def source_tables(
    sources: Sequence[ReadSource],
    tasks: Sequence[Task],
    tables: Typed | None = None,
    asked: Collection[str] = (),
) -> list[SourceTable]:
    """Return the sources of a study as they are inspected, their inputs as the study has them.

    Args:
        sources: the sources.
        tasks: the tasks.
        tables: the schema of all sources and their tables; None, and columns that it leaves out,
            such as dates: the types are decided by each table alone.
        asked: columns that are inputs whatever they hold.
    """
    labels = tasks_by_column(tasks)
    known = [pd.DataFrame()] * len(sources) if tables is None else tables[1]
    found = []
    for source, read in zip(sources, known, strict=True):
        section, columns = source.section, source.table.columns
        apart = {*labels, *section.exclude, *section.identifier, section.group}
        left = [c for c in columns if c not in read.columns]
        own = own_frame(source.table.selected(left), [c for c in left if c in apart])
        parts = {c: own[c] if c in own else read[c] for c in columns}
        inputs = [
            column
            for column in columns
            if (section.inputs == "rest" or column in section.inputs) and column not in apart
        ]
        frame = pd.DataFrame(parts, index=pd.RangeIndex(len(source.table)), copy=False)
        out = {c for c in inputs if c not in asked and _left_out(read, c)} if tables else set()
        found.append(
            SourceTable(section.called, frame, tuple(inputs), section.group, frozenset(out))
        )
    return found


def _left_out(read: pd.DataFrame, column: str) -> bool:
    """Return whether an input is left out: by the schema, or by the encoder as identifying."""
    if column not in read.columns or is_number(read[column]):
        return column not in read.columns
    values = read[column].dropna()
    return identifying([str(v) for v in pd.unique(values)], len(values))


def method_findings(study: Study) -> list[DataFinding]:
    """Return what keeps methods of a study from running, or from being of use."""
    tasks, found = study.data.tasks, []
    if len(tasks) == 1:
        found.append(
            DataFinding(
                "warning", "one_task", "tasks",
                f"only '{tasks[0].name}': nothing to join; methods for several tasks add nothing",
            )
        )  # fmt: skip
    related = bool(study.data.known or study.data.counted)
    if len(tasks) > 1 and not related:
        absent = [
            name
            for name, method in METHODS.items()
            if name not in study.methods
            and name != BASELINE
            and not method.on_request
            and method.lacks(relations=False, hidden_labels=True) == "relations"
        ]
        if absent:
            paste = yaml_line(
                "relations", [{"source": tasks[0].name, "targets": [t.name for t in tasks[1:]]}]
            )
            both = study.data.collection.annotations.co_labelled().to_numpy()
            shared = both[0, 1:].all() if len(both) > 1 else False
            found.append(
                DataFinding(
                    "note", "no_relations", "relations",
                    f"none given, so the methods {listing(absent)} are left out; an expert's table "
                    "of the tasks would let them run",
                    f"{paste}   # counts rows with both labels" if shared else "",
                )
            )  # fmt: skip
    return found


def finding_lines(findings: Sequence[DataFinding]) -> list[str]:
    """Return findings as lines to print: what and where, the evidence, and what to paste."""
    lines: list[str] = []
    for finding in findings:
        lines.append(f"{finding.severity.upper():8} {finding.place}: {finding.evidence}")
        if finding.paste:
            own = finding.paste.partition(":")[0] in SourceSection.model_fields
            where = "its source" if own else "the study"
            lines.append(f"{'':8} paste in {where}:  {finding.paste}")
    return lines

"""The ablation of a study: what each part of the label gains, in the paper's order of rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.experiments._coupled_steps import STEPS, step_name, with_steps
from labelweave.experiments._engines import Engine
from labelweave.experiments._sections import MethodSection
from labelweave.experiments._study import Study
from labelweave.fitting._methods import BASELINE, find_method
from labelweave.relations._relate import ORIGINS, Origin
from labelweave.results import AblationRow, Results

LABELS = {
    BASELINE: "single-task",
    "multi_task": "multi-task",
    "co_annotation": "+ soft co-annotation",
    "distribution_matching": "+ distribution matching",
    "full": "+ both",
}
COUPLED = ("co_annotation", "distribution_matching", "full")
# Kollias et al., AAAI 2024; and its predecessors, arXiv 1910.11111 and 2105.03790
PAPER: Mapping[str, Mapping[str, Any]] = {
    "distribution_matching": {"form": "paper"},
    "co_annotation": {"backward": "paper"},
}
PREDECESSORS: Mapping[str, Mapping[str, Any]] = {
    "co_annotation": {"forward": "hard", "backward": "hard"}
}


STACKED = "coupled"
STEPPED = "any learners"
STEP_LABELS = {STACKED: "+ guard", "student": "student, one network"}


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Attributes:
        entry: its entry under a study's ``methods``.
        label: what is trained.
        form: whose form of the couplings: ``ours`` (the study's own options), ``paper`` or
            ``predecessors``; empty without couplings.
        relations: where the relations come from, ``given`` or an origin; empty without couplings.
    """

    entry: str | MethodSection
    label: str
    form: str = ""
    relations: str = ""

    @property
    def method(self) -> str:
        """The row's method in results."""
        return self.entry if isinstance(self.entry, str) else self.entry.called

    def shown(self) -> AblationRow:
        """Return the row as results hold it."""
        return AblationRow(self.method, self.label, self.form, self.relations)


def ablation_rows(origins: Sequence[Origin], *, given: bool = True) -> list[Row]:
    """Return the rows: without coupling, then ours, the paper's and its predecessors' forms.

    Args:
        origins: relations to estimate besides.
        given: with rows for the relations as the study gives them.
    """
    rows = [Row(method, LABELS[method]) for method in (BASELINE, "multi_task")]
    for relations in (*(["given"] if given else []), *dict.fromkeys(origins)):
        for method in COUPLED:
            entry = method if relations == "given" else f"{method}.{relations}"
            rows.append(Row(entry, LABELS[method], "ours", relations))
        for method in COUPLED:
            rows.append(_named(method, LABELS[method], "paper", relations, PAPER))
        label = "+ hard co-annotation"
        rows.append(_named("co_annotation", label, "predecessors", relations, PREDECESSORS))
    return rows


def run_ablation(
    study: Study,
    origins: Sequence[str] = (),
    *,
    jobs: int | None = None,
    engine: Engine | None = None,
    progress: bool = True,
) -> Results:
    """Run the ablation of a study on its data, seeds and settings, but not with its methods.

    Runs are shared with those of the study itself: none is trained twice. Writes no results. Where
    the study names ``coupled`` (and ``student``), the share of each of its steps has rows, too.

    Args:
        study: the study.
        origins: further sources of relations: knowledge, annotations, predictions or all.
        jobs: processes at the same time; None = one a core.
        engine: where the runs are trained, instead of processes of this machine.
        progress: show a bar when on a terminal.

    Returns:
        Results as of a study, with ``rows``: the method, label, form and relations of each row, for
        `labelweave.report.print_ablation` and `write_ablation`.

    Raises:
        LabelweaveError: an unknown origin, no relation at all, or data that do not allow it.
        TrainingError: every method failed on some seed.
    """
    known = [_origin(origin) for origin in origins]
    given = bool(study.data.known or study.data.counted)
    if not given and not known:
        raise LabelweaveError(
            f"study '{study.config.name}': found no relation to ablate, expected some under "
            "'relations', or an origin to estimate them from"
        )
    rows = ablation_rows(known, given=given)
    of_steps = "given" if given else "all"
    if STACKED in study.methods:
        named = (name for name in STEP_LABELS if name in study.methods)
        rows += [Row(name, STEP_LABELS[name], STEPPED, of_steps) for name in named]
    # rows without an origin have the relations as the study gives them, as the paper has
    as_given = study.config.relatedness.model_copy(update={"origin": "given"})
    config = study.config.model_copy(
        update={"methods": [row.entry for row in rows], "relatedness": as_given}
    )
    ablated = Study(config, study.folder, data=study.data, command=study.command)
    results = ablated.compare(jobs=jobs, engine=engine, progress=progress)
    shown = [row.shown() for row in rows]
    trained = ablated._trained
    if trained is not None and STACKED in trained.runs:
        results = with_steps(results, trained, config, STACKED)
        place = next(i for i, row in enumerate(shown) if row.method == STACKED)
        shown[place:place] = [
            Row(step_name(STACKED, step), label, STEPPED, of_steps).shown()
            for step, label in STEPS.items()
        ]
    return replace(results, rows=tuple(shown))


def _named(
    method: str, label: str, form: str, relations: str, options: Mapping[str, Mapping[str, Any]]
) -> Row:
    section: dict[str, Any] = {
        "method": method,
        "name": f"{method} ({form})" if relations == "given" else f"{method} ({form}, {relations})",
        "couplings": {name: options[name] for name in find_method(method).couplings},
    }
    if relations != "given":
        section["relations"] = {"from": relations}
    return Row(MethodSection.model_validate(section), label, form, relations)


def _origin(name: str) -> Origin:
    for origin in ORIGINS:
        if origin == name:
            return origin
    raise LabelweaveError(
        f"relations from '{name}', expected {listing(ORIGINS)}{nearest(name, ORIGINS)}"
    )

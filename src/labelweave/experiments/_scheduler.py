"""The course of a study: methods that come first, then relations and teachers, then the others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from labelweave._progress import runs_bar
from labelweave.errors import TrainingError
from labelweave.experiments._config import StudyConfig
from labelweave.experiments._context import StudyContext
from labelweave.experiments._executor import derive_runs, train_runs
from labelweave.experiments._relating import relate_runs
from labelweave.experiments._runs import Run, plan_run
from labelweave.fitting._methods import UNCOUPLED, Method
from labelweave.fitting._relating import RelationQuery, with_findings
from labelweave.fitting._split import Split
from labelweave.relations import Relatedness
from labelweave.relations._relate import Origin

ByOrigin = dict[Origin, list[Relatedness]]


@dataclass(frozen=True)
class Trained:
    """What training all methods gave.

    Attributes:
        splits: by method the data that it was trained on, one a seed.
        runs: by method its runs, in the same order; a method that failed on some seed is left out.
        related: by origin the relatedness of every seed; of an origin that no method asks for, of
            the first seed only.
        failures: what went wrong: method, seed, error.
    """

    splits: dict[str, Sequence[Split]]
    runs: dict[str, list[Run]]
    related: ByOrigin
    failures: list[dict[str, Any]]


def train_methods(
    context: StudyContext, methods: Sequence[str], splits: Sequence[Split]
) -> Trained:
    """Train every method on every seed, as far as its runs are not there.

    Args:
        context: the study at work.
        methods: the methods' names.
        splits: the data of every seed.

    Raises:
        TrainingError: every method failed on some seed, or no process lived to find the relations.
        WriteError: a file cannot be written.
    """
    config, folder = context.config, context.folder
    specs = {method: config.method(method) for method in methods}
    first = {method: splits for method, spec in specs.items() if not spec.comes_second}
    plan = plan_runs(first, config, folder)
    failures = train_runs(context, plan, first)
    derive_runs(context, plan, splits)
    related = find_related(context, methods, splits, plan)
    used = dict(first)
    waiting = {method: spec for method, spec in specs.items() if method not in first}
    # a teacher may itself wait for relations: its student is trained in one more round
    while ready := {m: spec for m, spec in waiting.items() if _taught(spec, plan)}:
        waiting = {m: spec for m, spec in waiting.items() if m not in ready}
        found = {
            method: used.get(spec.teacher or "", splits)
            if spec.estimated is None
            else [
                with_findings(split, each, spec)
                for split, each in zip(splits, related[spec.estimated], strict=True)
            ]
            for method, spec in ready.items()
            if spec.estimated is None or related[spec.estimated]
        }
        runs = plan_runs(found, config, folder)
        failures += train_runs(context, runs, found)
        plan |= runs
        used |= found
    ended = [
        method for method in methods if method in plan and all(run.done for run in plan[method])
    ]
    if not ended:
        raise TrainingError(f"every method failed, the first: {failures[0]['error']}")
    return Trained(used, {method: plan[method] for method in ended}, related, failures)


def _taught(spec: Method, plan: Mapping[str, Sequence[Run]]) -> bool:
    """Return whether the models that teach a method are all there, if it has a teacher."""
    if spec.teacher is None:
        return True
    return spec.teacher in plan and all(run.done for run in plan[spec.teacher])


def plan_runs(
    splits: Mapping[str, Sequence[Split]], config: StudyConfig, folder: Path
) -> dict[str, list[Run]]:
    """Return by method its runs on its splits."""
    prints: dict[int, dict[str, str]] = {}
    for split in (split for of_method in splits.values() for split in of_method):
        prints.setdefault(id(split), split.fingerprint())
    plan = {
        method: [plan_run(method, split, prints[id(split)], config, folder) for split in of_method]
        for method, of_method in splits.items()
    }
    # methods that differ in name only share a folder
    first: dict[tuple[int, str], Path] = {}
    return {
        method: [
            replace(run, folder=first.setdefault((run.seed, run.key), run.folder)) for run in runs
        ]
        for method, runs in plan.items()
    }


def find_related(
    context: StudyContext,
    methods: Sequence[str],
    splits: Sequence[Split],
    plan: Mapping[str, Sequence[Run]],
) -> ByOrigin:
    """Return by origin the relatedness of every seed, or nothing where a run has failed.

    Methods that take an expert's tables as given use them all; on the first seed these are judged
    all the same, so that the report says what holds.
    """
    config, data = context.config, context.data
    specs = [config.method(name) for name in methods]
    wanted = list(dict.fromkeys(o for spec in specs if (o := spec.estimated) is not None))
    related: ByOrigin = {origin: [] for origin in wanted}
    base = plan.get(UNCOUPLED, ())
    query = RelationQuery(data.pairs, data.known, any(spec.noise for spec in specs))
    if not (wanted or data.known) or not base or not all(run.done for run in base):
        return related
    first = [*wanted, "knowledge"] if data.known else wanted
    origins = [list(dict.fromkeys(first)), *[wanted] * (len(splits) - 1)]
    found: dict[int, dict[Origin, Relatedness]] = {}
    with runs_bar(context.progress) as bar:
        shown = bar.add_task(f"{config.name}: relations", total=len(splits), last="")
        for number, by_origin in relate_runs(context, splits, base, origins, query):
            found[number] = by_origin
            bar.update(shown, advance=1, last=f"seed {splits[number].seed}")
    for number in range(len(splits)):
        for origin, each in found[number].items():
            related.setdefault(origin, []).append(each)
    return related

"""In stages: start with the most related tasks, then add the next one and see what it adds."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from labelweave._messages import Text
from labelweave.errors import LabelweaveError
from labelweave.experiments._study import Study
from labelweave.relations import TaskPair
from labelweave.relations._graph import NextTask, order_tasks
from labelweave.results import read_results


@dataclass(frozen=True)
class Stage:
    """What to run next.

    Attributes:
        tasks: the tasks of the stage.
        added: the task that the stage before did not have; None = there was none before.
        reason: in words.
        before: the results folder of the stage before.
        following: what the stage after would add, None = no other task promises anything.
    """

    tasks: tuple[str, ...]
    added: str | None
    reason: Text
    before: Path | None
    following: NextTask | None


def next_stage(study: Study, *, progress: bool = True) -> Stage:
    """Return the stage after the one that was run last: its tasks and the most related other one.

    Before any stage the start: the two or three tasks that gain most from each other. Trains the
    method ``multi_task`` of all tasks on the first seed, where it is not there already.

    Args:
        study: the study of all tasks.
        progress: show a bar when on a terminal.

    Raises:
        LabelweaveError: there is no evidence to join any tasks, or all are joined.
        TrainingError: the training failed.
    """
    name = study.config.name
    last = _last(study)
    if last is not None and len(last[1]) == len(study.data.tasks):
        raise LabelweaveError(f"study '{name}': all tasks are joined, see {last[0]}")
    found = study.relate(progress=progress)
    if last is None:
        if not found.proposal.tasks:
            raise LabelweaveError(f"study '{name}': {found.proposal.reason}")
        start = found.proposal.tasks
        return Stage(start, None, found.proposal.reason, None, promising(found.ranking, start))
    folder, tasks = last
    added = promising(found.ranking, tasks)
    if added is None:
        raise LabelweaveError(
            f"study '{name}': no other task promises a gain to {', '.join(tasks)} or from it; the "
            "other tasks should be trained separately"
        )
    tasks = (*tasks, added.task)
    return Stage(tasks, added.task, added.reason, folder, promising(found.ranking, tasks))


def promising(ranking: Sequence[TaskPair], tasks: Sequence[str]) -> NextTask | None:
    """Return the task with the largest expected gain, None where no other promises one."""
    return next((each for each in order_tasks(ranking, tasks) if each.gain > 0), None)


def _last(study: Study) -> tuple[Path, tuple[str, ...]] | None:
    """Return folder and tasks of the stage that was run last, None before any."""
    names = [task.name for task in study.data.tasks]
    stages = []
    for path in study.output.parent.glob(f"{study.config.name}.*/results.json"):
        try:
            results = read_results(path.parent)
            tasks = tuple(results.settings.get("only") or ())
            if results.study == study.config.name and tasks and set(tasks) <= set(names):
                stages.append((results.created, path.parent, tasks))
        except LabelweaveError:
            continue
    return max(stages)[1:] if stages else None

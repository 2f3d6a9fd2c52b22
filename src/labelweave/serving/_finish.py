"""From a study to its final model: the recommended method, fitted on all labelled rows."""

import json
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import replace as changed
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

import labelweave
from labelweave._files import locked, unwritable
from labelweave._parsing import read_json_object
from labelweave._progress import fit_status
from labelweave.annotations import Annotations
from labelweave.class_priors import labelled_prior, population_prior, source_priors
from labelweave.data import Collection, Source
from labelweave.data._row_hashes import SALT, row_hashes
from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.evaluation import best_thresholds
from labelweave.evaluation._questions import question_names
from labelweave.fitting._fit import fit
from labelweave.fitting._methods import METHODS, UNCOUPLED, Method
from labelweave.fitting._relating import RelationQuery, relate_split, with_findings
from labelweave.fitting._split import Split, held_out, make_training_split
from labelweave.fitting._stack import StackModel
from labelweave.fitting._student import student_targets
from labelweave.fitting._versions import FIRST, next_version, point_to, version
from labelweave.model import EncodedPredictor, Model
from labelweave.relations import AnyRelation, Relation
from labelweave.relations._relatedness import relation_table
from labelweave.results import CONTROLS, Results, plain, read_results
from labelweave.serving._expectations import expected_of_study, expected_out_of_fold
from labelweave.serving._final import (
    FORMAT,
    Calibrated,
    FinalFacts,
    Forgotten,
    load,
    saved_relations,
    write_final,
)
from labelweave.serving._reference import make_reference, write_reference
from labelweave.serving._thresholds import chosen_thresholds, parse_rules
from labelweave.tasks import Multiclass
from labelweave.trust import (
    Calibration,
    CalibrationFigures,
    CrossFit,
    Predictions,
    calibration_figures,
    cross_calibrate,
)
from labelweave.trust._predictions import learnable_labels
from labelweave.trust._saved_sets import saved_sets

if TYPE_CHECKING:
    from labelweave.experiments import Study

FOLDS = 3  # of the out-of-fold predictions
FOLDER, NEW, OLD = "model", ".model.new", ".model.old"
STUDENT, STACKS = "student", ("stack", "student")
WITHOUT_EFFECT = (  # keys that change no model
    "language", "tracking", "use", "label_next", "label_tools", "label_curves", "prices", "tune",
    "output",
    "statistics", "methods", "seeds",
)  # fmt: skip


@dataclass(frozen=True)
class Fitted:
    """What a fit on all rows gave: the model, the stack that taught it, and its split."""

    model: EncodedPredictor
    stack: StackModel | None
    split: Split
    evidence: dict[str, Any]


def finish(
    study: "str | Path | Study",
    method: str | None = None,
    *,
    full: bool = False,
    new_version: bool = False,
    thresholds: Mapping[str, str] | None = None,
    progress: bool = False,
) -> Path:
    """Fit a study's method on all labelled rows, test rows included, and write the final model.

    Where the method is a stack of learners, the network that it teaches becomes the model. Labels
    that the study hid (``scatter``) are used. Where the study stops its training early, its
    validation rows still only stop it. Three more fits, each without a third of the rows, show what
    predictions of unseen rows look like (`labelweave.serving.monitor`); they also measure the
    network that a stack teaches where the study has no method ``student`` that did. Thresholds are
    those of the study's runs, a mean over the seeds. The folder is written whole or not at all.

    Args:
        study: a study file, the results folder of a study, or a `Study`; it must have run.
        method: the method; None = the one that the study recommends.
        full: keep the stack as well.
        new_version: where there is a model, keep its versions and make this the next one, in use
            from then on; `rollback` goes back.
        thresholds: by task of labels what is wanted of it: ``f1``, ``precision:0.9``,
            ``recall:0.95``, or ``cost:5`` where a miss costs five false alarms; chosen on
            out-of-fold labels, for each label.
        progress: show what is fitted, when on a terminal.

    Returns:
        The folder ``model`` in the study's results folder; `load` reads its version in use.

    Raises:
        LabelweaveError: no results, settings that changed since, a method without a model, or a
            model that is there already.
        TrainingError: the loss is no longer finite.
        WriteError: a file cannot be written.
    """
    given = study_at(study)
    results = read_results(given.output)
    _check_settings(given, results)
    chosen = _method(results, method)
    spec = given.config.method(chosen)
    if full and spec.kind not in STACKS:
        raise LabelweaveError(
            f"--full: found the method '{chosen}', which is a network already, expected a stack "
            "('coupled')"
        )
    rules = dict(thresholds or {})
    parse_rules(rules, given.data.tasks)
    target = given.output / FOLDER
    if target.exists() and not new_version:
        raise LabelweaveError(
            f"{target}: is there already; --new-version keeps it and makes the next version"
        )
    with locked(given.output):
        there = target.exists()
        number = next_version(target) if there else FIRST
        forgotten = load(target).facts.forgotten if there else []
        given = without_rows(given, forgotten)
        split = all_rows(given)
        made = fit_all(given, spec, split, progress)
        held = out_of_fold(given, spec, split, progress)
        write_model(
            version(target, number).folder, given, results, chosen, made, held, full, rules=rules,
            forgotten=forgotten,
        )  # fmt: skip
        if number != FIRST:
            point_to(target, number)
    return target


def out_of_fold(
    study: "Study", spec: Method, split: Split, progress: bool, folds: int = FOLDS
) -> dict[str, NDArray[np.float64]]:
    """Return what fits without them predict of the training rows, by task (n, width).

    Uncalibrated, under the training prior. They are what predictions of new rows look like: they
    calibrate the model and set its thresholds, and `labelweave monitor` compares with them.
    """
    tasks, n = split.train.annotations.tasks, len(split.train.index)
    found = {task.name: np.zeros((n, task.width)) for task in tasks}
    for fold, out in held_out(split, folds):
        model = fit_all(study, spec, changed(fold, relations=split.relations), progress).model
        for name, p in model.uncalibrated(fold.test.inputs).items():
            found[name][out] = p
    return found


def write_model(
    target: Path,
    study: "Study",
    results: Results,
    method: str,
    made: Fitted,
    held: Mapping[str, NDArray[np.float64]],
    full: bool,
    added: Sequence[dict[str, Any]] = (),
    rules: Mapping[str, str] | None = None,
    measured: Split | None = None,
    forgotten: Sequence[Forgotten] = (),
    folds: int = FOLDS,
) -> None:
    """Write a final model to a folder, whole or not at all.

    Args:
        target: the folder; one that is there is replaced.
        study: the study, with all sources of the fit.
        results: of the study.
        method: that was fitted.
        made: what the fit gave.
        held: uncalibrated out-of-fold probabilities of the rows of `measured` (`out_of_fold`).
        full: write the stack as well.
        added: sources that updates added; the study's figures are then not those of this fit.
        rules: by task what its thresholds are to reach (`finish`).
        measured: the rows that are known; None = those of the fit.
        forgotten: sources and rows that are left out; the study's figures are of other rows then.
        folds: of `held`.
    """
    whole = measured or made.split
    labels, wishes = whole.train.annotations, parse_rules(rules or {}, study.data.tasks)
    judged = learnable_labels(labels, whole.train.groups)
    fitted = cross_calibrate(Predictions(judged, held, whole.train.groups), whole.seed)
    taught = made.stack is not None and STUDENT in results.methods
    by = STUDENT if taught else method
    _add_thresholds(made.model, study.output, results, by)
    if made.stack is not None:
        made.stack.thresholds.update(made.model.thresholds)
    made.model.calibration = fitted.calibration
    shares = _shares(whole, _relations(made))
    if made.stack is not None:  # a student's own fit knows no relations
        made.model.priors["population"] = shares
    raw, shown = (
        made.model.under_prior(each.probabilities) for each in (fitted.before, fitted.after)
    )
    _choose_again(made.model, fitted.calibration, shown, judged)
    made.model.thresholds.update(chosen_thresholds(wishes, shown, labels))
    if made.stack is not None:
        made.stack.thresholds.update(chosen_thresholds(wishes, raw, labels))
    salt = secrets.token_bytes(SALT)
    sides = (whole.train, whole.validation)
    hashes = np.concatenate([row_hashes(side.inputs, salt) for side in sides])
    facts = _facts(study, results, method, made, salt)
    by_study = not added and not forgotten and (made.stack is None or taught)
    facts = facts.model_copy(
        update={
            "added": list(added),
            "forgotten": list(forgotten),
            "rules": dict(rules or {}),
            "calibration": calibration_facts(fitted),
            "measured": by if by_study else facts.network,
            "measured_on": "test rows" if by_study else "out-of-fold rows",
            "expected": expected_of_study(results, by)
            if by_study
            else expected_out_of_fold(whole.train, shown, made.model.thresholds),
        }
    )
    rows = study.data.collection.inputs.iloc[whole.train.index]
    parts = np.zeros(len(rows), np.int64)
    for number, (_, out) in enumerate(held_out(whole, folds)):
        parts[out] = number
    reference = make_reference(
        made.model.encoder.schema, rows, shown, labels, made.model.thresholds,
        saved_relations(facts, made.model.tasks, target), parts,
    )  # fmt: skip
    sets = saved_sets(Predictions(judged, shown, whole.train.groups), shares)
    with _replacing_folder(target) as new:
        write_final(new, made.model, facts, hashes, sets, made.stack if full else None)
        write_reference(new, reference)
        load(new, full=full)  # what cannot be read again must not take the name


def study_at(study: "str | Path | Study") -> "Study":
    """Return the study of a study file or of a results folder; a `Study` as it is.

    Raises:
        LabelweaveError: no such study, or no data where its results folder expects them.
    """
    from labelweave.experiments import Study, parse_study

    if isinstance(study, Study):
        return study
    path = Path(study)
    if not path.is_dir():
        return Study.from_file(path)
    settings = dict(read_results(path).settings)
    config = parse_study(settings, f"{path / 'results.json'}, settings")
    depth, parents = len(Path(config.output).parts), path.resolve().parents
    found = parents[depth] if depth < len(parents) else parents[-1]
    opened = Study(config, found) if (found / config.output).exists() else None
    if opened is None or opened.output.resolve() != path.resolve():
        raise LabelweaveError(
            f"{path}: found no data of the study from here, expected the study file instead of "
            "its results folder"
        )
    return opened


def _check_settings(study: "Study", results: Results) -> None:
    from labelweave.experiments._results import _settings

    now = json.loads(json.dumps(_settings(study.config), default=str))
    then = json.loads(json.dumps(dict(results.settings), default=str))
    for key in sorted({*now, *then}):
        if key not in WITHOUT_EFFECT and now.get(key) != then.get(key):
            raise LabelweaveError(
                f"key '{key}': has changed since the study ran, expected the settings of its "
                f"results; run it again ({results.command})"
            )


def with_sources(study: "Study", added: Sequence[Mapping[str, Any]]) -> "Study":
    """Return a study with the sources that updates of its model added."""
    from labelweave.experiments import Study
    from labelweave.experiments._sections import SourceSection

    if not added:
        return study
    names = [f"{each['name']} {place}" for place, each in enumerate(added, start=1)]
    sections = [
        SourceSection(**{**each, "name": name}) for each, name in zip(added, names, strict=True)
    ]
    changes = {"sources": [*study.config.sources, *sections]}
    return Study(study.config.model_copy(update=changes), study.folder)


def without_rows(study: "Study", forgotten: Sequence[Forgotten]) -> "Study":
    """Return a study without the sources and rows that its model has forgotten."""
    from labelweave.experiments import Study

    if not forgotten:
        return study
    whole = {each.source for each in forgotten if each.rows is None}
    config = study.config.model_copy(
        update={"sources": [each for each in study.config.sources if each.called not in whole]}
    )
    data = Study(config, study.folder).data if whole else study.data
    rows: dict[str, set[int]] = {}
    for each in forgotten:
        rows.setdefault(each.source, set()).update(each.rows or ())
    kept = []
    for source in data.collection.sources:
        left = ~np.isin(source.numbers, list(rows.get(source.name, ())))
        if left.any():
            groups = None if source.groups is None else source.groups[left]
            kept.append(
                Source(
                    source.name, source.inputs[left], source.annotations[left], groups,
                    source.split, source.numbers[left],
                )
            )  # fmt: skip
    collection = Collection(kept, data.collection.schema)
    return Study(config, study.folder, data=changed(data, collection=collection))


def _method(results: Results, name: str | None) -> str:
    chosen = name or results.recommended.method
    usable = [
        each for each in results.method_names if each not in CONTROLS or each == "best_single_task"
    ]
    if chosen not in usable:
        raise LabelweaveError(
            f"method: found '{chosen}', expected one of the study's methods that keep a model, "
            f"{listing(usable)}{nearest(chosen, usable)}"
        )
    return chosen


def all_rows(study: "Study") -> Split:
    """Return a split whose training rows are all rows, with all their labels."""
    config, data = study.config, study.data
    free = [changed(source, split=None) for source in data.collection.sources]
    collection = Collection(free, data.collection.schema)
    kept = [task.name for task in data.tasks]
    labels = collection.annotations.only(kept)
    relations = data.relations(labels, strict=config.needs_given_relations())
    stops = config.training.patience is not None
    split = make_training_split(
        collection, collection.source, relations, config.inputs, config.seed_list()[0],
        validation=config.split.validation if stops else 0, stores=data.stores,
    )  # fmt: skip
    train, validation = (
        changed(side, annotations=side.annotations.only(kept))
        for side in (split.train, split.validation)
    )
    return changed(split, train=train, validation=validation, source_names=collection.names)


def fit_all(
    study: "Study",
    spec: Method,
    split: Split,
    progress: bool,
    start: EncodedPredictor | None = None,
) -> Fitted:
    """Fit a method on the training rows of a split, with relations estimated on them.

    The network starts from the weights of `start` where they fit; all before it starts anew.
    """
    from labelweave.fitting._checking import check_split

    config, evidence = study.config, {}
    former = start if isinstance(start, Model) else None
    check_split(split, config)
    with _one_thread():
        # a student uses what its teacher does
        teacher = config.method(str(spec.teacher)) if spec.kind == STUDENT else spec
        if (origin := teacher.estimated) is not None:
            query = RelationQuery(study.data.pairs, study.data.known, teacher.noise)
            base = fit(METHODS[UNCOUPLED], split, config, progress=progress)
            assert isinstance(base, Model)  # a joint network
            related = relate_split(split, base, config, [origin], query)[origin]
            split, evidence = with_findings(split, related, teacher), plain(related.summary())
        if spec.kind not in STACKS:
            model = fit(spec, split, config, start=former, progress=progress)
            assert isinstance(model, Model)
            return Fitted(model, None, split, evidence)
        stack = fit(teacher, split, config, progress=progress)
        assert isinstance(stack, StackModel)
        with fit_status(progress) as show:
            show("the student")
            taught = student_targets(stack, split)
        model = fit(
            METHODS[STUDENT], split, config, teachers=taught, start=former, progress=progress
        )
        assert isinstance(model, Model)
    return Fitted(model, stack, split, evidence)


def _add_thresholds(model: EncodedPredictor, output: Path, results: Results, method: str) -> None:
    """Set thresholds that no validation row of this fit gave: the mean of the study's runs."""
    found: dict[str, list[NDArray[np.float64]]] = {}
    for run in results.runs:
        if run.method == method:
            record = read_json_object(output / "runs" / run.folder / "run.json")
            for name, values in (record.get("thresholds") or {}).items():
                found.setdefault(name, []).append(np.asarray(values, np.float64))
    for task in model.tasks:
        values = [each for each in found.get(task.name, ()) if each.shape == (task.width,)]
        if values and task.name not in model.thresholds:
            model.thresholds[task.name] = np.clip(np.mean(values, axis=0), 0, 1)


def _choose_again(
    model: EncodedPredictor,
    calibration: Calibration,
    shown: Mapping[str, NDArray[Any]],
    labels: Annotations,
) -> None:
    """Choose the thresholds of calibrated labels again; those of before are on another scale."""
    for task in model.tasks:
        if task.name not in model.thresholds:
            continue
        kinds = [calibration.maps[name].kind for name in question_names(task)]
        new = best_thresholds(task, shown[task.name], labels.labels[task.name])
        changed_ones = np.array([kind != "none" for kind in kinds])
        model.thresholds[task.name] = np.where(changed_ones, new, model.thresholds[task.name])


def calibration_facts(fitted: CrossFit) -> list[Calibrated]:
    """Return the figures of every question before and after calibration."""
    before, after = (calibration_figures(rows) for rows in (fitted.before, fitted.after))

    def figures(found: CalibrationFigures) -> dict[str, float | None]:
        return {"ece": found.ece, "brier": found.brier, "log_loss": found.log_loss}

    return [
        Calibrated(
            question=name,
            kind=fitted.calibration.maps[name].kind,
            n=each.n,
            before=figures(each),
            after=figures(after[name]),
        )
        for name, each in before.items()
    ]


def _facts(study: "Study", results: Results, method: str, made: Fitted, salt: bytes) -> FinalFacts:
    from labelweave.experiments._results import environment

    split = made.split
    given = [split.train.annotations, split.validation.annotations]
    return FinalFacts(
        format=FORMAT,
        labelweave=labelweave.__version__,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        study=results.study,
        method=method,
        network=method if made.stack is None else STUDENT,
        seed=split.seed,
        rows=len(split.train.index),
        held_out=len(split.validation.index),
        labels={
            task.name: sum(int((side.labels[task.name] >= 0).sum()) for side in given)
            for task in given[0].tasks
        },
        sources=list(study.data.collection.names),
        licenses={each.called: each.license for each in study.config.sources},
        use=study.config.use,
        measured=method,
        expected=[],
        relations=[plain(relation_table(relation)) for relation in _relations(made)],
        evidence=made.evidence or plain(results.relatedness),
        versions=environment(),
        salt=salt.hex(),
    )


def _shares(split: Split, relations: Sequence[AnyRelation]) -> dict[str, NDArray[np.float64]]:
    """Return the shares of every task's classes among all rows, labelled or not.

    Labels that were chosen by class, such as five of each, do not show them; the labels of related
    tasks do, through the relations.
    """
    labels = split.train.annotations
    training = {task.name: labelled_prior(labels, task.name) for task in labels.tasks}
    own = source_priors(labels, split.source, relations, training)
    return population_prior(own, split.source)


def _relations(made: Fitted) -> list[AnyRelation]:
    """Return the relations of the fit; a stack's with the strengths that it gave them.

    A stack without given relations estimates tables itself.
    """
    given = {each.name: each for each in made.split.relations}
    if made.stack is None:
        return list(given.values())
    links = made.stack.stack.links
    strengths = {each.name: (each.to_source + each.to_target) / 2 for each in links}
    found: list[AnyRelation] = [
        changed(each, strength=strengths.get(name, each.strength)) for name, each in given.items()
    ]
    for link in links:
        if link.name not in given and isinstance(link.source, Multiclass):
            found.append(
                Relation(
                    link.source, link.target, link.table, link.known, strengths[link.name],
                    "estimated",
                )
            )  # fmt: skip
    return found


@contextmanager
def _replacing_folder(target: Path) -> Iterator[Path]:
    """Give a new folder to write to; it takes the name of `target` when the block succeeds."""
    new, old = target.with_name(NEW), target.with_name(OLD)
    try:
        for left in (new, old):
            shutil.rmtree(left, ignore_errors=True)
        new.mkdir(parents=True)
        yield new
        if target.exists():
            target.replace(old)
        new.replace(target)
    except OSError as error:
        raise unwritable(target, error) from error
    finally:
        if old.exists() and not target.exists():  # the last step failed: the old one stays
            old.replace(target)
        for left in (new, old):
            shutil.rmtree(left, ignore_errors=True)


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # small steps are slower on two
    try:
        yield
    finally:
        torch.set_num_threads(threads)

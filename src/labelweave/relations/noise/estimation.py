"""`estimate_noise`: how labels err, found through the relations between tasks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv

from labelweave.annotations import Annotations
from labelweave.relations.estimation.checks import checked_predictions, checked_sources
from labelweave.relations.estimation.columns import Matrix
from labelweave.relations.noise.em import NoiseEM
from labelweave.relations.noise.mislabelled import Mislabelled, mislabelled
from labelweave.relations.noise.noise import Noise
from labelweave.relations.relation import Relation
from labelweave.remarks import Remark
from labelweave.tasks import Multiclass, Task

LEAST_RATE = 0.02  # fewer wrong labels than this are not worth a model
LEAST_GAIN = 3.0  # nats (a factor of 20) by which noise must explain the labels better than none
LEAST_SHARE = 0.7  # share of the labels in classes that have one clean label


@dataclass(frozen=True, eq=False)
class NoiseReport:
    """What `estimate_noise` found.

    Attributes:
        examined: every task that the relations speak about, with the confusion as estimated.
        found: those with noise, in the form that the losses take; labels of a multilabel task
            that are clean have the identity there.
        relations: the relations, their tables about noisy targets being those of clean labels.
        mislabelled: labels that are likely wrong, the likeliest first.
    """

    examined: tuple[Noise, ...]
    found: tuple[Noise, ...]
    relations: tuple[Relation, ...]
    mislabelled: tuple[Mislabelled, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON-able values, without single labels."""
        return {
            "examined": [noise.to_dict() for noise in self.examined],
            "found": {noise.task.name: noise.noisy for noise in self.found},
            "mislabelled": len(self.mislabelled),
        }


def estimate_noise(
    annotations: Annotations,
    predictions: Mapping[str, ArrayLike],
    relations: Sequence[Relation],
    *,
    sources: ArrayLike | None = None,
    clean: bool = False,
) -> NoiseReport:
    """Estimate the label noise of the tasks that relations speak about; no clean label is needed.

    Labels of rows of one class should agree where the class has one clean label; how they disagree,
    alike in all classes, is the noise. EM over the class of each row without one: the table of the
    labels found is the clean table times the confusion. Noise counts as found where it explains
    the labels better than a vague table without noise, from 2 % wrong labels on.

    Args:
        annotations: labels of n training rows.
        predictions: per task (n, K) or (n, L) probabilities of a multi-task model trained on these
            rows without coupling; only those of the relations' source tasks are looked at, on
            rows without their label.
        relations: the relations, tables of the labels as found (those of `estimate_relations`).
        sources: (n,) number of the data source of every row; each has its own confusion, drawn to
            that of all where its labels are few.
        clean: the tables are of clean labels, as an expert's are.

    Raises:
        LabelweaveError: predictions or sources of a wrong shape, or no probability.
    """
    names = list(dict.fromkeys(relation.source.name for relation in relations))
    given = checked_predictions(annotations, predictions, names) if names else {}
    data_source = checked_sources(sources, len(annotations))
    work = {}
    for name in names:
        group = [relation for relation in relations if relation.source.name == name]
        work[name] = NoiseEM(group, annotations, given, data_source, clean)
        work[name].run()
    examined: dict[str, Noise] = {}
    found: dict[str, Noise] = {}
    tables: dict[str, Relation] = {}
    wrong: list[Mislabelled] = []
    # a target of several sources is judged by the one that explains its labels best
    ordered = sorted(relations, key=lambda r: -_gain(work[r.source.name], r.target))
    for relation in ordered:
        target, em = relation.target, work[relation.source.name]
        noisy = _noisy_blocks(em, target)
        if target.name in examined:
            if target.name in found and noisy.any():
                tables[relation.name] = _cleaned(em, relation, noisy)
            continue
        examined[target.name] = _noise(em, target)
        if noisy.any():
            found[target.name] = _noise(em, target, keep=noisy)
            tables[relation.name] = _cleaned(em, relation, noisy)
            for block in np.flatnonzero(em.columns.target == em.number(target))[noisy]:
                wrong += mislabelled(em.columns, int(block), *em.clean_labels(int(block)))
    targets = dict.fromkeys(relation.target.name for relation in relations)
    return NoiseReport(
        tuple(examined[name] for name in targets),
        tuple(found[name] for name in targets if name in found),
        tuple(tables.get(relation.name, relation) for relation in relations),
        tuple(sorted(wrong, key=lambda each: -each.probability)),
    )


def _interval(em: NoiseEM, block: int) -> tuple[Matrix, Matrix, Matrix]:
    """Return rate, low and high of a block, each (D,)."""
    unmixed = em.unmixed[block]
    a, b = unmixed.wrong + 0.5, unmixed.support - unmixed.wrong + 0.5
    low, high = (np.asarray(betaincinv(a, b, tail), np.float64) for tail in (0.025, 0.975))
    return a / (a + b), low, high


def _gain(em: NoiseEM, target: Task) -> float:
    blocks = np.flatnonzero(em.columns.target == em.number(target))
    return sum(em.unmixed[block].gain for block in blocks)


def _noisy_blocks(em: NoiseEM, target: Task) -> NDArray[np.bool_]:
    verdicts = []
    for block in np.flatnonzero(em.columns.target == em.number(target)):
        unmixed = em.unmixed[block]
        share = unmixed.support.sum() / max(1e-9, em.counted[block])
        sure = unmixed.gain > LEAST_GAIN and share > LEAST_SHARE
        sure = sure and unmixed.labels > 1
        # of any clean label, most labels found must be right
        sure = sure and unmixed.confusion.diagonal(axis1=1, axis2=2).min() > 0.5
        verdicts.append(sure and bool((_interval(em, int(block))[1] > LEAST_RATE).any()))
    return np.array(verdicts)


def _noise(em: NoiseEM, target: Task, keep: NDArray[np.bool_] | None = None) -> Noise:
    """Return the noise of a target; blocks not in `keep` get the identity."""
    blocks = np.flatnonzero(em.columns.target == em.number(target))
    confusion = np.stack([em.unmixed[b].confusion for b in blocks], axis=1)
    if keep is not None:
        confusion[:, ~keep] = np.eye(confusion.shape[-1])
    # a label's block is (on, off), its confusion (off, on)
    confusion = confusion[:, 0] if isinstance(target, Multiclass) else confusion[..., ::-1, ::-1]
    rate, low, high = np.stack([_interval(em, int(b)) for b in blocks], axis=2)
    support = np.stack([em.unmixed[b].support for b in blocks], axis=1)
    return Noise(target, confusion, rate, low, high, support)


def _cleaned(em: NoiseEM, relation: Relation, noisy: NDArray[np.bool_]) -> Relation:
    table = em.columns.part(em.table, em.number(relation.target))
    kept = np.broadcast_to(noisy, table.shape)
    # what is unknown stays so, and entries of labels without noise as they were
    table = np.where(relation.mask & kept, table, relation.table)
    origin = Remark("remark.noise_taken_out", origin=relation.origin)
    return replace(relation, table=table, origin=origin)

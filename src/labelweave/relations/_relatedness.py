"""Relatedness: what was found about how tasks relate, to be read, questioned and handed back."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from labelweave._files import LARGEST_TENSORS, check_regular, make_folder, replacing, write_csv
from labelweave._messages import Message, Text
from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.relations._estimation import EstimatedRelation
from labelweave.relations._evidence import Evidence, Interval, LabelEvidence
from labelweave.relations._graph import Proposal, TaskPair
from labelweave.relations._label_noise import Mislabelled, Noise, NoiseReport, nested
from labelweave.relations._noisy_or import LEAK, AnyRelation, NoisyOr
from labelweave.relations._relation import Relation
from labelweave.relations._transfer_weights import TransferWeights
from labelweave.results import (
    ApartPair,
    Disagreement,
    EstimatedTable,
    PairGain,
    RelatednessSummary,
    RelationTable,
    StartProposal,
)
from labelweave.tasks import Binary, Multiclass, Multilabel, Task


@dataclass(frozen=True, eq=False)
class Relatedness:
    """Estimated relations with their evidence, and which tasks belong together.

    >>> from labelweave import Annotations, Multiclass, relate
    >>> kind, shape = Multiclass("kind", ("ball", "box")), Multiclass("shape", ("round", "square"))
    >>> truth = np.arange(80) % 2
    >>> labels = {"kind": np.where(np.arange(80) < 20, truth, -1), "shape": truth}
    >>> sure = np.where(truth[:, None] == [0, 1], 0.9, 0.1)
    >>> related = relate(Annotations((kind, shape), labels), {"kind": sure, "shape": sure})
    >>> related.estimate("kind->shape").relation.table.round(1).tolist()
    [[1.0, 0.0], [0.0, 1.0]]

    Attributes:
        estimates: the tables, with intervals, support and origin.
        noisy_ors: what two multilabel tasks have to do with each other.
        evidence: by relation name, whether it holds on held-out rows.
        relations: those that may couple tasks: with evidence, labels without lift left out, at
            most one way between two tasks; their strength carries the trust.
        left_out: by relation name, why it couples nothing.
        ranking: pairs of tasks by expected gain.
        proposal: with which tasks to start.
        noise: how labels err, with the relations' tables of clean labels; None = not asked for.
        transfer_weights: per task how much it has to learn through these relations
            (`estimate_transfer_weights`); empty
            without rows held out.
    """

    estimates: tuple[EstimatedRelation, ...]
    noisy_ors: tuple[NoisyOr, ...]
    evidence: Mapping[str, Evidence]
    relations: tuple[AnyRelation, ...]
    left_out: Mapping[str, Text]
    ranking: tuple[TaskPair, ...]
    proposal: Proposal
    noise: NoiseReport | None = None
    transfer_weights: TransferWeights = field(default_factory=dict)

    def estimate(self, name: str) -> EstimatedRelation:
        """Return the estimate of a relation, ``source->target``.

        Raises:
            LabelweaveError: no such relation.
        """
        for estimate in self.estimates:
            if estimate.relation.name == name:
                return estimate
        names = [estimate.relation.name for estimate in self.estimates]
        raise LabelweaveError(
            f"no relation '{name}', expected {listing(names)}{nearest(name, names)}"
        )

    @property
    def found(self) -> tuple[AnyRelation, ...]:
        """All relations that were estimated, tables and noisy-ORs, used or not."""
        return (*(estimate.relation for estimate in self.estimates), *self.noisy_ors)

    def table(self, name: str) -> pd.DataFrame:
        """Return a relation's table, classes of the source x classes or labels of the target.

        A noisy-OR has a row for each label of the source, and one named "leak". Unknown entries are
        NaN. `labelweave.report.write_heat_map` draws it.

        Raises:
            LabelweaveError: no such relation.
        """
        shown = relation_table(self._relation(name))
        table = pd.DataFrame(
            shown.table,
            index=pd.Index(shown.rows, name=shown.source),
            columns=pd.Index(shown.columns, name=shown.target),
        )
        return table.where(np.array(shown.known))

    def _relation(self, name: str) -> AnyRelation:
        for noisy_or in self.noisy_ors:
            if noisy_or.name == name:
                return noisy_or
        return self.estimate(name).relation

    def to_csv(self, folder: str | Path, *, formulas: bool = False) -> list[Path]:
        """Write every table as a CSV file that an expert can edit and a study file can name.

        Args:
            folder: where to; made where it is not there.
            formulas: leave names that a spreadsheet would run as a formula as they are; else they
                get a ' in front, which reading takes away again.

        Returns:
            The files, ``<source> to <target>.csv``.
        """
        path = Path(folder)
        path.mkdir(parents=True, exist_ok=True)
        files = []
        for relation in self.found:
            name = f"{_plain(relation.source.name)} to {_plain(relation.target.name)}.csv"
            table = self.table(relation.name).round(4)
            if relation.target.kind == "multiclass":
                # a row of rounded probabilities must still sum to one
                table = table.div(table.sum(axis=1, min_count=1), axis=0)
            table.columns = pd.Index(
                [f"{relation.target.name}={label}" for label in relation.target.names]
            )
            write_csv(
                path / name, table, index=True, index_label=relation.source.name, formulas=formulas
            )
            files.append(path / name)
        return files

    def summary(self) -> RelatednessSummary:
        """Return figures and words, as results and reports hold them."""
        return RelatednessSummary(
            estimates=tuple(estimated_table(estimate) for estimate in self.estimates),
            noisy_ors=tuple(relation_table(noisy_or) for noisy_or in self.noisy_ors),
            evidence=tuple(evidence.summary() for evidence in self.evidence.values()),
            used=tuple(relation.name for relation in self.relations),
            left_out=dict(self.left_out),
            noise=None if self.noise is None else self.noise.summary(),
            transfer_weights={
                name: nested(w.round(4)) for name, w in self.transfer_weights.items()
            },
            ranking=tuple(PairGain(**vars(pair)) for pair in self.ranking),
            proposal=StartProposal(
                self.proposal.tasks,
                self.proposal.reason,
                tuple(ApartPair(pair, reason) for pair, reason in self.proposal.apart.items()),
            ),
        )


def relation_table(relation: AnyRelation) -> RelationTable:
    """Return a relation as results hold it.

    A noisy-OR's table holds its weights, and the leak as the last row.
    """
    return RelationTable(**_table(relation))


def relation_of(saved: RelationTable, tasks: Mapping[str, Task]) -> AnyRelation:
    """Return the relation that `relation_table` described.

    Args:
        saved: the description.
        tasks: by name.

    Raises:
        LabelweaveError: an unknown task, or a table that does not fit its tasks.
    """
    for name in (saved.source, saved.target):
        if name not in tasks:
            raise LabelweaveError(
                f"relation {saved.name}: no task '{name}', expected {listing(tasks)}"
                f"{nearest(name, tasks)}"
            )
    source, target = tasks[saved.source], tasks[saved.target]
    table = np.array([[np.nan if v is None else v for v in row] for row in saved.table])
    known = np.isfinite(table) & (np.array(saved.known) if saved.known else True)
    table, strength = np.where(known, table, 0.0), 1.0 if saved.strength is None else saved.strength
    if saved.kind == "table":
        return Relation(source, target, table, known, strength, saved.origin)  # type: ignore[arg-type]
    if isinstance(source, Multiclass) or isinstance(target, Multiclass):
        raise LabelweaveError(f"relation {saved.name}: found a noisy-OR of exclusive classes")
    return NoisyOr(
        source,
        target,
        table[:-1],
        table[-1],
        known[:-1],
        strength,
        saved.origin,
    )


def estimated_table(estimate: EstimatedRelation) -> EstimatedTable:
    """Return a relation with intervals, support and the entries where expert and data disagree."""
    return EstimatedTable(
        **_table(estimate.relation),
        low=nested(estimate.low.round(6)),
        high=nested(estimate.high.round(6)),
        support=nested(estimate.support.round(2)),
        evidence_shares=nested(estimate.shares.round(4)),
        surprising=tuple(Disagreement(**vars(entry)) for entry in estimate.surprising()),
        wrong_rows=tuple(estimate.wrong_rows()),
    )


def _table(relation: AnyRelation) -> dict[str, Any]:
    rows, mask = tuple(relation.source.names), relation.mask
    if isinstance(relation, NoisyOr):
        table = np.concatenate([relation.weights, relation.leak[None]])
        rows, mask = (*rows, LEAK), np.concatenate([mask, relation.spoken[None]])
    else:
        table = relation.table
    return {
        "kind": "noisy-OR" if isinstance(relation, NoisyOr) else "table",
        "source": relation.source.name,
        "target": relation.target.name,
        "origin": relation.origin,
        "strength": relation.strength,
        "rows": rows,
        "columns": tuple(relation.target.names),
        "table": nested(table.round(6)),
        "known": nested(mask),
    }


def _plain(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in name)


# all that may be made from a file
KINDS: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        Binary, EstimatedRelation, Evidence, Interval, LabelEvidence, Message, Mislabelled,
        Multiclass, Multilabel, Noise, NoiseReport, NoisyOr, Proposal, Relatedness, Relation,
        TaskPair,
    )
}  # fmt: skip
Arrays = dict[str, NDArray[Any]]


def save_relatedness(found: Relatedness, path: Path) -> None:
    """Write a relatedness, whole or not at all.

    Args:
        found: what `relate` found.
        path: the file, for `load_relatedness`; its folder is made.

    Raises:
        WriteError: the file cannot be written.
    """
    arrays: Arrays = {}
    text = json.dumps(_written(found, arrays))
    make_folder(path.parent)
    with replacing(path) as temporary:
        # safetensors reports a full disk by other errors than the file system
        temporary.write_bytes(save(arrays, metadata={"relatedness": text}))


def load_relatedness(path: Path) -> Relatedness | None:
    """Return what `save_relatedness` wrote to `path`; None where no whole file is there."""
    if not path.exists():
        return None
    try:
        check_regular(path, LARGEST_TENSORS)
        with safe_open(path, "numpy") as file:
            found = _read(json.loads(file.metadata()["relatedness"]), file.get_tensor)
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return found if isinstance(found, Relatedness) else None


def _written(value: Any, arrays: Arrays) -> Any:
    if isinstance(value, np.ndarray):
        name = f"array {len(arrays)}"
        arrays[name] = np.ascontiguousarray(value)
        return {"array": name, "shape": list(value.shape)}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, tuple):
        return {"tuple": [_written(each, arrays) for each in value]}
    if isinstance(value, list):
        return [_written(each, arrays) for each in value]
    if isinstance(value, dict):
        return {"dict": [[_written(k, arrays), _written(v, arrays)] for k, v in value.items()]}
    if is_dataclass(value):
        named = {each.name: getattr(value, each.name) for each in fields(value)}
        return {"of": type(value).__name__, "fields": _written(named, arrays)}
    return value


def _read(value: Any, array: Callable[[str], NDArray[Any]]) -> Any:
    if isinstance(value, list):
        return [_read(each, array) for each in value]
    if not isinstance(value, dict):
        return value
    if "array" in value:
        found = array(value["array"]).reshape(value["shape"])
        found.setflags(write=False)
        return found
    if "tuple" in value:
        return tuple(_read(each, array) for each in value["tuple"])
    if "dict" in value:
        return {_read(k, array): _read(v, array) for k, v in value["dict"]}
    kind = KINDS[value["of"]]
    # constructors check and normalise, which was done before it was written
    made = object.__new__(kind)
    for name, each in _read(value["fields"], array).items():
        object.__setattr__(made, name, each)
    return made

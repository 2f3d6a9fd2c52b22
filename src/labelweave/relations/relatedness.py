"""Relatedness: what was found about how tasks relate, to be read, questioned and handed back."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.files import replacing
from labelweave.relations.estimation import Estimate
from labelweave.relations.evidence import Evidence
from labelweave.relations.grouping import Proposal, TaskPair
from labelweave.relations.noise import NoiseReport
from labelweave.relations.relation import Relation


@dataclass(frozen=True, eq=False)
class Relatedness:
    """Estimated relations with their evidence, and which tasks belong together.

    Attributes:
        estimates: the tables, with intervals, support and origin.
        evidence: by relation name, whether it holds on held-out rows. Noisy-OR relations of two
            multilabel tasks have evidence only: they are reported and not coupled.
        relations: those that may couple tasks: with evidence, labels without lift left out, at
            most one way between two tasks; their strength carries the trust.
        left_out: by relation name, why it couples nothing.
        ranking: pairs of tasks by expected gain.
        proposal: with which tasks to start.
        noise: how labels err, with the relations' tables of clean labels; None = not asked for.
    """

    estimates: tuple[Estimate, ...]
    evidence: Mapping[str, Evidence]
    relations: tuple[Relation, ...]
    left_out: Mapping[str, str]
    ranking: tuple[TaskPair, ...]
    proposal: Proposal
    noise: NoiseReport | None = None

    def estimate(self, name: str) -> Estimate:
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

    def table(self, name: str) -> pd.DataFrame:
        """Return a relation's table, classes of the source x classes or labels of the target.

        Unknown entries are NaN.
        """
        relation = self.estimate(name).relation
        table = pd.DataFrame(
            relation.table, index=list(relation.source.names), columns=list(relation.target.names)
        )
        return table.where(relation.mask)

    def to_csv(self, folder: str | Path) -> list[Path]:
        """Write every table as a CSV file that an expert can edit and a study file can name.

        Returns:
            The files, ``<source> to <target>.csv``.
        """
        path = Path(folder)
        path.mkdir(parents=True, exist_ok=True)
        files = []
        for estimate in self.estimates:
            relation = estimate.relation
            name = f"{_plain(relation.source.name)} to {_plain(relation.target.name)}.csv"
            table = self.table(relation.name).round(4)
            if relation.target.kind == "multiclass":
                # a row of rounded probabilities must still sum to one
                table = table.div(table.sum(axis=1, min_count=1), axis=0)
            table.columns = pd.Index(
                [f"{relation.target.name}={label}" for label in relation.target.names]
            )
            with replacing(path / name) as temporary:
                table.to_csv(temporary, index_label=relation.source.name)
            files.append(path / name)
        return files

    def plot(self, name: str, path: str | Path) -> Path:
        """Write a relation's heat map as .svg or .png.

        Raises:
            LabelweaveError: no such relation, or another ending.
        """
        # the picture is the one of the report; matplotlib is loaded only for it
        from labelweave.report.heat_maps import write_heat_map

        return write_heat_map(relation_to_dict(self.estimate(name).relation), Path(path))

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON-able values, for results and reports."""
        return {
            "estimates": [estimate_to_dict(estimate) for estimate in self.estimates],
            "evidence": [evidence.to_dict() for evidence in self.evidence.values()],
            "used": [relation.name for relation in self.relations],
            "left_out": dict(self.left_out),
            "noise": None if self.noise is None else self.noise.to_dict(),
            "ranking": [vars(pair) for pair in self.ranking],
            "proposal": {
                "tasks": list(self.proposal.tasks),
                "reason": self.proposal.reason,
                "apart": [
                    {"tasks": list(pair), "reason": reason}
                    for pair, reason in self.proposal.apart.items()
                ],
            },
        }


def relation_to_dict(relation: Relation) -> dict[str, Any]:
    """Return a relation in the form of a study's ``results.json``."""
    return {
        "source": relation.source.name,
        "target": relation.target.name,
        "origin": relation.origin,
        "strength": relation.strength,
        "rows": list(relation.source.names),
        "columns": list(relation.target.names),
        "table": relation.table.round(6).tolist(),
        "known": relation.mask.tolist(),
    }


def estimate_to_dict(estimate: Estimate) -> dict[str, Any]:
    """Return a relation with intervals, support and the entries where expert and data disagree."""
    return {
        **relation_to_dict(estimate.relation),
        "low": estimate.low.round(6).tolist(),
        "high": estimate.high.round(6).tolist(),
        "support": estimate.support.round(2).tolist(),
        "evidence_shares": estimate.shares.round(4).tolist(),
        "surprising": [vars(entry) for entry in estimate.surprising()],
        "wrong_rows": list(estimate.wrong_rows()),
    }


def _plain(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in name)

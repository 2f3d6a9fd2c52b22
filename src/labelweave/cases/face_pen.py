"""A pen that draws in the coordinates of a face, and the curves and colours that it draws."""

from collections.abc import Sequence
from math import cos, sin

import numpy as np
from PIL import Image, ImageDraw

from labelweave.cases.face_looks import Colour, Person, Point, View

CANVAS = 192  # pixels that a face is drawn on before it is made smaller
UNIT = 82.0  # pixels for half the height of a face


class Pen:
    """Draws in the coordinates of a face: x to the right, y down, 0 between the eyes' middle."""

    def __init__(self, person: Person, view: View) -> None:
        self.person, self.view = person, view
        self.image = Image.new("RGB", (CANVAS, CANVAS), view.ground)
        self.draw = ImageDraw.Draw(self.image)
        self.dark: Colour = mixed(person.skin, (40, 20, 20), 0.55)

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
            self.line(points, mixed(self.person.skin, self.dark, 0.35 + 0.65 * strength), 0.03)


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


def mixed(a: Colour, b: Colour, share: float) -> Colour:
    """Return a colour with a share of another one."""
    r, g, blue = (round(x + share * (z - x)) for x, z in zip(a, b, strict=True))
    return r, g, blue

"""How a drawn face looks when nothing moves, and how it is seen."""

from dataclasses import dataclass

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

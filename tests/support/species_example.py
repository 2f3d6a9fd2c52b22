"""Tiny data sets of animals, generated here in the exact layout of CUB-200-2011 and AwA2."""

from pathlib import Path

from faces_example import face
from persons_example import write

SPECIES = ("001.Black_footed_Albatross", "002.Laysan_Albatross", "003.Sooty_Albatross")
MARKS = ("has_bill_shape::curved_(up_or_down)", "has_wing_color::blue", "has_size::large")
ANIMALS = ("antelope", "grizzly+bear", "killer+whale", "beaver")
PREDICATES = ("black", "furry", "water")


def write_cub(root: Path, each: int = 10) -> Path:
    """Write CUB_200_2011/ and, next to it as in the archive, attributes.txt.

    Species s has attribute a where bit a of s + 1 is set; even images are for testing. Attribute 3
    is not visible on the first image of each species, and two lines have fields too many.
    """
    base, numbers = root / "CUB_200_2011", range(1, len(SPECIES) * each + 1)
    code = {n: (n - 1) // each for n in numbers}
    names = {n: f"{SPECIES[code[n]]}/bird_{n:04d}.jpg" for n in numbers}
    for n in numbers:
        face(base / "images" / names[n], 4 * code[n], n)
    write(base / "images.txt", [f"{n} {names[n]}" for n in numbers])
    write(base / "image_class_labels.txt", [f"{n} {code[n] + 1}" for n in numbers])
    write(base / "train_test_split.txt", [f"{n} {n % 2}" for n in numbers])
    write(base / "classes.txt", [f"{i} {name}" for i, name in enumerate(SPECIES, 1)])
    write(root / "attributes.txt", [f"{i} {name}" for i, name in enumerate(MARKS, 1)])
    rows = []
    for n in numbers:
        for mark in range(3):
            hidden = mark == 2 and n % each == 1
            extra = " 0 1.509" if n in (2, 3) and mark == 1 else ""
            on = code[n] + 1 >> mark & 1
            rows.append(f"{n} {mark + 1} {on} {1 if hidden else 4} 27.708{extra}")
    write(base / "attributes" / "image_attribute_labels.txt", rows)
    shares = [" ".join("97.5" if s + 1 >> m & 1 else "0" for m in range(3)) for s in range(3)]
    write(base / "attributes" / "class_attribute_labels_continuous.txt", shares)
    return root


def write_awa2(root: Path, each: int = 10) -> Path:
    """Write Animals_with_Attributes2/: the last animal is the zero-shot test class."""
    base = root / "Animals_with_Attributes2"
    for code, name in enumerate(ANIMALS):
        for i in range(1, each + 1):
            face(base / "JPEGImages" / name / f"{name}_{10000 + i}.jpg", 4 * code, 100 * code + i)
    write(base / "classes.txt", [f"{i:8d}\t{name}" for i, name in enumerate(ANIMALS, 1)])
    write(base / "predicates.txt", [f"{i:8d}\t{name}" for i, name in enumerate(PREDICATES, 1)])
    binary = [[code >> bit & 1 for bit in range(3)] for code in range(1, 5)]
    write(base / "predicate-matrix-binary.txt", [" ".join(map(str, row)) for row in binary])
    shares = [[f"{80.5 * on:7.2f}" for on in row] for row in binary]
    shares[0][0] = "  -1.00"
    write(base / "predicate-matrix-continuous.txt", ["".join(row) for row in shares])
    write(base / "trainclasses.txt", list(ANIMALS[:3]))
    write(base / "testclasses.txt", [ANIMALS[3]])
    return root

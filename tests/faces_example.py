"""Tiny data sets of faces, generated here in the exact layout of the official files."""

from pathlib import Path

import numpy as np
from PIL import Image

from labelweave.cases.raf_db import BASIC, COMPOUND


def face(path: Path, line: int, seed: int) -> None:
    """Write an image with a bright line whose place tells its class: 16 x 16 pixels with noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 40, (16, 16, 3)).astype(np.uint8)
    pixels[line % 16] += 200
    Image.fromarray(pixels).save(path, quality=95)


def write_raf_db(root: Path, train: int = 42, test: int = 14, labels: str = "basic") -> Path:
    """Write EmoLabel/ and Image/aligned/ below ``root/basic`` or ``root/compound``."""
    classes, rows = {"basic": BASIC, "compound": COMPOUND}[labels], []
    base = root / labels
    for part, n, digits in (("train", train, 5), ("test", test, 4)):
        for number in range(1, n + 1):
            code, name = number % len(classes) + 1, f"{part}_{number:0{digits}}"
            rows.append(f"{name}.jpg {code}")
            place = base / "Image" / "aligned" / f"{name}_aligned.jpg"
            face(place, 2 * code, number + 1000 * (part == "test"))
    (base / "EmoLabel").mkdir(parents=True)
    (base / "EmoLabel" / "list_patition_label.txt").write_text("\n".join(rows) + "\n")
    return root

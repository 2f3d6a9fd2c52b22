"""Tiny face data sets, generated here in the exact layout of CelebA, LFW and LFWA."""

from pathlib import Path

import numpy as np
from faces_example import face

ATTRIBUTES = ("5_o_Clock_Shadow", "Male", "Smiling")
PEOPLE = ("Aaron_Eckhart", "Tim_Conway", "Zoe_Ball")


def write_celeba(root: Path, images: int = 48) -> Path:
    """Write list_attr_celeba.txt, identity_CelebA.txt, list_eval_partition.txt and the images.

    Image i is of person i % 4; the last person is the test part, and the one before validation.
    """
    root.mkdir(exist_ok=True)
    attributes, persons, parts = [], [], []
    for i in range(images):
        file, person = f"{i + 1:06d}.jpg", i % 4
        signs = [1 if (person + i // 24) & bit else -1 for bit in (1, 2, 4)]
        attributes.append(f"{file} " + " ".join(f"{sign:2d}" for sign in signs))
        persons.append(f"{file} {2880 + person}")
        parts.append(f"{file} {(0, 0, 1, 2)[person]}")
        face(root / "img_align_celeba" / file, 4 * person, i)
    # as published: the attributes have a head and end their lines with a space
    head = [str(images), " ".join(ATTRIBUTES) + " "]
    write(root / "list_attr_celeba.txt", head + attributes)
    write(root / "identity_CelebA.txt", persons)
    write(root / "list_eval_partition.txt", parts)
    return root


def write_lfw(root: Path, each: int = 10) -> Path:
    """Write lfw/, lfw_attributes.txt and the two people files; the last person is the test part."""
    rows = []
    for code, person in enumerate(PEOPLE):
        for i in range(1, each + 1):
            face(root / "lfw" / person / f"{person}_{i:04d}.jpg", 4 * code, 100 * code + i)
            scores = [(1.5 if code & bit else -0.5) + i / 1000 for bit in (1, 2)]
            rows.append("\t".join([person.replace("_", " "), str(i), *map(str, scores)]))
    head = ["#LFW attributes, v1.2", "#\tperson\timagenum\tMale\tNo Beard"]
    write(root / "lfw_attributes.txt", head + rows)
    write(root / "peopleDevTrain.txt", ["2", *(f"{person}\t{each}" for person in PEOPLE[:2])])
    write(root / "peopleDevTest.txt", ["1", f"{PEOPLE[2]}\t{each}"])
    return root


def write_lfwa(root: Path, each: int = 10) -> Path:
    """Write what LFWA adds to `write_lfw`: two MATLAB files of version 7.3, which are HDF5."""
    import h5py

    names = [f"{person}\\{person}_{i:04d}.jpg" for person in PEOPLE for i in range(1, each + 1)]
    codes = np.array([[code & 1, code >> 1, 1] for code in range(3) for _ in range(each)])
    with h5py.File(root / "lfw_att_40.mat", "w") as file:
        for key, texts in (("name", names), ("AttrName", ("Male", "No Beard", "Smiling"))):
            cells = [
                file.create_dataset(f"#refs#/{key}{i}", data=np.array([*map(ord, text)], "u2"))
                for i, text in enumerate(texts)
            ]
            references = np.array([cell.ref for cell in cells], dtype=h5py.ref_dtype)
            file.create_dataset(key, data=references[:, None])
        file["label"] = codes.T.astype(float)
    with h5py.File(root / "indices_train_test.mat", "w") as file:
        file["indices_img_train"] = np.arange(1, 2 * each + 1, dtype=float)[None]
        file["indices_img_test"] = np.arange(2 * each + 1, 3 * each + 1, dtype=float)[None]
    return root


def write(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")

"""Tiny data sets of faces, generated here in the exact layout of the official files."""

from pathlib import Path

import numpy as np
from PIL import Image

from labelweave.datasets._action_units import BP4D_UNITS, DISFA_UNITS
from labelweave.datasets._expressions import BASIC, COMPOUND

UNIT_HEAD = "AU1,AU2,AU4,AU6,AU7,AU10,AU12,AU15,AU23,AU24,AU25,AU26"
CLASS_HEAD = "Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other"


def face(path: Path, line: int, seed: int) -> None:
    """Write an image with a bright line whose place shows its class: 16 x 16 pixels with noise."""
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


def write_text(path: Path, *rows: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def write_frames(folder: Path, numbers: range, digits: int = 5) -> None:
    for number in numbers:
        face(folder / f"{number:0{digits}}.jpg", number % 2, number)


def write_aff_wild2(root: Path, frames: int = 12, newer: bool = False) -> Path:
    """Write two videos a part; each has a last line without an image, and lines of -1."""
    sets = ("EXPR_Classification_Challenge", "AU_Detection_Challenge")
    expressions, units = sets if newer else ("EXPR_Set", "AU_Set")
    base = root / "annotations" if newer else root
    for number, part in enumerate(("Train_Set", "Validation_Set")):
        for video in (f"{number}-30-1280x720", f"video{number}_left"):
            codes = [str(i % 9 - 1) for i in range(frames + 1)]
            write_text(base / expressions / part / f"{video}.txt", CLASS_HEAD, *codes)
            rows = [",".join(["-1" if i % 4 == 3 else str(i % 2)] * 12) for i in range(frames + 1)]
            write_text(base / units / part / f"{video}.txt", UNIT_HEAD, *rows)
            write_frames(root / "cropped_aligned" / video, range(1, frames + 1))
    return root


def write_affectnet_csv(root: Path, head: bool = True) -> Path:
    names = "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,"
    for name, n in (("training", 22), ("validation", 11)):
        rows = [names + "expression,valence,arousal"] if head or name == "training" else []
        for i in range(n):
            rows.append(f"{i % 3}/{name}{i}.jpg,9,9,50,50,1.0;2.0;3.0,{i % 11},0.1,-0.2")
            face(root / "Manually_Annotated_Images" / str(i % 3) / f"{name}{i}.jpg", i % 11, i)
        write_text(root / "Manually_Annotated_file_lists" / f"{name}.csv", *rows)
    return root


def write_affectnet_npy(root: Path) -> Path:
    for part, n in (("train_set", 16), ("val_set", 8)):
        (root / part / "annotations").mkdir(parents=True)
        for i in range(n):
            face(root / part / "images" / f"{i}.jpg", i % 8, i)
            value = np.array(str(i % 8)) if i % 2 else np.array(i % 8)
            np.save(root / part / "annotations" / f"{i}_exp.npy", value)
            np.save(root / part / "annotations" / f"{i}_val.npy", np.array("0.5"))
    return root


def write_disfa(root: Path, persons: tuple[str, ...] = ("SN001", "SN006"), n: int = 15) -> Path:
    for person in persons:
        for unit in DISFA_UNITS:
            rows = [f"{frame},{(frame + unit) % 6}" for frame in range(1, n + 1)]
            write_text(root / "ActionUnit_Labels" / person / f"{person}_au{unit}.txt", *rows)
        video = person if person == "SN001" else f"LeftVideo{person}_comp"
        write_frames(root / "frames" / video, range(1, n))
    return root


def write_bp4d(root: Path, first: int = 2440, n: int = 10) -> Path:
    units = [1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 23, 24]
    for person in ("F001", "F002", "M003"):
        rows = [",".join(map(str, [0, *units]))]
        for frame in range(first, first + n):
            codes = [9 if unit == 24 else (frame + unit) % 2 for unit in units]
            rows.append(",".join(map(str, [frame, *codes])))
        write_text(root / "AUCoding" / f"{person}_T1.csv", *rows)
        write_frames(root / "BP4D" / person / "T1", range(first, first + n), 4)
    assert set(BP4D_UNITS) <= set(units)
    return root


def write_emotionet(root: Path) -> Path:
    base = "http://cbcsnas01.ece.ohio-state.edu/EmotioNet/Images"
    for file, n in (("dataFile_0001.txt", 6), ("dataFile_1000.txt", 4)):
        rows = []
        for i in range(n):
            name = f"N_{file[9:13]}_{i:05}.jpg"
            codes = ["999"] * 60
            codes[0], codes[11] = str(i % 2), "1"
            rows.append("\t".join([f"{base}/{file[9:13]}/{name}", "http://gone.example", *codes]))
            if i:  # the first could not be fetched
                place = f"{file[9:13]}/{name}" if i % 2 else name
                face(root / "Images" / place, i % 2, i)
        write_text(root / "emotioNet_challenge_files_server_challenge_1.2" / file, *rows)
    return root

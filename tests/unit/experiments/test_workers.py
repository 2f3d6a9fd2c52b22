"""Jobs in separate processes, one of which is killed."""

import os
import signal
import warnings
from pathlib import Path

import pytest
from killed_calls import die_once

from labelweave.errors import LabelweaveWarning, TrainingError
from labelweave.experiments._engines import KILLED, LocalProcesses, Plan


def plan(calls: int) -> Plan:
    return Plan("study 'parts': {}; {} runs", Path(), [f"run{number}" for number in range(calls)])


def once_killed(folder: Path, number: int) -> int:
    die_once(folder, number)
    return number**2


def always_killed(_: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


@pytest.mark.slow
def test_when_a_process_is_killed_what_has_not_ended_goes_on_in_new_ones(tmp_path: Path) -> None:
    given = [(tmp_path, number) for number in range(5)]
    killed = r"study 'parts': a worker process was killed, .* runs go on in new ones"
    with pytest.warns(LabelweaveWarning, match=killed):
        found = dict(LocalProcesses(2).calls(once_killed, given, plan(5)))
    assert found == {number: number**2 for number in range(5)}


@pytest.mark.slow
def test_when_they_are_killed_again_and_again_it_gives_one_line() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(TrainingError) as caught:
            list(LocalProcesses(2).calls(always_killed, [(1,), (2,)], plan(2)))
    assert str(caught.value) == KILLED
    assert "\n" not in KILLED


def test_nothing_to_call_gives_nothing() -> None:
    assert list(LocalProcesses(2).calls(always_killed, [], plan(0))) == []

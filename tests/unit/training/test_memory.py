"""What a step frees stays with the process."""

import platform
import subprocess
import sys

import pytest

# four blocks that live together are more than twice the largest of them, which glibc gives back
FAULTS = """
import resource, torch
from labelweave.training._trainer import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(50):
        blocks = [torch.zeros(250_000) for _ in range(4)]
        del blocks
    return (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / 50

torch.set_num_threads(1)
keep_freed_memory()
faults()
print(faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries are not touched")
@pytest.mark.slow
def test_pages_are_not_asked_for_again() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True
    )
    assert float(done.stdout) < 50  # about 1,000 otherwise

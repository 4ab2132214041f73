"""What this process keeps of freed memory, and what a plain thread does not."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

# A page fault is a page that is new: 40 MB have 10000, or 20 where pages are large.
CHILD = """
import json, resource
from floatcli.allocator import PlainThread, keep_memory
beside = PlainThread()
keep_memory()

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    bytearray(40_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def again():
    faults()
    return faults()

print(json.dumps([again(), beside.run(again), faults()]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's settings")
def test_freed_memory_is_kept_but_in_a_plain_thread() -> None:
    said = subprocess.run([sys.executable, "-c", CHILD], check=True, stdout=subprocess.PIPE, text=True).stdout
    kept, returned, kept_after = json.loads(said)
    assert max(kept, kept_after) < 5
    assert returned > 10

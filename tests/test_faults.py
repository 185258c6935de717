"""The deliberate faults of tools/faults.py, which `make faults` builds, still fit the code."""

import runpy
from pathlib import Path

PROJECT = Path(__file__).parents[1]


def test_each_deliberate_fault_has_its_one_place() -> None:
    faults = runpy.run_path(str(PROJECT / "tools/faults.py"))["FAULTS"]
    for fault in faults:
        assert (PROJECT / fault.file).read_text().count(fault.right) == 1, fault.name
        for test in fault.tests:
            assert (
                test == "cargo"
                or fault.tests[0] == "cargo"
                or (PROJECT / test.split("::")[0]).exists()
            )

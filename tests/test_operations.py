"""docs/operations.md: its alerts, names and defaults are real."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import support
from cli_support import told
from sysv_ipc_rs import system

pytest.importorskip("prometheus_client")

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "operations.md").read_text()


def test_every_metric_that_is_named_is_told() -> None:
    names = set(re.findall(r"\bsysvipc_[a-z_]*[a-z]\b", TEXT))
    assert len(names) > 5
    metrics = set(re.findall(r"(?m)^# TYPE (\S+)", told("metrics", "--per-object")))
    assert names - metrics == set()


@pytest.mark.skipif(not shutil.which("promtool"), reason="needs promtool")
def test_the_alerts_are_rules_that_prometheus_takes(tmp_path: Path) -> None:
    (rules,) = re.findall(r"(?s)```yaml\n(.*?)```", TEXT)
    (tmp_path / "rules.yml").write_text(rules)
    checked = subprocess.run(
        ["promtool", "check", "rules", tmp_path / "rules.yml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, checked.stderr) == (0, "")
    assert "4 rules found" in checked.stdout


def test_the_defaults_are_those_of_a_new_namespace() -> None:
    limits = support.in_namespace(system.limits)
    defaults = {
        name: int(value)
        for names, values in re.findall(r"(?m)^\| (`[^|]+) \|[^|]+\| ([\d, ]+) \| `kernel", TEXT)
        for name, value in zip(re.findall(r"\w+", names), values.split(","), strict=True)
    }
    assert len(defaults) == 8
    assert {name: getattr(limits, name) for name in defaults} == defaults


def test_links_lead_somewhere() -> None:
    headings = {
        re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-")
        for heading in re.findall(r"(?m)^#+ (.*)", TEXT)
    }
    for link in re.findall(r"\]\(([^)]+)\)", TEXT):
        if link.startswith("#"):
            assert link[1:] in headings, link
        else:
            assert (ROOT / "docs" / link).exists(), link

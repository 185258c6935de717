"""Old code that crashes, hangs or goes wrong with the incumbent, beside the drop-in."""

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "examples"))
old_code: Any = importlib.import_module("old_code")

pytest.importorskip("sysv_ipc", reason="needs sysv_ipc==1.2.0 to show its faults")


@pytest.mark.parametrize("piece", old_code.PIECES, ids=lambda piece: piece.name)
def test_old_code_does_with_each_module_what_is_known(piece: Any) -> None:
    ours = old_code.outcome(piece, old_code.DROP_IN, piece.ours)
    theirs = old_code.outcome(piece, "", piece.theirs)
    assert old_code.as_known(ours, piece.ours), ours
    assert old_code.as_known(theirs, piece.theirs), theirs


def test_the_script_says_so_when_something_else_comes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    piece = old_code.Piece("adds", "answer = 1 + 1", "2", "3")
    monkeypatch.setattr(old_code, "PIECES", [piece])
    assert old_code.main() == 1
    assert "NOT 3" in capsys.readouterr().out

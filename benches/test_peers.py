"""Every contender of every work, for pytest-benchmark: `pytest benches --benchmark-columns=min`.

A round is PIECES pieces of the work, so microseconds read as nanoseconds a piece.
"""

import contextlib
from collections.abc import Iterator, Mapping

import pytest
from _timing import Run
from pytest_benchmark.fixture import BenchmarkFixture
from works import FLOOR, OURS, SYSV_IPC, C, NotHereError, Work
from works.every import WORKS

PIECES = 1000
ROUNDS = 20

NAMES = [C, OURS, SYSV_IPC, "posix_ipc", "multiprocessing", "SimpleQueue", "Pipe", "Unix datagram"]
NAMES += ["memoryview", "multiprocessing.shared_memory", "quiet", "with the GIL", FLOOR]

Contenders = tuple[Work, Mapping[str, Run]]


@pytest.fixture(scope="module", params=WORKS, ids=lambda work: work.name)
def contenders(request: pytest.FixtureRequest) -> Iterator[Contenders]:
    """A work's contenders, made once."""
    with contextlib.ExitStack() as stack:
        try:
            runs = request.param.make(stack)
        except NotHereError as error:
            pytest.skip(str(error))
        yield request.param, runs


@pytest.mark.parametrize("name", NAMES)
def test_work(benchmark: BenchmarkFixture, contenders: Contenders, name: str) -> None:
    work, runs = contenders
    if name not in runs:
        pytest.skip("does not do this")
    benchmark.group = work.name
    benchmark.pedantic(runs[name], args=(PIECES,), rounds=ROUNDS, warmup_rounds=1)

"""Seconds: any real number is a timeout, and nothing else is."""

import math
import sys
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import support
import sysv_ipc_rs as ipc
from support import Index, name
from sysv_ipc_rs import Semaphore, SemaphoreSet

BAD_TIMEOUTS = [
    (-1, ValueError),
    (-1e-9, ValueError),
    (-math.inf, ValueError),
    (-1e300, ValueError),
    (-(10**400), ValueError),
    (-5e-324, ValueError),
    (math.nan, ValueError),
    (-math.nan, ValueError),
    (np.float32("nan"), ValueError),
    (np.float64(-1), ValueError),
    (Decimal("NaN"), ValueError),
    (Decimal("sNaN"), ValueError),
    (Decimal("-Infinity"), ValueError),
    (Decimal("-1e-400"), ValueError),
    (Fraction(-1, 10**400), ValueError),
    (Fraction(-(10**400), 1), ValueError),
    ("1", TypeError),
    (b"1", TypeError),
    ("nan", TypeError),
    (1j, TypeError),
    (np.complex64(1), TypeError),
    (np.complex128(1), TypeError),
    ([1], TypeError),
    ((1, 0), TypeError),
    (object(), TypeError),
]


@pytest.mark.parametrize(("timeout", "error"), BAD_TIMEOUTS, ids=name)
class TestBadTimeouts:
    """Refused before any system call: no set is needed, nothing is taken."""

    def test_where_nothing_would_wait(
        self, semaphore_set: SemaphoreSet, timeout: Any, error: type[Exception]
    ) -> None:
        free = semaphore_set[0]
        calls: list[Callable[..., object]] = [
            free.acquire,
            free.hold,
            free.wait_zero,
            lambda timeout: semaphore_set.op((0, -1), timeout=timeout),
        ]
        for call in calls:
            with pytest.raises(error) as caught:
                call(timeout=timeout)
            if error is ValueError and "sNaN" not in repr(timeout):
                assert "0 to infinity" in str(caught.value)
        assert semaphore_set.values == (1, 2, 3)

    def test_of_a_removed_set(self, timeout: Any, error: type[Exception]) -> None:
        gone = Semaphore.create()
        gone.remove()
        with pytest.raises(error):
            gone.acquire(timeout=timeout)

    def test_creates_nothing(self, timeout: Any, error: type[Exception]) -> None:
        for call in (SemaphoreSet.open_or_create, Semaphore.open_or_create):
            with pytest.raises(error):
                call(support.free_key(), timeout=timeout)


class RealNumber:
    def __init__(self, seconds: object) -> None:
        self.seconds = seconds

    def __float__(self) -> float:
        if isinstance(self.seconds, BaseException):
            raise self.seconds
        return self.seconds() if callable(self.seconds) else self.seconds  # type: ignore[return-value]


SHORT_TIMEOUTS = [
    0,
    0.0,
    -0.0,
    False,
    0.001,
    1e-9,
    1e-320,
    5e-324,
    Decimal("0.001"),
    Decimal("1e-400"),
    Decimal("-0.0"),
    Fraction(1, 1000),
    Fraction(1, 10**400),
    np.float64(0.001),
    np.float32(0.001),
    np.float16(0.001),
    np.longdouble("1e-400"),
    np.int64(0),
    np.uint8(0),
    np.array(0.001),
    RealNumber(0.001),
    Index(0),
]

LONG_TIMEOUTS = [
    None,
    math.inf,
    1e300,
    sys.float_info.max,
    2**63,
    2**64,
    10**400,
    1e19,
    9.3e18,
    2**63 / 1e9,
    Decimal("Infinity"),
    Decimal("1e400"),
    Fraction(10**400, 3),
    np.float64("inf"),
    np.float32("inf"),
    np.longdouble("1e400"),
    np.uint64(2**64 - 1),
    100,
    True,
    RealNumber(1e300),
]


class TestTimeouts:
    @pytest.mark.parametrize("timeout", SHORT_TIMEOUTS, ids=name)
    def test_that_are_short_end(self, semaphore_set: SemaphoreSet, timeout: Any) -> None:
        empty = Semaphore.from_id(semaphore_set.id, index=0)
        empty.value = 0
        with pytest.raises(ipc.WaitTimeoutError):
            empty.acquire(timeout=timeout)
        with pytest.raises(ipc.WaitTimeoutError):
            empty.hold(timeout=timeout)
        with pytest.raises(ipc.WaitTimeoutError):
            semaphore_set[1].wait_zero(timeout=timeout)
        with pytest.raises(ipc.WaitTimeoutError):
            semaphore_set.op((1, -1), (0, -1), timeout=timeout)
        assert semaphore_set.values == (0, 2, 3)

    @pytest.mark.parametrize("timeout", SHORT_TIMEOUTS + LONG_TIMEOUTS, ids=name)
    def test_take_what_is_there(self, semaphore: Semaphore, timeout: Any) -> None:
        assert semaphore.acquire(timeout=timeout) is True
        assert semaphore.wait_zero(timeout=timeout) is True

    @pytest.mark.parametrize("timeout", LONG_TIMEOUTS, ids=name)
    def test_that_are_long_wait(self, semaphore: Semaphore, timeout: Any) -> None:
        def wait() -> bool:
            return semaphore.acquire(2, timeout=timeout)

        with support.Child(wait) as child:
            support.wait_for(lambda: semaphore.waiting == 1)
            semaphore.release()
            assert child.result() is True
        assert semaphore.value == 0

    def test_a_float_that_raises(self, semaphore: Semaphore) -> None:
        with pytest.raises(ZeroDivisionError):
            semaphore.acquire(timeout=RealNumber(ZeroDivisionError()))
        assert semaphore.value == 1

    def test_a_float_that_is_none(self, semaphore: Semaphore) -> None:
        with pytest.raises(TypeError):
            semaphore.acquire(timeout=RealNumber("1"))

    def test_a_float_that_removes_the_set(self, semaphore: Semaphore) -> None:
        def remove() -> float:
            semaphore.remove()
            return 1.0

        with pytest.raises(ipc.RemovedError):
            semaphore.acquire(timeout=RealNumber(remove))

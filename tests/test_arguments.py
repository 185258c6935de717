"""Arguments are checked before any system call; a refused one has done nothing."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import partial
from itertools import repeat
from typing import Any

import numpy as np
import pytest
import support
import sysv_ipc_rs as ipc
from support import Index, name
from sysv_ipc_rs import Semaphore, SemaphoreSet

RANGE = (ValueError, OverflowError)

CREATORS: list[Callable[..., Any]] = [
    SemaphoreSet.create,
    SemaphoreSet.open_or_create,
    Semaphore.create,
    Semaphore.open_or_create,
    ipc.MessageQueue.create,
    ipc.MessageQueue.open_or_create,
    partial(ipc.SharedMemory.create, size=1),
    partial(ipc.SharedMemory.open_or_create, size=1),
]
OPENERS: list[Callable[..., Any]] = [
    SemaphoreSet.open,
    SemaphoreSet.open_or_create,
    Semaphore.open,
    Semaphore.open_or_create,
    ipc.MessageQueue.open,
    ipc.MessageQueue.open_or_create,
    ipc.SharedMemory.open,
    partial(ipc.SharedMemory.open_or_create, size=1),
]
BY_ID: list[Callable[..., Any]] = [
    SemaphoreSet.from_id,
    Semaphore.from_id,
    ipc.MessageQueue.from_id,
    ipc.SharedMemory.from_id,
]


@pytest.fixture(autouse=True)
def nothing_created() -> Iterator[None]:
    """Each test here ends with the objects that it began with."""
    before = support.objects()
    yield
    assert support.objects() == before


class TestKeys:
    @pytest.mark.parametrize("call", CREATORS + OPENERS, ids=name)
    @pytest.mark.parametrize("key", [2**32, -(2**31) - 1, 2**63, 2**64, -(2**64), 10**400])
    def test_beyond_32_bits(self, call: Callable[..., Any], key: int) -> None:
        with pytest.raises(RANGE, match=r"key .*-2147483648 to 4294967295"):
            call(key)

    @pytest.mark.parametrize("call", CREATORS + OPENERS, ids=name)
    @pytest.mark.parametrize("key", [None, "1", b"1", 1.0, Decimal(1), [1], 1j, object()], ids=name)
    def test_not_an_int(self, call: Callable[..., Any], key: object) -> None:
        with pytest.raises(TypeError, match="key"):
            call(key)

    @pytest.mark.parametrize("call", OPENERS, ids=name)
    @pytest.mark.parametrize("key", [0, False, Index(0), np.int64(0), ipc.IPC_PRIVATE], ids=name)
    def test_private_leads_to_nothing(self, call: Callable[..., Any], key: Any) -> None:
        with pytest.raises(ValueError, match="IPC_PRIVATE"):
            call(key)

    @pytest.mark.parametrize("call", OPENERS, ids=name)
    def test_required(self, call: Callable[..., Any]) -> None:
        with pytest.raises(TypeError):
            call()

    @pytest.mark.parametrize("key", [Index(7), np.int32(7), np.uint64(7), True], ids=name)
    def test_whatever_has_index(self, key: Any) -> None:
        made = SemaphoreSet.create(key)
        try:
            assert made.key == key.__index__()
        finally:
            made.remove()

    @pytest.mark.parametrize("call", CREATORS, ids=name)
    @pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, TypeError])
    def test_an_index_that_raises(
        self, call: Callable[..., Any], error: type[BaseException]
    ) -> None:
        with pytest.raises(error):
            call(Index(error()))

    @pytest.mark.parametrize("answer", ["7", None, 7.0, Index(7)], ids=name)
    def test_an_index_that_gives_no_int(self, answer: object) -> None:
        with pytest.raises(TypeError):
            SemaphoreSet.create(Index(answer))


class TestModes:
    @pytest.mark.parametrize("call", CREATORS, ids=name)
    @pytest.mark.parametrize("mode", [-1, 0o1000, 0o7777, 2**31, 2**64, -(2**64)])
    def test_outside_the_nine_bits(self, call: Callable[..., Any], mode: int) -> None:
        with pytest.raises(RANGE, match=r"mode .*0 to 0o777"):
            call(support.free_key(), mode=mode)

    @pytest.mark.parametrize("mode", [644, 600, 666, 777, 700, 660])
    def test_decimal_digits_of_a_mode(self, mode: int) -> None:
        with pytest.raises(ValueError, match=f"did you mean 0o{mode}"):
            SemaphoreSet.create(mode=mode)

    @pytest.mark.parametrize("mode", [689, 1777, 0o1777])
    def test_no_hint_where_there_is_none(self, mode: int) -> None:
        with pytest.raises(ValueError, match="0 to 0o777") as caught:
            SemaphoreSet.create(mode=mode)
        assert "did you mean" not in str(caught.value)

    @pytest.mark.parametrize("mode", [None, "0600", 0.0, Decimal(384)], ids=name)
    @pytest.mark.parametrize("call", CREATORS, ids=name)
    def test_not_an_int(self, call: Callable[..., Any], mode: object) -> None:
        with pytest.raises(TypeError, match="mode"):
            call(support.free_key(), mode=mode)

    def test_an_index_that_raises_is_not_mistaken(self) -> None:
        with pytest.raises(ValueError, match="mine"):
            SemaphoreSet.create(mode=Index(ValueError("mine")))

    def test_chmod(self, semaphore_set: SemaphoreSet) -> None:
        for mode in (-1, 0o1000, 644):
            with pytest.raises(ValueError, match="0 to 0o777"):
                semaphore_set.chmod(mode)
        assert semaphore_set.stat().mode == 0o600

    @pytest.mark.parametrize("mode", [0, 0o777, 0o600, 0o222, 0o4])
    def test_every_mode_can_be_had(self, mode: int) -> None:
        made = SemaphoreSet.create(mode=mode, values=3)
        try:
            assert made.stat().mode == mode
            assert made.stat().otime > 0
        finally:
            made.remove()


class TestOwners:
    CALLS: tuple[Callable[..., Any], ...] = (*OPENERS, *BY_ID)

    @pytest.mark.parametrize("call", CALLS, ids=name)
    @pytest.mark.parametrize("owner", [-1, 2**32 - 1, 2**32, 2**64, -(2**64)])
    def test_no_user_id(self, call: Callable[..., Any], owner: int) -> None:
        with pytest.raises(RANGE, match=r"owner .*0 to 4294967294"):
            call(support.free_key() % 1000 + 1, owner=owner)

    @pytest.mark.parametrize("call", CALLS, ids=name)
    @pytest.mark.parametrize("owner", ["root", 0.0, b"0"], ids=name)
    def test_not_an_int(self, call: Callable[..., Any], owner: object) -> None:
        with pytest.raises(TypeError, match="owner"):
            call(support.free_key() % 1000 + 1, owner=owner)

    @pytest.mark.parametrize("number", [-2, 2**32 - 1, 2**64])
    def test_chown(self, semaphore_set: SemaphoreSet, number: int) -> None:
        before = semaphore_set.stat()
        with pytest.raises(RANGE, match="-1 to 4294967294"):
            semaphore_set.chown(number)
        with pytest.raises(RANGE, match="-1 to 4294967294"):
            semaphore_set.chown(gid=number)
        with pytest.raises(TypeError):
            semaphore_set.chown(None)  # type: ignore[arg-type]
        assert semaphore_set.stat() == before


class TestIds:
    @pytest.mark.parametrize("call", BY_ID, ids=name)
    @pytest.mark.parametrize("number", [-1, 2**31, 2**64, -(2**64)])
    def test_no_id(self, call: Callable[..., Any], number: int) -> None:
        with pytest.raises(RANGE, match=r"id .*0 to 2147483647"):
            call(number)

    @pytest.mark.parametrize("call", BY_ID, ids=name)
    @pytest.mark.parametrize("number", [None, "1", 1.0], ids=name)
    def test_not_an_int(self, call: Callable[..., Any], number: object) -> None:
        with pytest.raises(TypeError, match="id"):
            call(number)


class TestSizes:
    CALLS: tuple[Callable[..., Any], ...] = (SemaphoreSet.create, SemaphoreSet.open_or_create)

    @pytest.mark.parametrize("call", CALLS, ids=name)
    @pytest.mark.parametrize("size", [0, -1, -(2**31), -(2**64), 2**64])
    def test_less_than_one_or_beyond_all(self, call: Callable[..., Any], size: int) -> None:
        with pytest.raises(RANGE, match=r"size .* 1 to "):
            call(support.free_key(), size)

    @pytest.mark.parametrize("call", CALLS, ids=name)
    @pytest.mark.parametrize("size", [32001, 65536, 65537, 2**31, 2**32 + 1, 2**63 - 1])
    def test_beyond_the_limit(self, call: Callable[..., Any], size: int) -> None:
        with pytest.raises(ipc.LimitExceededError, match=r"SEMMSL is 32000.*/proc/sys/kernel/sem"):
            call(support.free_key(), size)

    @pytest.mark.parametrize("call", CALLS, ids=name)
    @pytest.mark.parametrize("size", [None, "1", 1.0, [1]], ids=name)
    def test_not_an_int(self, call: Callable[..., Any], size: object) -> None:
        with pytest.raises(TypeError, match="size"):
            call(support.free_key(), size)

    def test_open(self) -> None:
        with pytest.raises(ValueError, match=r"size -1 .* 0 to "):
            SemaphoreSet.open(5, size=-1)
        with pytest.raises(TypeError, match="size"):
            SemaphoreSet.open(5, size=None)  # type: ignore[arg-type]


class TestValues:
    CALLS: tuple[Callable[..., Any], ...] = (SemaphoreSet.create, SemaphoreSet.open_or_create)

    @pytest.mark.parametrize("call", CALLS, ids=name)
    @pytest.mark.parametrize("value", [-1, 32768, 65536, 65537, 2**31, 2**64, -(2**64)])
    def test_beyond_semvmx(self, call: Callable[..., Any], value: int) -> None:
        for values in (value, [0, value, 0], (value, 1, 1), np.array([value] * 3)):
            with pytest.raises(RANGE, match=r"value .*0 to 32767"):
                call(support.free_key(), 3, values=values)

    @pytest.mark.parametrize("call", [Semaphore.create, Semaphore.open_or_create], ids=name)
    @pytest.mark.parametrize("value", [-1, 32768, 2**64])
    def test_of_one(self, call: Callable[..., Any], value: int) -> None:
        with pytest.raises(RANGE, match=r"value .*0 to 32767"):
            call(support.free_key(), value)

    @pytest.mark.parametrize("call", CALLS, ids=name)
    @pytest.mark.parametrize(
        "values", [[], [1], [1, 2], [1, 2, 3, 4], repeat(1), iter(()), range(10_000)], ids=name
    )
    def test_as_many_as_semaphores(self, call: Callable[..., Any], values: object) -> None:
        with pytest.raises(ValueError, match="values for 3 semaphores"):
            call(support.free_key(), 3, values=values)

    @pytest.mark.parametrize("call", CALLS, ids=name)
    @pytest.mark.parametrize(
        "values", [None, 1.0, "123", [1, 2, 3.0], [None] * 3, ["1", "2", "3"], object()], ids=name
    )
    def test_not_ints(self, call: Callable[..., Any], values: object) -> None:
        with pytest.raises(TypeError, match=r"int|values"):
            call(support.free_key(), 3, values=values)

    @pytest.mark.parametrize(
        "values",
        [[4, 5, 6], (4, 5, 6), range(4, 7), iter([4, 5, 6]), b"\4\5\6", np.array([4, 5, 6])],
        ids=name,
    )
    def test_any_iterable(self, semaphore_set: SemaphoreSet, values: Any) -> None:
        semaphore_set.values = values
        assert semaphore_set.values == (4, 5, 6)

    def test_numpy_values_of_a_new_set(self, remove_later: Any) -> None:
        assert remove_later(SemaphoreSet.create(size=2, values=np.array([8, 9]))).values == (8, 9)
        assert remove_later(SemaphoreSet.create(size=2, values=np.uint8(8))).values == (8, 8)
        assert remove_later(SemaphoreSet.create(size=2, values=np.array(8))).values == (8, 8)

    def test_an_iterable_that_raises(self) -> None:
        def values() -> Iterator[int]:
            yield 1
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            SemaphoreSet.create(size=3, values=values())

    @pytest.mark.parametrize("length", [-1, 0, 2**62, "3", ZeroDivisionError()], ids=name)
    def test_a_length_that_lies_is_not_believed(self, remove_later: Any, length: object) -> None:
        class Liar(list[int]):
            def __len__(self) -> int:
                if isinstance(length, BaseException):
                    raise length
                return length  # type: ignore[return-value]

            def __length_hint__(self) -> object:
                return length

        made = remove_later(SemaphoreSet.create(size=2, values=Liar([1, 2])))
        assert made.values == (1, 2)

    @pytest.mark.parametrize("values", [[1, 2], [1, 2, 3, 4], [1, -1, 2], [1, 32768, 2], []])
    def test_refused_ones_change_nothing(
        self, semaphore_set: SemaphoreSet, values: list[int]
    ) -> None:
        with pytest.raises(RANGE):
            semaphore_set.values = values
        assert semaphore_set.values == (1, 2, 3)

    @pytest.mark.parametrize("values", [5, None, 1.0, "123"], ids=name)
    def test_of_a_set_are_a_sequence(self, semaphore_set: SemaphoreSet, values: Any) -> None:
        with pytest.raises(TypeError):
            semaphore_set.values = values
        assert semaphore_set.values == (1, 2, 3)

    @pytest.mark.parametrize("value", [-1, 32768, 2**64, "1", None, 1.0])
    def test_of_a_semaphore(self, semaphore: Semaphore, value: Any) -> None:
        with pytest.raises((*RANGE, TypeError), match=r"0 to 32767|int"):
            semaphore.value = value
        assert semaphore.value == 1

    def test_can_not_be_deleted(self, semaphore_set: SemaphoreSet) -> None:
        with pytest.raises((AttributeError, TypeError)):
            del semaphore_set.values
        with pytest.raises((AttributeError, TypeError)):
            del semaphore_set[0].value

    @pytest.mark.parametrize("attribute", ["key", "id"])
    def test_what_the_kernel_gave_can_not_be_set(
        self, semaphore_set: SemaphoreSet, attribute: str
    ) -> None:
        for handle in (semaphore_set, semaphore_set[0]):
            with pytest.raises(AttributeError):
                setattr(handle, attribute, 1)
            with pytest.raises(AttributeError):
                handle.new_attribute = 1  # type: ignore[union-attr]


class TestUnits:
    CALLS = ("acquire", "try_acquire", "release", "hold", "try_hold")

    @pytest.mark.parametrize("call", CALLS)
    @pytest.mark.parametrize("n", [0, -1, 32768, -32768, 65537, 2**31, 2**64, -(2**64)])
    def test_out_of_range(self, semaphore: Semaphore, call: str, n: int) -> None:
        with pytest.raises(RANGE, match=r"n .*1 to 32767"):
            getattr(semaphore, call)(n)
        assert semaphore.value == 1
        assert semaphore.last_pid != 0

    @pytest.mark.parametrize("call", CALLS)
    @pytest.mark.parametrize("n", [None, "1", 1.0, Decimal(1), [1]], ids=name)
    def test_not_an_int(self, semaphore: Semaphore, call: str, n: object) -> None:
        with pytest.raises(TypeError, match="n"):
            getattr(semaphore, call)(n)
        assert semaphore.value == 1

    @pytest.mark.parametrize("call", CALLS)
    def test_an_index_that_removes_the_set(self, semaphore: Semaphore, call: str) -> None:
        def remove() -> int:
            semaphore.remove()
            return 1

        with pytest.raises(ipc.RemovedError):
            getattr(semaphore, call)(Index(remove))

    @pytest.mark.parametrize("call", ["acquire", "hold"])
    def test_time_limits_are_named(self, semaphore: Semaphore, call: str) -> None:
        with pytest.raises(TypeError):
            getattr(semaphore, call)(1, 0)
        with pytest.raises(TypeError):
            getattr(semaphore, call)(1, timeot=0)
        assert semaphore.value == 1


class TestIndices:
    @pytest.mark.parametrize("index", [3, -4, 2**16, 2**31, 2**64, -(2**64)])
    def test_of_a_set(self, semaphore_set: SemaphoreSet, index: int) -> None:
        with pytest.raises(IndexError, match="-3 to 2"):
            semaphore_set[index]

    @pytest.mark.parametrize("index", [slice(0, 1), None, "0", 0.0, (0, 1)], ids=name)
    def test_not_an_int(self, semaphore_set: SemaphoreSet, index: Any) -> None:
        with pytest.raises(TypeError):
            semaphore_set[index]

    @pytest.mark.parametrize("index", [3, -1, -3, 65535, 65536, 2**31, 2**64, -(2**64)])
    def test_of_a_member(self, remove_later: Any, index: int) -> None:
        key = support.free_key()
        made = remove_later(SemaphoreSet.create(key, 3))
        with pytest.raises(IndexError, match=r"0 to (2|65535)\b"):
            Semaphore.open(key, index=index)
        with pytest.raises(IndexError, match=r"0 to (2|65535)\b"):
            Semaphore.from_id(made.id, index=index)

    @pytest.mark.parametrize("index", [None, "0", 0.0], ids=name)
    def test_of_a_member_is_an_int(self, index: Any) -> None:
        with pytest.raises(TypeError, match="index"):
            Semaphore.open(support.free_key(), index=index)

    @pytest.mark.parametrize("index", [3, -1, 65536, 2**64])
    def test_of_operations(self, semaphore_set: SemaphoreSet, index: int) -> None:
        with pytest.raises(IndexError, match="0 to 2"):
            semaphore_set.op((0, 1), (index, 1))
        with pytest.raises(IndexError, match="0 to 2"):
            semaphore_set.try_op((0, 1), (index, 1))
        assert semaphore_set.values == (1, 2, 3)

    def test_that_no_call_can_name(self) -> None:
        """A set may have more members than `semop` has bits for."""

        def look() -> tuple[int, int, str]:
            libc = __import__("ctypes").CDLL(None)
            large = SemaphoreSet.from_id(libc.semget(0, 70_000, 0o600))
            with pytest.raises(IndexError) as caught:
                large[65_536]
            return len(large), len(large.values), str(caught.value)

        size, values, message = support.in_namespace(look, sem="100000 1000000 500 100")
        assert (size, values) == (70_000, 70_000)
        assert "to 65535" in message


class TestOperations:
    @pytest.mark.parametrize("delta", [-32768, 32768, 65535, 2**31, 2**64, -(2**64)])
    def test_deltas(self, semaphore_set: SemaphoreSet, delta: int) -> None:
        with pytest.raises(RANGE, match=r"delta .*-32767 to 32767"):
            semaphore_set.op((0, 1), (1, delta))
        with pytest.raises(RANGE, match=r"delta .*-32767 to 32767"):
            semaphore_set.try_op((0, 1), (1, delta))
        assert semaphore_set.values == (1, 2, 3)

    def test_none_at_all(self, semaphore_set: SemaphoreSet) -> None:
        with pytest.raises(ValueError, match="at least one"):
            semaphore_set.op()
        with pytest.raises(ValueError, match="at least one"):
            semaphore_set.try_op(undo=True)

    @pytest.mark.parametrize(
        ("operation", "error"),
        [
            ((), ValueError),
            ((0,), ValueError),
            ((0, 1, False, 3), ValueError),
            (repeat(0), ValueError),
            (0, TypeError),
            (None, TypeError),
            ("01", TypeError),
            ((0, "1"), TypeError),
            ((0, 1.0), TypeError),
            ((None, 1), TypeError),
            ((0, 1, np.array([1, 2])), ValueError),
        ],
        ids=name,
    )
    def test_of_another_shape(
        self, semaphore_set: SemaphoreSet, operation: Any, error: type[Exception]
    ) -> None:
        for call in (semaphore_set.op, semaphore_set.try_op):
            with pytest.raises(error):
                call((0, 1), operation)
        assert semaphore_set.values == (1, 2, 3)

    def test_lists_and_numpy_rows_are_operations(self, semaphore_set: SemaphoreSet) -> None:
        semaphore_set.op(*np.array([[0, 1], [1, -1]]))
        semaphore_set.op([2, 4], (0, 1, False))  # type: ignore[arg-type]
        assert semaphore_set.values == (3, 1, 7)

    def test_hostile_parts(self, semaphore_set: SemaphoreSet) -> None:
        def remove() -> int:
            semaphore_set.remove()
            return 1

        with pytest.raises(ZeroDivisionError):
            semaphore_set.op((0, 1), (0, Index(ZeroDivisionError())))
        assert semaphore_set.values == (1, 2, 3)
        with pytest.raises(ipc.RemovedError):
            semaphore_set.op((0, 1), (Index(remove), 1))


@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        (SemaphoreSet.create, (5, 1, 0)),
        (SemaphoreSet.open, (5, 1)),
        (SemaphoreSet.open_or_create, (5, 1, 0)),
        (SemaphoreSet.from_id, (5, 0)),
        (Semaphore.create, (5, 1, 0o600)),
        (Semaphore.open, (5, 0)),
        (Semaphore.open_or_create, (5, 1, 0o600)),
        (Semaphore.from_id, (5, 0)),
    ],
    ids=name,
)
def test_what_is_named_must_be_named(call: Callable[..., Any], arguments: tuple[int, ...]) -> None:
    with pytest.raises(TypeError, match="positional"):
        call(*arguments)
    with pytest.raises(TypeError, match="unknown"):
        call(5, unknown=1)


class TestFlags:
    @pytest.mark.parametrize("undo", [True, 1, "x", [0], np.True_], ids=name)
    def test_true(self, semaphore: Semaphore, undo: object) -> None:
        support.in_child(lambda: semaphore.acquire(undo=undo))
        assert semaphore.value == 1

    @pytest.mark.parametrize("undo", [False, 0, "", None, np.False_], ids=name)
    def test_false(self, semaphore: Semaphore, undo: object) -> None:
        support.in_child(lambda: semaphore.acquire(undo=undo))
        assert semaphore.value == 0

    def test_that_raise(self, semaphore: Semaphore) -> None:
        class Undecided:
            def __bool__(self) -> bool:
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            semaphore.acquire(undo=Undecided())
        assert semaphore.value == 1

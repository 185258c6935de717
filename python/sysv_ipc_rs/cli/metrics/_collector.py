"""What there is and what is allowed, as Prometheus names and measures it."""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric

from ... import MessageQueueStat, SharedMemoryStat, system
from .._format import key_text
from .._fullness import fullness
from .._objects import QUEUE, SEGMENT, SET, Kind, Stat

PREFIX = "sysvipc_"
PAGE = os.sysconf("SC_PAGESIZE")
LABELS = ("id", "key")


def registry(per_object: bool = False, most: int = 1000) -> CollectorRegistry:
    """Where all is collected anew each time.

    Args:
        per_object: Also what single objects have, labelled by id and key.
        most: Of how many objects of each kind: those with the first places in the kernel's lists.
    """
    made = CollectorRegistry(auto_describe=True)
    made.register(Collector(per_object, most))
    return made


class Collector:
    """Asks the kernel when it is asked."""

    def __init__(self, per_object: bool, most: int) -> None:
        self._per_object = per_object
        self._most = most

    def collect(self) -> Iterator[Metric]:
        """All metrics of now."""
        queues, segments = list(system.message_queues()), list(system.shared_memory_segments())
        yield from _usage()
        yield from _limits()
        yield from _sums(queues, segments)
        if self._per_object:
            sets = list(system.semaphore_sets())
            yield from self._single({QUEUE: queues, SEGMENT: segments, SET: sets})

    def _single(self, objects: Mapping[Kind, Sequence[Stat]]) -> Iterator[Metric]:
        omitted = _gauge("objects_omitted", "Objects that per-object metrics leave out.", ["kind"])
        for kind, stats in objects.items():
            omitted.add_metric([kind.name], max(len(stats) - self._most, 0))
        yield omitted
        for single in SINGLE:
            metric = _gauge(single.name, single.meaning, LABELS)
            for stat in objects[single.kind][: self._most]:
                value = getattr(stat, single.field)
                # A time of 0 is never.
                if value or not single.name.endswith("_timestamp_seconds"):
                    metric.add_metric([str(stat.id), key_text(stat.key)], value)
            yield metric


def _gauge(name: str, meaning: str, labels: Sequence[str] = ()) -> GaugeMetricFamily:
    unit = next((unit for unit in ("bytes", "seconds", "ratio") if name.endswith(f"_{unit}")), "")
    return GaugeMetricFamily(PREFIX + name, meaning, labels=labels, unit=unit)


def _one(name: str, meaning: str, value: float) -> Metric:
    metric = _gauge(name, meaning)
    metric.add_metric([], value)
    return metric


def _of_kinds(name: str, meaning: str, values: dict[Kind, float]) -> Metric:
    metric = _gauge(name, meaning, ["kind"])
    for kind, value in values.items():
        metric.add_metric([kind.name], value)
    return metric


def _usage() -> Iterator[Metric]:
    used = system.usage()
    yield _of_kinds(
        "objects",
        "Objects of this IPC namespace.",
        {QUEUE: used.message_queues, SEGMENT: used.segments, SET: used.semaphore_sets},
    )
    yield _one("semaphores", "Semaphores of all sets.", used.semaphores)
    yield _one("messages", "Messages in all queues.", used.messages)
    yield _one("message_bytes", "Bytes of the messages in all queues.", used.message_bytes)
    memory = "shared_memory_"
    yield _one(f"{memory}bytes", "Bytes of all segments, in whole pages.", used.segment_bytes)
    yield _one(f"{memory}resident_bytes", "Of these, bytes in memory.", used.resident_bytes)
    yield _one(f"{memory}swapped_bytes", "Of these, bytes that are swapped.", used.swapped_bytes)


def _limits() -> Iterator[Metric]:
    limits = system.limits()
    yield _of_kinds(
        "objects_limit",
        "How many objects there may be (semmni, msgmni, shmmni).",
        {QUEUE: limits.msgmni, SEGMENT: limits.shmmni, SET: limits.semmni},
    )
    for name, meaning, value in (
        ("semaphores_limit", "Semaphores in all sets (semmns).", limits.semmns),
        ("set_semaphores_limit", "Semaphores in one set (semmsl).", limits.semmsl),
        ("semop_operations_limit", "Operations in one semop (semopm).", limits.semopm),
        ("semaphore_value_limit", "Value of a semaphore (semvmx).", limits.semvmx),
        ("message_limit_bytes", "Bytes of one message (msgmax).", limits.msgmax),
        ("new_queue_limit_bytes", "Bytes that new queues take (msgmnb).", limits.msgmnb),
        ("shared_memory_limit_bytes", "Bytes of all segments (shmall).", limits.shmall * PAGE),
        ("segment_limit_bytes", "Bytes of one segment (shmmax).", limits.shmmax),
    ):
        yield _one(name, meaning, value)


def _sums(
    queues: Sequence[MessageQueueStat], segments: Sequence[SharedMemoryStat]
) -> Iterator[Metric]:
    """What needs a look at each object."""
    yield _one(
        "fullest_queue_ratio",
        "How full the fullest queue is; 1 is full.",
        max(map(fullness, queues), default=0.0),
    )
    yield _one(
        "shared_memory_attachments",
        "How many times segments are attached.",
        sum(stat.attached for stat in segments),
    )
    yield _one(
        "removed_segments",
        "Segments that are removed but still attached.",
        sum(stat.marked_for_removal for stat in segments),
    )
    yield _one(
        "orphaned_segments",
        "Segments that nobody can be using (sysv-ipc ls --orphans).",
        len(system.orphans()),
    )


class Single(NamedTuple):
    """A metric of single objects."""

    kind: Kind
    name: str
    field: str
    meaning: str


SINGLE = (
    Single(QUEUE, "queue_messages", "messages", "Messages in the queue."),
    Single(QUEUE, "queue_message_bytes", "current_bytes", "Bytes of the messages in the queue."),
    Single(QUEUE, "queue_limit_bytes", "max_bytes", "Bytes that the queue takes."),
    Single(QUEUE, "queue_last_send_timestamp_seconds", "stime", "When a message was sent last."),
    Single(
        *(QUEUE, "queue_last_receive_timestamp_seconds", "rtime"),
        "When a message was received last.",
    ),
    Single(SEGMENT, "segment_size_bytes", "size", "Bytes of the segment."),
    Single(SEGMENT, "segment_attachments", "attached", "How many times it is attached."),
    Single(SEGMENT, "segment_last_attach_timestamp_seconds", "atime", "When it was attached last."),
    Single(SEGMENT, "segment_last_detach_timestamp_seconds", "dtime", "When it was detached last."),
    Single(SET, "set_semaphores", "size", "Semaphores in the set."),
    Single(SET, "set_last_operation_timestamp_seconds", "otime", "When a semop was done last."),
)

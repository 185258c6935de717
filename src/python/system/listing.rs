//! What is listed, handed out one by one.

use std::sync::atomic::{AtomicUsize, Ordering};

use pyo3::prelude::*;

use crate::python::msg::MessageQueueStat;
use crate::python::sem::SemaphoreSetStat;
use crate::python::shm::SharedMemoryStat;
use crate::{msg, sem, shm};

/// Everyone's objects of one kind, at one moment; threads may share it.
///
/// Python's objects are made as they are asked for: thousands at once would keep its garbage
/// collector busy.
#[pyclass(frozen, module = "sysv_ipc_rs._core")]
#[derive(Debug)]
pub(crate) struct Listing {
    stats: Stats,
    next: AtomicUsize,
}

#[derive(Debug)]
pub(super) enum Stats {
    Sets(Vec<sem::SemaphoreSetStat>),
    Queues(Vec<msg::MessageQueueStat>),
    Segments(Vec<shm::SharedMemoryStat>),
}

#[derive(IntoPyObject)]
pub(super) enum Stat {
    Set(SemaphoreSetStat),
    Queue(MessageQueueStat),
    Segment(SharedMemoryStat),
}

impl Stats {
    fn len(&self) -> usize {
        match self {
            Self::Sets(stats) => stats.len(),
            Self::Queues(stats) => stats.len(),
            Self::Segments(stats) => stats.len(),
        }
    }

    fn get(&self, index: usize) -> Option<Stat> {
        Some(match self {
            Self::Sets(stats) => Stat::Set((*stats.get(index)?).into()),
            Self::Queues(stats) => Stat::Queue((*stats.get(index)?).into()),
            Self::Segments(stats) => Stat::Segment((*stats.get(index)?).into()),
        })
    }
}

impl Listing {
    /// Takes the list detached from the interpreter.
    pub(super) fn of(
        py: Python<'_>,
        take: impl FnOnce() -> PyResult<Stats> + Send,
    ) -> PyResult<Self> {
        Ok(Self { stats: py.detach(take)?, next: AtomicUsize::new(0) })
    }
}

#[pymethods]
impl Listing {
    const fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&self) -> Option<Stat> {
        self.stats.get(self.next.fetch_add(1, Ordering::Relaxed))
    }

    fn __length_hint__(&self) -> usize {
        self.stats.len().saturating_sub(self.next.load(Ordering::Relaxed))
    }
}

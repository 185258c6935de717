//! `MessageIterator`: what `MessageQueue.messages` gives.

use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::prelude::*;

use super::message::Message;
use super::transfer;
use crate::msg::{self as core, Incoming, Room, Selection};
use crate::python::wait::{Timeout, raise_late};

/// Takes one message after the other, and ends when none comes in time; made by
/// `MessageQueue.messages`.
#[pyclass(frozen, module = "sysv_ipc_rs")]
#[derive(Debug)]
pub(crate) struct MessageIterator {
    queue: core::MessageQueue,
    selection: Selection,
    timeout: Timeout,
    ended: AtomicBool,
}

impl MessageIterator {
    pub(super) const fn new(
        queue: core::MessageQueue,
        selection: Selection,
        timeout: Timeout,
    ) -> Self {
        Self { queue, selection, timeout, ended: AtomicBool::new(false) }
    }
}

#[pymethods]
impl MessageIterator {
    const fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[inline(never)]
    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Py<Message>>> {
        raise_late()?;
        if self.ended.load(Ordering::Acquire) {
            return Ok(None);
        }
        let mut room = Room::new();
        let mut incoming = Incoming::new(&mut room, self.queue, self.selection, None, false);
        if transfer::receive_in_time(py, &mut incoming, self.timeout)? {
            return transfer::message(py, &incoming).map(Some);
        }
        self.ended.store(true, Ordering::Release);
        Ok(None)
    }
}

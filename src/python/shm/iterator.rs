//! The bytes of an attachment, one after the other.

use std::sync::atomic::{AtomicUsize, Ordering};

use pyo3::prelude::*;

use super::attachment::Attachment;

/// Gives the bytes of an attachment as ints; made by `iter(attachment)`.
#[pyclass(frozen, module = "sysv_ipc_rs")]
#[derive(Debug)]
pub(crate) struct AttachmentIterator {
    attachment: Py<Attachment>,
    next: AtomicUsize,
}

impl AttachmentIterator {
    pub(super) const fn of(attachment: Py<Attachment>) -> Self {
        Self { attachment, next: AtomicUsize::new(0) }
    }
}

#[pymethods]
impl AttachmentIterator {
    const fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<u8>> {
        // At the end it stays there: a segment can't have so many bytes that this overflows.
        let index = self.next.fetch_add(1, Ordering::Relaxed);
        self.attachment.get().byte(py, index)
    }

    fn __length_hint__(&self) -> usize {
        self.attachment.get().size().saturating_sub(self.next.load(Ordering::Relaxed))
    }
}

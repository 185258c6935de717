//! `Event`.

use pyo3::prelude::*;

use super::{perform, synchronizer};
use crate::python::wait::Timeout;
use crate::sync::{End, protocols};

synchronizer! { plain
    /// A flag that processes wait for.
    ///
    /// All who wait when it is set are let go, also if it is cleared at once. Nobody's death
    /// matters to it. Made by `create`, `open`, `open_or_create` and `from_id`; equal and hashed by
    /// id; pickled as id and key.
    ///
    /// See semop(2).
    Event { protocols::EVENT } reopen_event;

    /// Whether it is set.
    ///
    /// Raises:
    ///     RemovedError: It is gone.
    ///     AccessDeniedError: Its mode forbids it.
    ///
    /// See semctl(2), GETVAL.
    fn is_set(&self) -> PyResult<bool> {
        Ok(self.core.is_set()?)
    }

    /// Sets it, and lets all go who wait.
    ///
    /// Raises:
    ///     RemovedError: It is gone.
    ///     AccessDeniedError: Its mode forbids it.
    ///
    /// See semop(2).
    fn set(&self) -> PyResult<()> {
        Ok(self.core.set_flag()?)
    }

    /// Makes it not set.
    ///
    /// Raises:
    ///     RemovedError: It is gone.
    ///     AccessDeniedError: Its mode forbids it.
    ///
    /// See semop(2).
    fn clear(&self) -> PyResult<()> {
        Ok(self.core.clear()?)
    }

    /// Waits until it is set.
    ///
    /// Args:
    ///     timeout: Seconds to wait at most; None for ever.
    ///
    /// Returns:
    ///     Whether it was set; False only if the time was up.
    ///
    /// Raises:
    ///     RemovedError: It is gone, perhaps while waiting.
    ///     AccessDeniedError: Its mode forbids it.
    ///
    /// See semop(2), semtimedop(2).
    #[pyo3(signature = (timeout=Timeout::Endless), text_signature = "($self, timeout=None)")]
    fn wait(&self, py: Python<'_>, timeout: Timeout) -> PyResult<bool> {
        let end = perform(py, &self.core.0, &mut self.core.waiting(), timeout)?;
        Ok(end == End::Done)
    }
}

//! `BoundedSemaphore`.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyType;

use super::{open_or_create, patience, perform, synchronizer};
use crate::python::convert::{Flag, ModeBits, NamedKey, NewKey, Owner, Value};
use crate::python::handle;
use crate::python::sem::INITIALISED_WITHIN;
use crate::python::wait::Timeout;
use crate::sync::{self as core, Released};

synchronizer! { keyed
    /// Tokens that processes take and give back; those of a process that dies come back.
    ///
    /// There are never more than at the beginning, and only a process that has taken one can
    /// release one. Made by `create`, `open`, `open_or_create` and `from_id`; equal and hashed by
    /// id; pickled as id and key. `with semaphore:` holds a token.
    ///
    /// See semop(2), SEM_UNDO.
    BoundedSemaphore reopen_bounded_semaphore;
    held by with;

    /// Creates a new one, which must not exist yet.
    ///
    /// Args:
    ///     key: The key it will be found by; `IPC_PRIVATE` (0) for none.
    ///     value: How many tokens there are, 0 to 32767.
    ///     mode: Who may use it, 0 to 0o777; there is no umask in System V IPC.
    ///
    /// Returns:
    ///     The new one.
    ///
    /// Raises:
    ///     AlreadyExistsError: The key has a semaphore set already.
    ///     LimitExceededError: SEMMNI or SEMMNS is reached.
    ///     ValueError: An argument is out of range.
    ///
    /// See semget(2).
    #[classmethod]
    #[pyo3(
        signature = (key=NewKey::PRIVATE, *, value=Value::ONE, mode=ModeBits::OURS),
        text_signature = "($cls, key=0, *, value=1, mode=0o600)"
    )]
    fn create(
        cls: &Bound<'_, PyType>,
        key: NewKey,
        value: Value,
        mode: ModeBits,
    ) -> PyResult<Py<Self>> {
        let core = core::BoundedSemaphore::create(key.0, value.0, mode.0)?;
        let set = core.set();
        handle::created(cls.py(), Self { core }, || set.remove())
    }

    /// Opens the one that a key leads to once it is initialised, or creates it.
    ///
    /// See `SemaphoreSet.open_or_create` for the protocol and its limits.
    ///
    /// Args:
    ///     key: Its key.
    ///     value: How many tokens a new one has.
    ///     mode: Who may use a new one.
    ///     owner: The user id that must both own it and have created it.
    ///     timeout: Seconds until one that its creator has not initialised counts as abandoned.
    ///
    /// Returns:
    ///     It, initialised.
    ///
    /// Raises:
    ///     WaitTimeoutError: Another user's is still not initialised.
    ///     NotFoundError: There is none, and `owner` is not our effective user id.
    ///     UntrustedOwnerError: It is not that owner's alone.
    ///     IPCError: The key's semaphore set is another kind of thing (EINVAL).
    ///
    /// See semget(2).
    #[classmethod]
    #[pyo3(
        signature = (
            key, *, value=Value::ONE, mode=ModeBits::OURS, owner=Owner::ANYBODY,
            timeout=INITIALISED_WITHIN
        ),
        text_signature = "($cls, key, *, value=1, mode=0o600, owner=None, timeout=10.0)"
    )]
    fn open_or_create(
        _cls: &Bound<'_, PyType>,
        py: Python<'_>,
        key: NamedKey,
        value: Value,
        mode: ModeBits,
        owner: Owner,
        timeout: Timeout,
    ) -> PyResult<Self> {
        let (values, of) =
            (core::BoundedSemaphore::values(value.0), core::BoundedSemaphore::from_set);
        Ok(Self { core: open_or_create(py, key, values, mode, owner, timeout, of)? })
    }

    /// Takes a token; waits while there is none.
    ///
    /// Args:
    ///     block: Whether to wait at all.
    ///     timeout: Seconds to wait at most; None for ever.
    ///
    /// Returns:
    ///     Whether it was taken; False only if the time was up.
    ///
    /// Raises:
    ///     RemovedError: It is gone, perhaps while waiting.
    ///     AccessDeniedError: Its mode forbids it.
    ///
    /// See semop(2), semtimedop(2).
    #[pyo3(
        signature = (block=Flag::YES, timeout=Timeout::Endless),
        text_signature = "($self, block=True, timeout=None)"
    )]
    fn acquire(&self, py: Python<'_>, block: Flag, timeout: Timeout) -> PyResult<bool> {
        let mut run = self.core.taking();
        let end = perform(py, &self.core.0, &mut run, patience(block, timeout))?;
        Ok(self.core.took(end))
    }

    /// Gives a token back, and wakes the one that has waited longest.
    ///
    /// Raises:
    ///     ValueError: This process has none.
    ///     RemovedError: It is gone.
    ///     AccessDeniedError: Its mode forbids it; the token is still held.
    ///
    /// See semop(2).
    fn release(&self) -> PyResult<()> {
        match self.core.release()? {
            Released::Yes => Ok(()),
            _ => Err(PyValueError::new_err(
                "the BoundedSemaphore is released too often: this process has no token of it",
            )),
        }
    }

    /// How many tokens are free, which may have changed meanwhile.
    ///
    /// Raises:
    ///     RemovedError: It is gone.
    ///     AccessDeniedError: Its mode forbids it.
    ///
    /// See semctl(2), GETVAL.
    fn get_value(&self) -> PyResult<i32> {
        Ok(self.core.value()?)
    }
}

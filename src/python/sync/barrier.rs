//! `Barrier`.

use pyo3::Borrowed;
use pyo3::exceptions::PyTypeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyTuple, PyType};

use super::{open_or_create, perform, synchronizer};
use crate::python::convert::arguments;
use crate::python::convert::{Id, ModeBits, NamedKey, NewKey, Owner, SEMAPHORE_MAX, small};
use crate::python::handle;
use crate::python::sem::INITIALISED_WITHIN;
use crate::python::wait::Timeout;
use crate::sync::{self as core, End};

arguments! {
    /// How many have to arrive at a barrier.
    Parties(u16): parties;
}

fn parties(value: &Bound<'_, PyAny>) -> PyResult<u16> {
    small(value, "parties", 1..=SEMAPHORE_MAX)
}

/// What a barrier's leader calls: `None` or anything that can be called.
#[derive(Debug)]
pub(in crate::python) struct Action(Option<Py<PyAny>>);

impl<'py> FromPyObject<'_, 'py> for Action {
    type Error = PyErr;

    fn extract(action: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if action.is_none() {
            return Ok(Self(None));
        }
        if action.is_callable() {
            return Ok(Self(Some(action.to_owned().unbind())));
        }
        let kind = action.get_type().name()?;
        Err(PyTypeError::new_err(format!("action must be callable, not {kind}")))
    }
}

synchronizer! {
    /// Where processes wait for one another until there are as many as parties.
    ///
    /// A participant that dies before it passes is no longer counted: the others wait for another.
    /// Made by `create`, `open`, `open_or_create` and `from_id`; equal and hashed by id; pickled as
    /// id, key, action and timeout.
    ///
    /// See semop(2), SEM_UNDO.
    Barrier { action: Option<Py<PyAny>>, timeout: Timeout };

    /// Creates a new one, which must not exist yet.
    ///
    /// Args:
    ///     key: The key it will be found by; `IPC_PRIVATE` (0) for none.
    ///     parties: How many have to arrive; each needs a semaphore of the set.
    ///     action: Called by one of them when all have arrived, before they are let go.
    ///     timeout: Seconds that `wait` waits at most, where it doesn't say; None for ever.
    ///     mode: Who may use it, 0 to 0o777; there is no umask in System V IPC.
    ///
    /// Returns:
    ///     The new one.
    ///
    /// Raises:
    ///     AlreadyExistsError: The key has a semaphore set already.
    ///     LimitExceededError: SEMMNI, SEMMNS or SEMMSL is reached.
    ///     ValueError: An argument is out of range.
    ///
    /// See semget(2).
    #[classmethod]
    #[pyo3(
        signature = (
            key=NewKey::PRIVATE, *, parties, action=Action(None), timeout=Timeout::Endless,
            mode=ModeBits::OURS
        ),
        text_signature = "($cls, key=0, *, parties, action=None, timeout=None, mode=0o600)"
    )]
    fn create(
        cls: &Bound<'_, PyType>,
        key: NewKey,
        parties: Parties,
        action: Action,
        timeout: Timeout,
        mode: ModeBits,
    ) -> PyResult<Py<Self>> {
        let core = core::Barrier::create(key.0, parties.0, mode.0)?;
        let set = core.set();
        handle::created(cls.py(), Self { core, action: action.0, timeout }, || set.remove())
    }

    /// Opens the one that a key leads to.
    ///
    /// Args:
    ///     key: Its key.
    ///     action: Called by this handle's `wait`, if that is the last to arrive.
    ///     timeout: Seconds that `wait` waits at most, where it doesn't say; None for ever.
    ///     owner: The user id that must both own it and have created it.
    ///
    /// Returns:
    ///     It.
    ///
    /// Raises:
    ///     NotFoundError: No semaphore set has the key.
    ///     AccessDeniedError: Its mode tells us nothing about it.
    ///     UntrustedOwnerError: It is not that owner's alone.
    ///     IPCError: The key's semaphore set is another kind of thing (EINVAL).
    ///
    /// See semget(2).
    #[classmethod]
    #[pyo3(
        signature = (key, *, action=Action(None), timeout=Timeout::Endless, owner=Owner::ANYBODY),
        text_signature = "($cls, key, *, action=None, timeout=None, owner=None)"
    )]
    fn open(
        _cls: &Bound<'_, PyType>,
        key: NamedKey,
        action: Action,
        timeout: Timeout,
        owner: Owner,
    ) -> PyResult<Self> {
        let core = super::open(key, owner, core::Barrier::from_set)?;
        Ok(Self { core, action: action.0, timeout })
    }

    /// Opens the one that a key leads to once it is initialised, or creates it.
    ///
    /// See `SemaphoreSet.open_or_create` for the protocol and its limits; one that its creator has
    /// not initialised counts as abandoned after 10 seconds.
    ///
    /// Args:
    ///     key: Its key.
    ///     parties: How many have to arrive at a new one.
    ///     action: Called by this handle's `wait`, if that is the last to arrive.
    ///     timeout: Seconds that `wait` waits at most, where it doesn't say; None for ever.
    ///     mode: Who may use a new one.
    ///     owner: The user id that must both own it and have created it.
    ///
    /// Returns:
    ///     It, initialised.
    ///
    /// Raises:
    ///     WaitTimeoutError: Another user's is still not initialised.
    ///     NotFoundError: There is none, and `owner` is not our effective user id.
    ///     UntrustedOwnerError: It is not that owner's alone.
    ///     IPCError: The key's semaphore set is another kind of thing, or has fewer parties
    ///         (EINVAL).
    ///
    /// See semget(2).
    #[classmethod]
    #[pyo3(
        signature = (
            key, *, parties, action=Action(None), timeout=Timeout::Endless, mode=ModeBits::OURS,
            owner=Owner::ANYBODY
        ),
        text_signature = "($cls, key, *, parties, action=None, timeout=None, mode=0o600, owner=None)"
    )]
    fn open_or_create(
        _cls: &Bound<'_, PyType>,
        py: Python<'_>,
        key: NamedKey,
        parties: Parties,
        action: Action,
        timeout: Timeout,
        mode: ModeBits,
        owner: Owner,
    ) -> PyResult<Self> {
        let (values, of) = (core::Barrier::values(parties.0), core::Barrier::from_set);
        let core = open_or_create(py, key, values, mode, owner, INITIALISED_WITHIN, of)?;
        Ok(Self { core, action: action.0, timeout })
    }

    /// The one whose semaphore set has an id.
    ///
    /// Args:
    ///     id: The set's id, as `ipcs -s` shows it.
    ///     action: Called by this handle's `wait`, if that is the last to arrive.
    ///     timeout: Seconds that `wait` waits at most, where it doesn't say; None for ever.
    ///     owner: The user id that must both own it and have created it.
    ///
    /// Returns:
    ///     It.
    ///
    /// Raises:
    ///     RemovedError: No set has the id.
    ///     AccessDeniedError: Its mode tells us nothing about it.
    ///     UntrustedOwnerError: It is not that owner's alone.
    ///     IPCError: The semaphore set is another kind of thing (EINVAL).
    ///
    /// See semctl(2), IPC_STAT.
    #[classmethod]
    #[pyo3(
        signature = (id, *, action=Action(None), timeout=Timeout::Endless, owner=Owner::ANYBODY),
        text_signature = "($cls, id, *, action=None, timeout=None, owner=None)"
    )]
    fn from_id(
        _cls: &Bound<'_, PyType>,
        id: Id,
        action: Action,
        timeout: Timeout,
        owner: Owner,
    ) -> PyResult<Self> {
        let core = super::from_id(id.0, owner, core::Barrier::from_set)?;
        Ok(Self { core, action: action.0, timeout })
    }

    /// Waits until as many as parties have arrived.
    ///
    /// The last to arrive calls the action first. If that raises, the barrier is broken, and the
    /// exception leaves this call. Who is interrupted by a signal handler that raises is no longer
    /// counted.
    ///
    /// Args:
    ///     timeout: Seconds to wait at most; None for the barrier's own. When the time is up the
    ///         barrier is broken.
    ///
    /// Returns:
    ///     An index from 0 to `parties - 1`, different for each of them.
    ///
    /// Raises:
    ///     threading.BrokenBarrierError: It is broken, or is broken or reset meanwhile.
    ///     RemovedError: It is gone, perhaps while waiting.
    ///     AccessDeniedError: Its mode forbids it.
    ///
    /// See semop(2), semtimedop(2).
    #[pyo3(signature = (timeout=None), text_signature = "($self, timeout=None)")]
    fn wait(&self, py: Python<'_>, timeout: Option<Timeout>) -> PyResult<u16> {
        let mut run = self.core.waiting();
        let timeout = timeout.unwrap_or(self.timeout);
        let passed = match perform(py, &self.core.0, &mut run, timeout)? {
            End::Done => Some(core::Barrier::index(&run)),
            End::Lead => {
                let acted = self.action.as_ref().map_or(Ok(()), |it| it.call0(py).map(drop));
                let passed = self.core.lead(&run, acted.is_ok());
                acted?;
                passed?
            }
            End::Expired => {
                self.core.abort()?;
                None
            }
            End::Died | End::Refused => None,
        };
        passed.map_or_else(|| Err(broken(py)), Ok)
    }

    /// Makes it as new. Who waits gets BrokenBarrierError.
    ///
    /// Raises:
    ///     RemovedError: It is gone.
    ///     AccessDeniedError: Its mode forbids it.
    ///
    /// See semop(2).
    fn reset(&self) -> PyResult<()> {
        Ok(self.core.reset()?)
    }

    /// Breaks it. Who waits, and who comes later, gets BrokenBarrierError, until it is reset.
    ///
    /// Raises:
    ///     RemovedError: It is gone.
    ///     AccessDeniedError: Its mode forbids it.
    ///
    /// See semop(2).
    fn abort(&self) -> PyResult<()> {
        Ok(self.core.abort()?)
    }

    /// How many have to arrive.
    #[getter]
    fn parties(&self) -> u16 {
        self.core.parties()
    }

    /// How many have arrived and wait for others.
    ///
    /// Raises:
    ///     RemovedError: It is gone.
    ///     AccessDeniedError: Its mode forbids it.
    ///
    /// See semctl(2), GETVAL.
    #[getter]
    fn n_waiting(&self) -> PyResult<i32> {
        Ok(self.core.waiting_count()?)
    }

    /// Whether it is broken.
    ///
    /// Raises:
    ///     RemovedError: It is gone.
    ///     AccessDeniedError: Its mode forbids it.
    ///
    /// See semctl(2), GETVAL.
    #[getter]
    fn broken(&self) -> PyResult<bool> {
        Ok(self.core.is_broken()?)
    }

    fn __reduce__<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let set = self.core.set();
        let function = py.import("sysv_ipc_rs._core")?.getattr("reopen_barrier")?;
        let action = self.action.as_ref().map(|action| action.bind(py));
        let seconds = match self.timeout {
            Timeout::Endless => None,
            Timeout::Within(time) => Some(time.as_secs_f64()),
        };
        Ok((function, (set.id(), set.key().get(), action, seconds).into_pyobject(py)?))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.action)
    }
}

fn broken(py: Python<'_>) -> PyErr {
    let class = py.import("threading").and_then(|it| it.getattr("BrokenBarrierError"));
    class.and_then(|class| class.call0()).map_or_else(|failed| failed, PyErr::from_value)
}

/// Opens a pickled barrier.
#[pyfunction]
pub(in crate::python) fn reopen_barrier(
    id: i32,
    key: i32,
    action: Action,
    timeout: Timeout,
) -> PyResult<Barrier> {
    let core = super::reopen(id, key, core::Barrier::from_set)?;
    Ok(Barrier { core, action: action.0, timeout })
}

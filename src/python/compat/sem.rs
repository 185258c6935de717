//! `sysv_ipc.Semaphore`.

use std::sync::atomic::{AtomicBool, AtomicI32, Ordering::Relaxed};

use nix::errno::Errno;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyInt, PyTuple};

use super::arguments::{self, Delta, InitialValue, Key, Patience};
use super::constructor::SemaphoreArguments;
use super::error::{self, Always, Class};
use super::number::Kept;
use super::{Got, NO_ID, change, check_flags, open_or_create, permissions};
use crate::ipc::{Control, Mode, PermissionChange, Permissions};
use crate::python::convert::Flag;
use crate::python::sem::operate;
use crate::python::wait::Timeout;
use crate::sem::{Operation, OperationFlags, SemaphoreSet};
use crate::sys;

const OUT_OF_RANGE: &str = "The semaphore's value must remain between 0 and SEMVMX";
const NOT_AN_INT: &str = "The attribute must be an integer";

static NO_SUCH_KEY: Always =
    Always::new(Class::Existential, Errno::ENOENT, "No semaphore exists with the specified key");
static BUSY: Always = Always::new(Class::Busy, Errno::EAGAIN, "The semaphore is busy");

/// The exception for what the kernel answers.
#[cold]
fn failed(errno: Errno) -> PyErr {
    match errno {
        Errno::ENOENT => NO_SUCH_KEY.error(),
        Errno::EINVAL => {
            Class::Existential.with(Errno::EIDRM, "No semaphore exists with the specified key")
        }
        Errno::EEXIST => {
            Class::Existential.with(errno, "A semaphore with the specified key already exists")
        }
        Errno::EIDRM => Class::Existential.with(errno, "The semaphore was removed"),
        Errno::EACCES | Errno::EPERM => Class::Permissions.with(errno, "Permission denied"),
        Errno::ERANGE => PyValueError::new_err(OUT_OF_RANGE),
        Errno::EAGAIN => BUSY.error(),
        errno => error::common(errno),
    }
}

/// A semaphore, as `sysv_ipc` has it: the first member of a System V semaphore set.
///
/// `with semaphore:` acquires and releases it.
///
/// Args:
///     key: Its key; None for a random one that nothing has, with IPC_CREX.
///     flags: 0 opens; IPC_CREAT opens or creates; IPC_CREX creates.
///     mode: Who may use a new semaphore, 0 to 0o777.
///     initial_value: The value of a new semaphore, unless its mode forbids to write it. One that
///         exists keeps its own.
///
/// Raises:
///     ExistentialError: There is none, or there is one, and should not be.
///     PermissionsError: Its mode forbids it.
///     ValueError: An argument is out of range; then nothing is created.
///
/// See semget(2), semop(2), semctl(2).
#[pyclass(frozen, freelist = 16, subclass, module = "sysv_ipc_rs.compat")]
#[derive(Debug)]
pub(in crate::python) struct Semaphore {
    id: AtomicI32,
    key: AtomicI32,
    id_int: Kept<i32>,
    key_int: Kept<i32>,
    block: AtomicBool,
    undo: AtomicBool,
}

impl Semaphore {
    fn set(&self) -> SemaphoreSet {
        SemaphoreSet::bare(self.id.load(Relaxed))
    }

    #[inline]
    fn operate(&self, py: Python<'_>, delta: i16, timeout: Timeout) -> PyResult<()> {
        let undo = self.undo.load(Relaxed);
        let flags = if undo { OperationFlags::UNDO } else { OperationFlags::empty() };
        let (set, ops) = (self.set(), [Operation::new(0, delta, flags)]);
        let timeout = if self.block.load(Relaxed) { timeout } else { Timeout::ZERO };
        operate(py, set, &ops, timeout)?.map_err(failed)
    }

    fn number(&self, cmd: i32) -> PyResult<i32> {
        sys::semctl(self.id.load(Relaxed), 0, cmd).map_err(failed)
    }

    fn permissions(&self) -> PyResult<Permissions> {
        permissions::<SemaphoreSet>(self.id.load(Relaxed)).map_err(failed)
    }

    fn change(&self, what: PermissionChange) -> PyResult<()> {
        change::<SemaphoreSet>(self.id.load(Relaxed), what).map_err(failed)
    }
}

/// A set of one, with its value; nothing is left if that can't be set.
#[inline]
fn get(key: Key, flags: i32, mode: Mode, value: Option<u16>) -> PyResult<Got> {
    check_flags(key, flags)?;
    let flags = flags & (libc::IPC_CREAT | libc::IPC_EXCL);
    let creates = flags & libc::IPC_CREAT != 0 && mode.bits() & 0o200 != 0;
    if creates && value.is_none() {
        return Err(PyValueError::new_err(OUT_OF_RANGE));
    }
    let mode = i32::from(mode.bits());
    let got = open_or_create(key, flags, |key, flags| sys::semget(key, 1, flags | mode))
        .map_err(|(errno, _)| failed(errno))?;
    let Some(value) = value.filter(|_| creates && got.created) else { return Ok(got) };
    sys::semctl_setval(got.id, 0, value.into()).map_err(|errno| {
        let _ = SemaphoreSet::ctl_rmid(got.id);
        failed(errno)
    })?;
    Ok(got)
}

#[pymethods]
impl Semaphore {
    #[new]
    #[pyo3(
        signature = (*_args, **_kwargs),
        text_signature = "(key, flags=0, mode=0o600, initial_value=0)"
    )]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self {
            id: AtomicI32::new(NO_ID),
            key: AtomicI32::new(NO_ID),
            id_int: Kept::new(),
            key_int: Kept::new(),
            block: AtomicBool::new(true),
            undo: AtomicBool::new(false),
        }
    }

    #[pyo3(signature = (*args, **kwargs))]
    fn __init__(
        &self,
        args: &Bound<'_, PyTuple>,
        kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<()> {
        let SemaphoreArguments { key, flags, mode, initial_value } =
            SemaphoreArguments::of(args, kwargs)?;
        let got = get(key, flags, mode.0, initial_value.0)?;
        self.id.store(got.id, Relaxed);
        self.key.store(got.key, Relaxed);
        self.block.store(true, Relaxed);
        self.undo.store(false, Relaxed);
        Ok(())
    }

    /// Subtracts `delta` from the value; waits while that is not possible.
    ///
    /// Args:
    ///     timeout: Seconds to wait at most; None for ever, 0 not at all.
    ///     delta: How much, of which the sign doesn't count.
    ///
    /// Raises:
    ///     BusyError: The time was up, or `block` is False.
    ///     ExistentialError: It is gone, perhaps while waiting.
    ///     PermissionsError: Its mode forbids it.
    ///     ValueError: The delta is 0.
    ///     OverflowError: The delta is beyond 32767.
    ///     TypeError: The timeout is no number, or negative.
    ///
    /// See semop(2), semtimedop(2).
    #[pyo3(
        signature = (timeout=Patience::ENDLESS, delta=Delta::ONE),
        text_signature = "($self, timeout=None, delta=1)"
    )]
    fn acquire(&self, py: Python<'_>, timeout: Patience, delta: Delta) -> PyResult<()> {
        self.operate(py, -delta.0, timeout.0)
    }

    /// The same as `acquire`.
    ///
    /// Args:
    ///     timeout: As of `acquire`.
    ///     delta: As of `acquire`.
    ///
    /// Raises:
    ///     As `acquire`.
    ///
    /// See semop(2), semtimedop(2).
    #[pyo3(
        name = "P",
        signature = (timeout=Patience::ENDLESS, delta=Delta::ONE),
        text_signature = "($self, timeout=None, delta=1)"
    )]
    fn p(&self, py: Python<'_>, timeout: Patience, delta: Delta) -> PyResult<()> {
        self.operate(py, -delta.0, timeout.0)
    }

    /// Adds `delta` to the value, and wakes who waits for it. Never waits.
    ///
    /// Args:
    ///     delta: How much, of which the sign doesn't count.
    ///
    /// Raises:
    ///     ExistentialError: It is gone.
    ///     PermissionsError: Its mode forbids it.
    ///     ValueError: The delta is 0, or the value would pass SEMAPHORE_VALUE_MAX.
    ///     OverflowError: The delta is beyond 32767.
    ///
    /// See semop(2).
    #[pyo3(signature = (delta=Delta::ONE), text_signature = "($self, delta=1)")]
    fn release(&self, py: Python<'_>, delta: Delta) -> PyResult<()> {
        self.operate(py, delta.0, Timeout::ZERO)
    }

    /// The same as `release`.
    ///
    /// Args:
    ///     delta: As of `release`.
    ///
    /// Raises:
    ///     As `release`.
    ///
    /// See semop(2).
    #[pyo3(
        name = "V",
        signature = (delta=Delta::ONE),
        text_signature = "($self, delta=1)"
    )]
    fn v(&self, py: Python<'_>, delta: Delta) -> PyResult<()> {
        self.operate(py, delta.0, Timeout::ZERO)
    }

    /// Waits until the value is 0.
    ///
    /// Args:
    ///     timeout: Seconds to wait at most; None for ever, 0 not at all.
    ///
    /// Raises:
    ///     BusyError: The time was up, or `block` is False.
    ///     ExistentialError: It is gone, perhaps while waiting.
    ///     PermissionsError: Its mode forbids it.
    ///     TypeError: The timeout is no number, or negative.
    ///
    /// See semop(2), semtimedop(2).
    #[pyo3(
        name = "Z",
        signature = (timeout=Patience::ENDLESS),
        text_signature = "($self, timeout=None)"
    )]
    fn z(&self, py: Python<'_>, timeout: Patience) -> PyResult<()> {
        self.operate(py, 0, timeout.0)
    }

    /// Removes it. Who waits on it gets ExistentialError.
    ///
    /// Raises:
    ///     ExistentialError: It is gone already.
    ///     PermissionsError: We are neither its owner nor its creator nor root.
    ///
    /// See semctl(2), IPC_RMID.
    fn remove(&self) -> PyResult<()> {
        remove_semaphore(self.id.load(Relaxed))
    }

    fn __enter__(slf: Bound<'_, Self>) -> PyResult<Bound<'_, Self>> {
        slf.get().operate(slf.py(), -1, Timeout::Endless)?;
        Ok(slf)
    }

    #[pyo3(signature = (*_args), text_signature = "($self, *args)")]
    fn __exit__(&self, py: Python<'_>, _args: &Bound<'_, PyTuple>) -> PyResult<()> {
        self.operate(py, 1, Timeout::ZERO)
    }

    /// The id that the system gave it. Read-only.
    #[getter]
    fn id<'py>(&self, py: Python<'py>) -> Bound<'py, PyInt> {
        self.id_int.of(py, self.id.load(Relaxed))
    }

    #[setter]
    fn set_id(&self, _value: &Bound<'_, PyAny>) -> PyResult<()> {
        error::readonly()
    }

    /// The key that it was found or made by. Read-only.
    #[getter]
    fn key<'py>(&self, py: Python<'py>) -> Bound<'py, PyInt> {
        self.key_int.of(py, self.key.load(Relaxed))
    }

    /// Its value, 0 to SEMAPHORE_VALUE_MAX.
    #[getter]
    fn value(&self) -> PyResult<i32> {
        self.number(libc::GETVAL)
    }

    #[setter]
    fn set_value(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let value = arguments::attribute(value, "Attribute 'value' must be an integer")?;
        let InitialValue(Some(value)) = value.extract()? else {
            return Err(failed(Errno::ERANGE));
        };
        sys::semctl_setval(self.id.load(Relaxed), 0, value.into()).map_err(failed)
    }

    /// Whether the kernel undoes what is acquired and released from now on, when the process ends.
    #[getter]
    fn undo(&self) -> bool {
        self.undo.load(Relaxed)
    }

    #[setter]
    fn set_undo(&self, undo: Flag) {
        self.undo.store(undo.0, Relaxed);
    }

    /// Whether calls wait; if not, they raise BusyError instead.
    #[getter]
    fn block(&self) -> bool {
        self.block.load(Relaxed)
    }

    #[setter]
    fn set_block(&self, block: Flag) {
        self.block.store(block.0, Relaxed);
    }

    /// Its permission bits.
    #[getter]
    fn mode(&self) -> PyResult<u16> {
        Ok(self.permissions()?.access().bits())
    }

    #[setter]
    fn set_mode(&self, mode: &Bound<'_, PyAny>) -> PyResult<()> {
        let mode = Some(arguments::mode(mode, NOT_AN_INT)?);
        self.change(PermissionChange { mode, ..Default::default() })
    }

    /// User id of the owner.
    #[getter]
    fn uid(&self) -> PyResult<u32> {
        Ok(self.permissions()?.uid)
    }

    #[setter]
    fn set_uid(&self, uid: &Bound<'_, PyAny>) -> PyResult<()> {
        let uid = Some(arguments::owner(uid, NOT_AN_INT)?);
        self.change(PermissionChange { uid, ..Default::default() })
    }

    /// Group id of the owner.
    #[getter]
    fn gid(&self) -> PyResult<u32> {
        Ok(self.permissions()?.gid)
    }

    #[setter]
    fn set_gid(&self, gid: &Bound<'_, PyAny>) -> PyResult<()> {
        let gid = Some(arguments::owner(gid, NOT_AN_INT)?);
        self.change(PermissionChange { gid, ..Default::default() })
    }

    /// User id of the creator. Read-only.
    #[getter]
    fn cuid(&self) -> PyResult<u32> {
        Ok(self.permissions()?.cuid)
    }

    /// Group id of the creator. Read-only.
    #[getter]
    fn cgid(&self) -> PyResult<u32> {
        Ok(self.permissions()?.cgid)
    }

    /// The process that changed it last; 0 = none. Read-only.
    #[getter]
    fn last_pid(&self) -> PyResult<i32> {
        self.number(libc::GETPID)
    }

    /// How many wait for the value to grow. Read-only.
    #[getter]
    fn waiting_for_nonzero(&self) -> PyResult<i32> {
        self.number(libc::GETNCNT)
    }

    /// How many wait for the value to become 0. Read-only.
    #[getter]
    fn waiting_for_zero(&self) -> PyResult<i32> {
        self.number(libc::GETZCNT)
    }

    /// Time of the last operation, in seconds since the epoch; 0 = never. Read-only.
    #[getter]
    fn o_time(&self) -> PyResult<i64> {
        let ds = SemaphoreSet::stat_raw(self.id.load(Relaxed)).map_err(failed)?;
        Ok(ds.sem_otime)
    }

    fn __str__(&self) -> String {
        format!("Key={}, id={}", self.key.load(Relaxed), self.id.load(Relaxed))
    }

    fn __repr__(&self) -> String {
        format!("sysv_ipc.Semaphore({})", self.key.load(Relaxed))
    }
}

/// Removes the semaphore that has an id.
///
/// Args:
///     id: The id.
///
/// Raises:
///     ExistentialError: No semaphore has it.
///     PermissionsError: We are neither its owner nor its creator nor root.
///
/// See semctl(2), IPC_RMID.
#[pyfunction]
#[pyo3(signature = (id, /))]
pub(in crate::python) fn remove_semaphore(id: i32) -> PyResult<()> {
    SemaphoreSet::ctl_rmid(id).map_err(failed)
}

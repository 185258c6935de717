//! `sysv_ipc_rs.sync`: one class each in the files below.

use nix::errno::Errno;
use pyo3::prelude::*;

use super::convert::{Flag, ModeBits, NamedKey, Owner};
use super::wait::{Timeout, wait};
use super::{handle, sem};
use crate::sem::SemaphoreSet;
use crate::sync::{End, Object, Run};
use crate::sys;
use crate::wait::Deadline;

mod agent;
mod barrier;
mod bounded;
mod condition;
mod event;
mod export;
mod lock;
mod rwlock;

pub(super) use agent::{LockAgent, NotificationAgent};
pub(super) use barrier::{Barrier, reopen_barrier};
pub(super) use bounded::{BoundedSemaphore, reopen_bounded_semaphore};
pub(super) use condition::{Condition, reopen_condition};
pub(super) use event::{Event, reopen_event};
pub(super) use export::sync_protocols;
pub(super) use lock::{Lock, RLock, reopen_lock, reopen_rlock};
pub(super) use rwlock::{RWLock, RWLockSide, reopen_rwlock};

/// Runs a program that may wait.
///
/// # Errors
/// What a signal handler raised; then it is as if the program had never been begun.
#[inline]
fn run_or_raise(py: Python<'_>, run: &mut Run, timeout: Timeout) -> PyResult<sys::Result<End>> {
    let answer = wait(py, timeout, |deadline| match deadline {
        None => run.probe(),
        Some(deadline) => run.go(deadline),
    });
    match answer {
        Ok(Err(Errno::EAGAIN)) => Ok(run.go(Deadline::PASSED)),
        Ok(answer) => Ok(answer),
        Err(raised) => {
            // What can't be given back now is when the process ends.
            let _ = run.give_up();
            Err(raised)
        }
    }
}

/// Runs a program that may wait, or raises what went wrong.
#[inline]
fn perform(py: Python<'_>, object: &Object, run: &mut Run, timeout: Timeout) -> PyResult<End> {
    Ok(run_or_raise(py, run, timeout)?.map_err(|errno| object.error(errno))?)
}

/// The arguments of `acquire` as one: multiprocessing's `block` and `timeout`.
#[inline]
fn patience(block: Flag, timeout: Timeout) -> Timeout {
    if block.0 { timeout } else { Timeout::ZERO }
}

/// The end of a `with` block that could not give back what it held: the body's own exception is
/// never hidden.
fn leave(raised: &Bound<'_, PyAny>, given: PyResult<()>) -> PyResult<bool> {
    match given {
        Ok(()) => {}
        Err(error) if raised.is_none() => return Err(error),
        Err(error) => {
            let note = format!("Besides, what was held could not be given back: {error}");
            if let Err(failed) = raised.call_method1("add_note", (note,)) {
                failed.write_unraisable(raised.py(), Some(raised));
            }
        }
    }
    Ok(false)
}

fn checked(set: SemaphoreSet, owner: Owner) -> PyResult<SemaphoreSet> {
    owner.0.map_or(Ok(()), |owner| set.check_owner(owner))?;
    Ok(set)
}

/// The object that a key leads to.
fn open<T>(
    key: NamedKey,
    owner: Owner,
    of: impl Fn(SemaphoreSet) -> crate::Result<T>,
) -> PyResult<T> {
    Ok(of(checked(SemaphoreSet::open(key.0, 0)?, owner)?)?)
}

/// The object of a set.
fn from_id<T>(id: i32, owner: Owner, of: impl Fn(SemaphoreSet) -> crate::Result<T>) -> PyResult<T> {
    Ok(of(checked(SemaphoreSet::from_id(id)?, owner)?)?)
}

/// The object that a key leads to, once it is initialised, or a new one with these values.
fn open_or_create<T>(
    py: Python<'_>,
    key: NamedKey,
    values: Vec<u16>,
    mode: ModeBits,
    owner: Owner,
    timeout: Timeout,
    of: impl Fn(SemaphoreSet) -> crate::Result<T>,
) -> PyResult<T> {
    let set = sem::open_or_create(py, sem::creation(key, values, mode.0, owner, timeout))?;
    Ok(of(set)?)
}

/// A pickled object.
fn reopen<T>(id: i32, key: i32, of: impl Fn(SemaphoreSet) -> crate::Result<T>) -> PyResult<T> {
    let set = SemaphoreSet::from_id(id)?;
    handle::same_key::<SemaphoreSet>(id, set.key(), key)?;
    Ok(of(set)?)
}

/// Defines a class over one of the core's: what all of them have in common, and `own` methods.
///
/// `plain` ones have no choice but their key and mode; of `keyed` ones nothing but these is
/// pickled. What is `held by with` has `acquire` and `release`.
macro_rules! synchronizer {
    (plain $(#[$doc:meta])* $name:ident { $values:expr } $reopen:ident; $($own:tt)*) => {
        synchronizer! { keyed $(#[$doc])* $name $reopen;
            $($own)*

            /// Creates a new one, which must not exist yet.
            ///
            /// Args:
            ///     key: The key it will be found by; `IPC_PRIVATE` (0) for none.
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
                signature = (
                    key=$crate::python::convert::NewKey::PRIVATE, *,
                    mode=$crate::python::convert::ModeBits::OURS
                ),
                text_signature = "($cls, key=0, *, mode=0o600)"
            )]
            fn create(
                cls: &Bound<'_, pyo3::types::PyType>,
                key: $crate::python::convert::NewKey,
                mode: $crate::python::convert::ModeBits,
            ) -> PyResult<Py<Self>> {
                let core = $crate::sync::$name::create(key.0, mode.0)?;
                let set = core.set();
                $crate::python::handle::created(cls.py(), Self { core }, || set.remove())
            }

            /// Opens the one that a key leads to once it is initialised, or creates it.
            ///
            /// See `SemaphoreSet.open_or_create` for the protocol and its limits.
            ///
            /// Args:
            ///     key: Its key.
            ///     mode: Who may use a new one.
            ///     owner: The user id that must both own it and have created it.
            ///     timeout: Seconds until one that its creator has not initialised counts as
            ///         abandoned.
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
                    key, *, mode=$crate::python::convert::ModeBits::OURS,
                    owner=$crate::python::convert::Owner::ANYBODY,
                    timeout=$crate::python::sem::INITIALISED_WITHIN
                ),
                text_signature = "($cls, key, *, mode=0o600, owner=None, timeout=10.0)"
            )]
            fn open_or_create(
                _cls: &Bound<'_, pyo3::types::PyType>,
                py: Python<'_>,
                key: $crate::python::convert::NamedKey,
                mode: $crate::python::convert::ModeBits,
                owner: $crate::python::convert::Owner,
                timeout: $crate::python::wait::Timeout,
            ) -> PyResult<Self> {
                let of = $crate::sync::$name::from_set;
                let values = $values.values();
                let core = $crate::python::sync::open_or_create(
                    py, key, values, mode, owner, timeout, of,
                )?;
                Ok(Self { core })
            }
        }
    };

    (keyed $(#[$doc:meta])* $name:ident $reopen:ident; $($own:tt)*) => {
        /// Opens a pickled one.
        #[pyfunction]
        pub(in $crate::python) fn $reopen(id: i32, key: i32) -> PyResult<$name> {
            let of = $crate::sync::$name::from_set;
            Ok($name { core: $crate::python::sync::reopen(id, key, of)? })
        }

        synchronizer! { $(#[$doc])* $name {};
            $($own)*

            /// Opens the one that a key leads to.
            ///
            /// Args:
            ///     key: Its key.
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
                signature = (key, *, owner=$crate::python::convert::Owner::ANYBODY),
                text_signature = "($cls, key, *, owner=None)"
            )]
            fn open(
                _cls: &Bound<'_, pyo3::types::PyType>,
                key: $crate::python::convert::NamedKey,
                owner: $crate::python::convert::Owner,
            ) -> PyResult<Self> {
                let of = $crate::sync::$name::from_set;
                Ok(Self { core: $crate::python::sync::open(key, owner, of)? })
            }

            /// The one whose semaphore set has an id.
            ///
            /// Args:
            ///     id: The set's id, as `ipcs -s` shows it.
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
                signature = (id, *, owner=$crate::python::convert::Owner::ANYBODY),
                text_signature = "($cls, id, *, owner=None)"
            )]
            fn from_id(
                _cls: &Bound<'_, pyo3::types::PyType>,
                id: $crate::python::convert::Id,
                owner: $crate::python::convert::Owner,
            ) -> PyResult<Self> {
                let of = $crate::sync::$name::from_set;
                Ok(Self { core: $crate::python::sync::from_id(id.0, owner, of)? })
            }

            fn __reduce__<'py>(
                &self,
                py: Python<'py>,
            ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, pyo3::types::PyTuple>)> {
                let set = self.core.set();
                let pickled = [set.id().into(), set.key().get().into()];
                $crate::python::handle::reduce(py, stringify!($reopen), pickled)
            }
        }
    };

    (
        $(#[$doc:meta])* $name:ident { $($field:ident: $type:ty),* };
        held by with;
        $($own:tt)*
    ) => {
        synchronizer! { $(#[$doc])* $name { $($field: $type),* };
            $($own)*

            fn __enter__(&self, py: Python<'_>) -> PyResult<bool> {
                let (block, timeout) =
                    ($crate::python::convert::Flag::YES, $crate::python::wait::Timeout::Endless);
                self.acquire(py, block, timeout)
            }

            #[pyo3(signature = (exc_type, exc_value, traceback))]
            fn __exit__(
                &self,
                exc_type: &Bound<'_, PyAny>,
                exc_value: &Bound<'_, PyAny>,
                traceback: &Bound<'_, PyAny>,
            ) -> PyResult<bool> {
                let _ = (exc_type, traceback);
                $crate::python::sync::leave(exc_value, self.release())
            }
        }
    };

    ($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty),* } ; $($own:tt)*) => {
        $(#[$doc])*
        #[pyclass(frozen, eq, hash, weakref, module = "sysv_ipc_rs.sync")]
        #[derive(Debug)]
        pub(in $crate::python) struct $name {
            pub(in $crate::python) core: $crate::sync::$name,
            $($field: $type,)*
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.core.set().id() == other.core.set().id()
            }
        }

        impl std::hash::Hash for $name {
            fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
                (stringify!($name), self.core.set().id()).hash(state);
            }
        }

        #[pymethods]
        impl $name {
            #[new]
            #[pyo3(signature = (*_args, **_kwargs))]
            fn py_new(
                _args: &Bound<'_, pyo3::types::PyTuple>,
                _kwargs: Option<&Bound<'_, pyo3::types::PyDict>>,
            ) -> PyResult<Self> {
                $crate::python::handle::no_constructor(stringify!($name))
            }

            $($own)*

            /// The key by which it was found or made; 0 = IPC_PRIVATE.
            #[getter]
            fn key(&self) -> i32 {
                self.core.set().key().get()
            }

            /// The id of its semaphore set.
            #[getter]
            fn id(&self) -> i32 {
                self.core.set().id()
            }

            /// Owner, mode, size and times of its semaphore set, at one moment.
            ///
            /// Raises:
            ///     RemovedError: It is gone.
            ///     AccessDeniedError: The kernel tells us nothing about it.
            ///
            /// See semctl(2), IPC_STAT and SEM_STAT_ANY.
            fn stat(&self) -> PyResult<$crate::python::sem::SemaphoreSetStat> {
                Ok(self.core.set().stat()?.into())
            }

            /// Removes it at once. Who waits on it gets RemovedError.
            ///
            /// Raises:
            ///     RemovedError: It is gone already.
            ///     AccessDeniedError: We are neither its owner nor its creator nor root.
            ///
            /// See semctl(2), IPC_RMID.
            fn remove(&self) -> PyResult<()> {
                Ok(self.core.remove()?)
            }

            fn __repr__(&self) -> String {
                let set = self.core.set();
                $crate::python::handle::repr(stringify!($name), set.key(), set.id())
            }
        }
    };
}

use synchronizer;

//! `sysv_ipc_rs.compat`: the classes and functions of `sysv_ipc` 1.2.0 over the safe core. Names,
//! defaults, units and texts are that module's; `docs/migrating.md` lists where it is not followed.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use nix::errno::Errno;
use pyo3::exceptions::{PyValueError, PyWarning};
use pyo3::prelude::*;

use self::arguments::Key;
use super::convert::{self, Flag};
use crate::ipc::{Control, PermissionChange, Permissions};
use crate::sys;

mod arguments;
mod constructor;
mod error;
mod msg;
mod number;
mod sem;
mod shm;

/// Of a handle whose `__init__` has not run: no object has it.
const NO_ID: i32 = -1;

/// An object that a constructor has found or made.
struct Got {
    id: i32,
    key: i32,
    /// Whether it is ours to remove if the constructor fails.
    created: bool,
}

/// The keys that are chosen at random, at first: what the incumbent promises.
const RANDOM_KEYS: u64 = i16::MAX as u64;
/// How many of them are tried before all keys are: they may be in use, every one.
const RANDOM_TRIES: u32 = 100;

/// Refuses what no constructor takes.
fn check_flags(key: Key, flags: i32) -> PyResult<()> {
    if flags & libc::IPC_EXCL != 0 && flags & libc::IPC_CREAT == 0 {
        return Err(PyValueError::new_err("IPC_EXCL must be combined with IPC_CREAT"));
    }
    if matches!(key, Key::Random) && flags & libc::IPC_EXCL == 0 {
        return Err(PyValueError::new_err("Key can only be None if IPC_EXCL is set"));
    }
    Ok(())
}

/// Opens or creates by `get(key, flags)`; on failure also the key that was tried.
#[inline]
fn open_or_create(
    key: Key,
    flags: i32,
    get: impl Fn(i32, i32) -> sys::Result<i32>,
) -> Result<Got, (Errno, i32)> {
    let got = |key, created| move |id| Got { id, key, created };
    let Key::Given(key) = key else {
        return create_random(flags, get);
    };
    let exclusive = flags & libc::IPC_EXCL != 0;
    if exclusive || key == libc::IPC_PRIVATE || flags & libc::IPC_CREAT == 0 {
        let created = exclusive || key == libc::IPC_PRIVATE;
        return get(key, flags).map(got(key, created)).map_err(|errno| (errno, key));
    }
    loop {
        // The kernel would not tell which of the two it did.
        match get(key, flags & !libc::IPC_CREAT) {
            Err(Errno::ENOENT) => {}
            opened => return opened.map(got(key, false)).map_err(|errno| (errno, key)),
        }
        match get(key, flags | libc::IPC_EXCL) {
            Err(Errno::EEXIST) => {}
            made => return made.map(got(key, true)).map_err(|errno| (errno, key)),
        }
    }
}

fn create_random(
    flags: i32,
    get: impl Fn(i32, i32) -> sys::Result<i32>,
) -> Result<Got, (Errno, i32)> {
    let random = RandomState::new();
    for count in 0_u32.. {
        let number = random.hash_one(count);
        let range = if count < RANDOM_TRIES { RANDOM_KEYS } else { i32::MAX as u64 };
        let key = i32::try_from(number % range + 1).unwrap_or(1);
        match get(key, flags) {
            Err(Errno::EEXIST) => {}
            made => {
                return made.map(|id| Got { id, key, created: true }).map_err(|errno| (errno, key));
            }
        }
    }
    Err((Errno::EEXIST, 0))
}

/// Who owns an object, and who may use it.
fn permissions<C: Control>(id: i32) -> sys::Result<Permissions> {
    C::stat_raw(id).map(|mut ds| (*C::perm(&mut ds)).into())
}

fn change<C: Control>(id: i32, change: PermissionChange) -> sys::Result<()> {
    let mut ds = C::stat_raw(id)?;
    change.apply(C::perm(&mut ds));
    C::ctl_set(id, &ds)
}

/// A key made of a file's device and inode and of a number. Warns, unless told not to: two files
/// can have the same.
///
/// Args:
///     path: The path of an existing file.
///     id: Any int, of which the low 8 bits count.
///     silence_warning: Whether not to warn.
///
/// Returns:
///     The key.
///
/// Raises:
///     OSError: The file can't be looked at.
///
/// See ftok(3).
#[pyfunction]
#[pyo3(
    signature = (path, id, silence_warning=Flag::NO),
    text_signature = "(path, id, silence_warning=False)"
)]
fn ftok(path: &Bound<'_, PyAny>, id: i32, silence_warning: Flag) -> PyResult<i32> {
    if !silence_warning.0 {
        let py = path.py();
        let text = c"Use of ftok() is not recommended; see sysv_ipc documentation";
        PyErr::warn(py, &py.get_type::<PyWarning>(), text, 1)?;
    }
    convert::file_key(path, id)
}

/// The classes and functions of `sysv_ipc`; import them from `sysv_ipc_rs.compat`.
#[pymodule(submodule, module = "sysv_ipc_rs", gil_used = false)]
pub(super) mod compat {
    use pyo3::prelude::*;
    use pyo3::types::PyModule;

    #[pymodule_export]
    use super::ftok;
    #[pymodule_export]
    use super::msg::{MessageQueue, remove_message_queue};
    #[pymodule_export]
    use super::sem::{Semaphore, remove_semaphore};
    #[pymodule_export]
    use super::shm::{SharedMemory, attach, remove_shared_memory};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        // So that it can be imported from: `_core` is no package.
        let modules = module.py().import("sys")?.getattr("modules")?;
        modules.set_item("sysv_ipc_rs._core.compat", module)?;
        // The Python module says what is public.
        module.delattr("__all__")
    }
}

//! Semaphore sets.
//!
//! # References
//! - [semget(2)](https://man7.org/linux/man-pages/man2/semget.2.html)
//! - [semop(2)](https://man7.org/linux/man-pages/man2/semop.2.html)
//! - [semctl(2)](https://man7.org/linux/man-pages/man2/semctl.2.html)

use std::ffi::c_int;

use libc::semid_ds;
use nix::errno::Errno;

use crate::collect;
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::ipc::{Control, GetFlags, Key, Kind, Mode, PermissionChange, Permissions, Time};
use crate::sys;
use crate::system::Limit;
use crate::wait::Deadline;

mod create;
mod guard;
mod operation;
mod php;
mod taker;

pub use create::Creation;
pub use guard::SemaphoreGuard;
pub use operation::{Operation, OperationFlags};
pub use php::{PhpEntry, PhpSemaphore};
pub use taker::Taker;

/// What the kernel tells about a set (`struct semid_ds`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SemaphoreSetStat {
    /// The set's id.
    pub id: i32,
    /// Owner, creator, key and mode.
    pub permissions: Permissions,
    /// How many semaphores it has.
    pub size: u64,
    /// Time of the last `semop` that succeeded, in seconds since the epoch; 0 = never.
    pub otime: Time,
    /// Time of creation or of the last change by `semctl`.
    pub ctime: Time,
}

impl SemaphoreSetStat {
    pub(crate) fn new(id: i32, ds: semid_ds) -> Self {
        Self {
            id,
            permissions: ds.sem_perm.into(),
            size: ds.sem_nsems,
            otime: ds.sem_otime,
            ctime: ds.sem_ctime,
        }
    }
}

/// A handle on a semaphore set. Copying or dropping it does nothing to the set.
///
/// ```
/// use sysv_ipc_rs::ipc::{Key, Mode};
/// use sysv_ipc_rs::sem::{Operation, OperationFlags, SemaphoreSet};
///
/// let set = SemaphoreSet::create(Key::PRIVATE, &[1, 0], Mode::default())?;
/// let shift = [-1, 1].map(|delta| Operation::new(u16::from(delta > 0), delta, OperationFlags::empty()));
/// set.op(&shift)?;
/// assert_eq!(set.values()?, [0, 1]);
/// assert!(!set.try_op(&shift)?);
/// set.remove()?;
/// # Ok::<(), sysv_ipc_rs::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SemaphoreSet {
    id: i32,
    key: Key,
    len: usize,
}

impl Control for SemaphoreSet {
    const KIND: Kind = Kind::SemaphoreSet;
    const CALL: &'static str = "semctl";
    const STAT_ANY: c_int = libc::SEM_STAT_ANY;
    type Ds = semid_ds;

    #[inline]
    fn ctl_stat(id: i32, cmd: c_int) -> sys::Result<(c_int, semid_ds)> {
        sys::semctl_stat(id, cmd)
    }

    fn ctl_set(id: i32, ds: &semid_ds) -> sys::Result<()> {
        sys::semctl_set(id, ds)
    }

    fn ctl_rmid(id: i32) -> sys::Result<()> {
        sys::semctl(id, 0, libc::IPC_RMID).map(drop)
    }

    fn perm(ds: &mut semid_ds) -> &mut libc::ipc_perm {
        &mut ds.sem_perm
    }
}

/// The largest set that is of use: `semop` has 16 bits to name a member.
#[cfg(feature = "python")]
pub(crate) const SIZE_MAX: usize = 1 << 16;

/// The error of a set of more than [`SIZE_MAX`], which is not worth a system call.
#[cfg(feature = "python")]
pub(crate) fn too_large(key: Key, size: usize) -> Error {
    get_error(Errno::EINVAL, key, size, GetFlags::EXCLUSIVE)
}

/// `semget(key, nsems, flags)`, with an error that names the limit or both sizes.
pub(crate) fn get(key: Key, size: usize, flags: GetFlags, mode: Mode) -> Result<i32> {
    key.named_unless(flags, Kind::SemaphoreSet, "semget")?;
    let nsems = c_int::try_from(size).unwrap_or(c_int::MAX);
    sys::semget(key.get(), nsems, flags.bits() | mode.flags())
        .map_err(|errno| get_error(errno, key, size, flags))
}

/// The set that a key leads to, unless there can't be one or another was to be made.
fn existing(key: Key, flags: GetFlags) -> Option<i32> {
    let other = key == Key::PRIVATE || flags.contains(GetFlags::EXCLUSIVE);
    if other { None } else { sys::semget(key.get(), 0, 0).ok() }
}

#[cold]
fn get_error(errno: Errno, key: Key, size: usize, flags: GetFlags) -> Error {
    let error = Error::new("semget", errno, Subject::Key(Kind::SemaphoreSet, key));
    match errno {
        Errno::ENOENT => error.because("no semaphore set has this key"),
        Errno::EEXIST => error.because("a semaphore set with this key exists already"),
        Errno::EACCES => error.because("the set's mode does not allow us that"),
        Errno::ENOSPC => {
            let sets =
                Limit::now("SEMMNI", |limits| limits.semmni, Some(|usage| usage.semaphore_sets));
            let full = sets.used.is_some_and(|used| used >= sets.value);
            error.because(format!("no room for a set of {size}")).at_limit(if full {
                sets
            } else {
                Limit::now("SEMMNS", |limits| limits.semmns, Some(|usage| usage.semaphores))
            })
        }
        Errno::EINVAL => {
            let existing = existing(key, flags);
            if let Some(Ok(ds)) = existing.map(SemaphoreSet::stat_raw) {
                return error.because(format!(
                    "asked for a set of {size} semaphores, but the one that exists has {}",
                    ds.sem_nsems
                ));
            }
            let limit = Limit::now("SEMMSL", |limits| limits.semmsl, None);
            if size as u64 > limit.value {
                let text = format!("a set of {size} semaphores is too large");
                return error.of_kind(ErrorKind::LimitExceeded).because(text).at_limit(limit);
            }
            error.because(format!("{size} is no size for a set"))
        }
        _ => error,
    }
}

impl SemaphoreSet {
    /// `semget(key, 0)`—opens the set that has this key and at least `size` semaphores.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]; [`ErrorKind::AccessDenied`]; `EINVAL` if it has fewer semaphores.
    ///
    /// ```
    /// use sysv_ipc_rs::{ErrorKind, ipc::Key, sem::SemaphoreSet};
    /// let error = SemaphoreSet::open(Key::from_name("nobody has made it"), 0).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::NotFound);
    /// ```
    #[doc(alias = "semget")]
    pub fn open(key: Key, size: usize) -> Result<Self> {
        let id = get(key, size, GetFlags::empty(), Mode::NONE)?;
        Ok(Self { key, ..Self::from_id(id)? })
    }

    /// The set that has this id.
    ///
    /// # Errors
    /// [`ErrorKind::Removed`] if no set has it; [`ErrorKind::AccessDenied`] if the kernel tells
    /// nothing about it.
    ///
    /// ```
    /// use sysv_ipc_rs::{ipc::{Key, Mode}, sem::SemaphoreSet};
    /// let set = SemaphoreSet::create(Key::PRIVATE, &[0; 5], Mode::default())?;
    /// assert_eq!(SemaphoreSet::from_id(set.id())?.len(), 5);
    /// set.remove()?;
    /// # Ok::<(), sysv_ipc_rs::Error>(())
    /// ```
    pub fn from_id(id: i32) -> Result<Self> {
        let ds = Self::stat_ds(id)?;
        let len = usize::try_from(ds.sem_nsems).unwrap_or(usize::MAX);
        Ok(Self { id, key: Key::new(ds.sem_perm.__key), len })
    }

    /// Refuses the set unless `owner` both owns and created it.
    ///
    /// # Errors
    /// [`ErrorKind::UntrustedOwner`].
    pub fn check_owner(&self, owner: u32) -> Result<()> {
        <Self as Control>::check_owner(self.id, Some(owner))
    }

    /// The kernel's number for the set.
    #[must_use]
    pub const fn id(&self) -> i32 {
        self.id
    }

    /// The key by which it was found or made.
    #[must_use]
    pub const fn key(&self) -> Key {
        self.key
    }

    /// How many semaphores it has; never 0.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "a set is never empty")]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// The one that has this id, if there is one.
    #[cfg(feature = "python")]
    pub(crate) const fn bare(id: i32) -> Self {
        Self { id, key: Key::PRIVATE, len: 1 }
    }

    /// How many of them a call can name: a set of more than 65,536 has members that none can.
    #[cfg(feature = "python")]
    pub(crate) fn reachable(&self) -> usize {
        self.len.min(SIZE_MAX)
    }

    /// `semop(id, ops)`—does all of `ops` at once, or waits until it can.
    ///
    /// # Errors
    /// [`ErrorKind::Interrupted`] by a signal; [`ErrorKind::Removed`], also while waiting;
    /// [`ErrorKind::LimitExceeded`] if a value would pass `SEMVMX`, or for more than `SEMOPM`
    /// operations; `EFBIG` if there is no such semaphore; `EINVAL` for no operations.
    #[doc(alias = "semop")]
    pub fn op(&self, ops: &[Operation]) -> Result<()> {
        self.op_deadline(ops, Deadline::NEVER)
    }

    /// `semtimedop(id, ops, timeout)`—as [`Self::op`], but not longer than until `deadline`.
    ///
    /// # Errors
    /// As [`Self::op`]; [`ErrorKind::TimedOut`] at the deadline, with nothing done.
    ///
    /// ```
    /// use std::time::Duration;
    /// use sysv_ipc_rs::{ErrorKind, wait::Deadline, ipc::{Key, Mode}};
    /// use sysv_ipc_rs::sem::{Operation, OperationFlags, SemaphoreSet};
    /// let set = SemaphoreSet::create(Key::PRIVATE, &[0], Mode::default())?;
    /// let take = [Operation::new(0, -1, OperationFlags::empty())];
    /// let late = set.op_deadline(&take, Deadline::after(Duration::from_millis(2)));
    /// assert_eq!(late.unwrap_err().kind(), ErrorKind::TimedOut);
    /// set.remove()?;
    /// # Ok::<(), sysv_ipc_rs::Error>(())
    /// ```
    #[doc(alias = "semtimedop")]
    pub fn op_deadline(&self, ops: &[Operation], deadline: Deadline) -> Result<()> {
        // Mostly there is nothing to wait for, nor to reckon how long.
        let done = match self.try_raw(ops) {
            Err(Errno::EAGAIN) => self.wait_raw(ops, deadline),
            answer => answer,
        };
        done.map_err(|errno| self.op_error(errno, ops.len()))
    }

    /// `semop` with `IPC_NOWAIT`—does all of `ops` now, or tells that it would have to wait.
    ///
    /// # Errors
    /// As [`Self::op`], without waiting.
    pub fn try_op(&self, ops: &[Operation]) -> Result<bool> {
        match self.try_raw(ops) {
            Ok(()) => Ok(true),
            Err(Errno::EAGAIN) => Ok(false),
            Err(errno) => Err(self.op_error(errno, ops.len())),
        }
    }

    #[inline]
    pub(crate) fn try_raw(&self, ops: &[Operation]) -> sys::Result<()> {
        match ops {
            [op] => sys::semop(self.id, &[op.without_waiting().into()]),
            ops => sys::semop(
                self.id,
                &collect::all(ops.iter().map(|op| op.without_waiting().into()))?,
            ),
        }
    }

    pub(crate) fn wait_raw(&self, ops: &[Operation], deadline: Deadline) -> sys::Result<()> {
        let ops = collect::all(ops.iter().map(|&op| op.into()))?;
        match deadline.remaining() {
            None => sys::semop(self.id, &ops),
            Some(time) => sys::semtimedop(self.id, &ops, &sys::signal::to_timespec(time)),
        }
    }

    /// Takes back what these operations have done; whether that could be done now.
    #[cfg(feature = "python")]
    #[cold]
    pub(crate) fn reverse(&self, ops: &[Operation]) -> bool {
        let changes = ops.iter().rev().filter(|op| op.delta() != 0);
        let back: Option<Vec<_>> = changes
            .map(|op| Some(Operation::new(op.index(), op.delta().checked_neg()?, op.flags())))
            .collect();
        back.is_some_and(|back| back.is_empty() || self.try_raw(&back).is_ok())
    }

    /// What an errno of `semop` means.
    #[cold]
    pub(crate) fn op_error(&self, errno: Errno, count: usize) -> Error {
        let error = Self::error("semop", errno, self.id);
        match errno {
            Errno::ERANGE => error
                .because("a value, or what the kernel would have to undo at exit, would pass it")
                .at_limit(Limit::now("SEMVMX", |limits| limits.semvmx, None)),
            Errno::E2BIG => error
                .of_kind(ErrorKind::LimitExceeded)
                .because(format!("{count} operations are too many for one call"))
                .at_limit(Limit::now("SEMOPM", |limits| limits.semopm, None)),
            Errno::EFBIG => error.because(format!("no such index; the set has {}", self.len)),
            Errno::EAGAIN => error.because("the time was up, and nothing was done"),
            Errno::EINTR => error.because("a signal came while waiting, and nothing was done"),
            _ => error,
        }
    }

    /// The error of a control call on the set.
    #[cold]
    fn ctl_error(&self, errno: Errno) -> Error {
        let error = Self::error(Self::CALL, errno, self.id);
        match errno {
            Errno::ERANGE => error
                .because("no semaphore can have such a value")
                .at_limit(Limit::now("SEMVMX", |limits| limits.semvmx, None)),
            _ => error,
        }
    }

    fn get_int(&self, index: u16, cmd: c_int) -> Result<c_int> {
        sys::semctl(self.id, index.into(), cmd).map_err(|errno| self.ctl_error(errno))
    }

    /// `semctl(id, index, GETVAL)`—the value of one semaphore.
    ///
    /// # Errors
    /// [`ErrorKind::Removed`]; [`ErrorKind::AccessDenied`]; `EINVAL` if there is no such index.
    #[doc(alias = "GETVAL")]
    pub fn value(&self, index: u16) -> Result<c_int> {
        self.get_int(index, libc::GETVAL)
    }

    /// `semctl(id, index, SETVAL)`—sets one value, wakes who waited for it, and makes every
    /// process forget what it would have undone on this semaphore.
    ///
    /// # Errors
    /// As [`Self::value`]; [`ErrorKind::LimitExceeded`] outside `0..=32767`.
    #[doc(alias = "SETVAL")]
    pub fn set_value(&self, index: u16, value: c_int) -> Result<()> {
        sys::semctl_setval(self.id, index.into(), value).map_err(|errno| self.ctl_error(errno))
    }

    /// `semctl(id, 0, GETALL)`—all values at one moment.
    ///
    /// # Errors
    /// [`ErrorKind::Removed`]; [`ErrorKind::AccessDenied`].
    #[doc(alias = "GETALL")]
    pub fn values(&self) -> Result<Vec<u16>> {
        let values =
            sys::semctl_getall(self.id, self.len).map_err(|errno| self.ctl_error(errno))?;
        values.ok_or_else(|| self.another())
    }

    /// `semctl(id, 0, SETALL)`—sets all values at once, as [`Self::set_value`] does one.
    ///
    /// # Errors
    /// As [`Self::values`]; `EINVAL` unless there are as many values as semaphores;
    /// [`ErrorKind::LimitExceeded`] if one is above 32767. Then nothing is changed.
    ///
    /// ```
    /// use sysv_ipc_rs::{ipc::{Key, Mode}, sem::SemaphoreSet};
    /// let set = SemaphoreSet::create(Key::PRIVATE, &[0, 0], Mode::default())?;
    /// set.set_values(&[3, 4])?;
    /// assert!(set.set_values(&[5]).is_err());
    /// assert_eq!(set.values()?, [3, 4]);
    /// set.remove()?;
    /// # Ok::<(), sysv_ipc_rs::Error>(())
    /// ```
    #[doc(alias = "SETALL")]
    pub fn set_values(&self, values: &[u16]) -> Result<()> {
        if values.len() != self.len {
            let text = format!("{} values for {} semaphores", values.len(), self.len);
            return Err(Error::new(Self::CALL, Errno::EINVAL, Self::subject(self.id)).because(text));
        }
        self.same_len()?;
        sys::semctl_setall(self.id, values).map_err(|errno| match errno {
            Errno::EFAULT => self.another(),
            errno => self.ctl_error(errno),
        })
    }

    /// An id can come back as another, smaller set's, which SETALL would set.
    fn same_len(&self) -> Result<()> {
        let ds = Self::stat_ds(self.id)?;
        if ds.sem_nsems == self.len as u64 { Ok(()) } else { Err(self.another()) }
    }

    #[cold]
    fn another(&self) -> Error {
        let error = Error::new(Self::CALL, Errno::EIDRM, Self::subject(self.id));
        error.because("it has been removed, and its id is another set's")
    }

    /// `semctl(id, index, GETPID)`—who changed the semaphore last; 0 = nobody.
    ///
    /// # Errors
    /// As [`Self::value`].
    #[doc(alias = "GETPID")]
    pub fn last_pid(&self, index: u16) -> Result<c_int> {
        self.get_int(index, libc::GETPID)
    }

    /// `semctl(id, index, GETNCNT)`—how many wait for the value to grow.
    ///
    /// # Errors
    /// As [`Self::value`].
    #[doc(alias = "GETNCNT")]
    pub fn waiting(&self, index: u16) -> Result<c_int> {
        self.get_int(index, libc::GETNCNT)
    }

    /// `semctl(id, index, GETZCNT)`—how many wait for the value to become zero.
    ///
    /// # Errors
    /// As [`Self::value`].
    #[doc(alias = "GETZCNT")]
    pub fn waiting_zero(&self, index: u16) -> Result<c_int> {
        self.get_int(index, libc::GETZCNT)
    }

    /// `semctl(id, 0, IPC_STAT)`—owner, mode, size and times.
    ///
    /// Where the mode forbids that, by `SEM_STAT_ANY`.
    ///
    /// # Errors
    /// [`ErrorKind::Removed`]; [`ErrorKind::AccessDenied`].
    #[doc(alias = "IPC_STAT")]
    pub fn stat(&self) -> Result<SemaphoreSetStat> {
        Self::stat_ds(self.id).map(|ds| SemaphoreSetStat::new(self.id, ds))
    }

    /// `semctl(id, 0, IPC_SET)`—changes owner, group or mode: one read and one write.
    ///
    /// # Errors
    /// [`ErrorKind::Removed`]; [`ErrorKind::AccessDenied`] for others than owner and creator.
    #[doc(alias = "IPC_SET")]
    pub fn set_permissions(&self, change: PermissionChange) -> Result<()> {
        Self::change(self.id, change)
    }

    /// `semctl(id, 0, IPC_RMID)`—removes the set at once; who waits on it is told so.
    ///
    /// # Errors
    /// [`ErrorKind::Removed`] if it is gone; [`ErrorKind::AccessDenied`].
    #[doc(alias = "IPC_RMID")]
    pub fn remove(&self) -> Result<()> {
        Self::remove_id(self.id)
    }
}

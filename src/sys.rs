//! The only foreign function interface of the crate: one function a system call, each answering
//! `Result` with the errno, and what the `libc` crate lacks on linux-gnu.

#![allow(unsafe_code)]
#![cfg_attr(
    not(feature = "python"),
    allow(dead_code, reason = "`raw` exports all of C's constants")
)]

#[cfg(test)]
mod layout;
pub(crate) mod loose;
pub(crate) mod packet;
pub(crate) mod process;
pub(crate) mod signal;
mod values;

use std::ffi::{CStr, c_int, c_long, c_ulong, c_void};
use std::mem::MaybeUninit;
use std::ptr;

use libc::{key_t, msginfo, msqid_ds, sembuf, semid_ds, seminfo, shmid_ds, size_t, timespec};
use nix::errno::Errno;

use self::packet::Packet;
use self::values::Values;
use crate::collect;

/// What a system call answers: its value, or the errno.
pub(crate) type Result<T> = std::result::Result<T, Errno>;

pub(crate) const SHM_STAT: c_int = 13;
pub(crate) const SHM_INFO: c_int = 14;
pub(crate) const SHM_STAT_ANY: c_int = 15;
pub(crate) const MSG_STAT_ANY: c_int = 13;
pub(crate) const SEMVMX: c_int = 32767;
pub(crate) const SEMAEM: c_int = SEMVMX;
pub(crate) const SHM_DEST: c_int = 0o1000;
pub(crate) const SHM_LOCKED: c_int = 0o2000;
pub(crate) const SHM_HUGE_SHIFT: c_int = 26;
pub(crate) const SHM_HUGE_MASK: c_int = 0x3f;
pub(crate) const SHM_HUGE_2MB: c_int = 21 << SHM_HUGE_SHIFT;
pub(crate) const SHM_HUGE_1GB: c_int = 30 << SHM_HUGE_SHIFT;

/// `struct shminfo` of `shmctl(IPC_INFO)`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct shminfo {
    pub(crate) shmmax: c_ulong,
    pub(crate) shmmin: c_ulong,
    pub(crate) shmmni: c_ulong,
    pub(crate) shmseg: c_ulong,
    pub(crate) shmall: c_ulong,
    unused: [c_ulong; 4],
}

/// `struct shm_info` of `shmctl(SHM_INFO)`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct shm_info {
    pub(crate) used_ids: c_int,
    pub(crate) shm_tot: c_ulong,
    pub(crate) shm_rss: c_ulong,
    pub(crate) shm_swp: c_ulong,
    pub(crate) swap_attempts: c_ulong,
    pub(crate) swap_successes: c_ulong,
}

/// The fourth argument of `semctl`, which C programs have to define themselves.
#[repr(C)]
#[derive(Clone, Copy)]
union semun {
    val: c_int,
    buf: *mut semid_ds,
    array: *mut u16,
    info: *mut seminfo,
}

mod ffi {
    use std::ffi::c_int;

    unsafe extern "C" {
        pub(super) fn semtimedop(
            semid: c_int,
            sops: *mut libc::sembuf,
            nsops: libc::size_t,
            timeout: *const libc::timespec,
        ) -> c_int;
    }
}

/// `SHMLBA`: what an attach address is a multiple of; the size of a page on Linux's main machines.
pub(crate) fn shmlba() -> usize {
    // SAFETY: sysconf has no preconditions.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).unwrap_or(4096)
}

/// In how many ticks a second `/proc` counts.
pub(crate) fn clock_ticks() -> c_long {
    // SAFETY: sysconf has no preconditions.
    unsafe { libc::sysconf(libc::_SC_CLK_TCK) }
}

/// The structs of `IPC_SET`.
///
/// # Safety
/// All zeros is a value of the type.
pub(crate) unsafe trait Zeroed: Sized {
    fn zeroed() -> Self {
        // SAFETY: the trait promises it.
        unsafe { MaybeUninit::zeroed().assume_init() }
    }
}

// SAFETY: a struct of integers.
unsafe impl Zeroed for semid_ds {}
// SAFETY: a struct of integers.
unsafe impl Zeroed for msqid_ds {}
// SAFETY: a struct of integers.
unsafe impl Zeroed for shmid_ds {}

/// Runs `call` over a zeroed out-parameter and gives both its answer and what the kernel wrote.
#[inline]
fn filled<T>(call: impl FnOnce(*mut T) -> c_int) -> Result<(c_int, T)> {
    let mut out = MaybeUninit::<T>::zeroed();
    let answer = Errno::result(call(out.as_mut_ptr()))?;
    // SAFETY: only plain C structs of integers come here, for which all zeros is a value; the
    // kernel has overwritten it.
    Ok((answer, unsafe { out.assume_init() }))
}

pub(crate) fn ftok(path: &CStr, proj_id: c_int) -> Result<key_t> {
    // -1 is also a key that a file can have: only errno tells it from an error.
    Errno::clear();
    // SAFETY: `path` is a NUL-terminated string that outlives the call.
    let key = unsafe { libc::ftok(path.as_ptr(), proj_id) };
    match (key, Errno::last_raw()) {
        (-1, errno) if errno != 0 => Err(Errno::from_raw(errno)),
        _ => Ok(key),
    }
}

// Semaphores

pub(crate) fn semget(key: key_t, nsems: c_int, flags: c_int) -> Result<c_int> {
    // SAFETY: only integers are passed.
    Errno::result(unsafe { libc::semget(key, nsems, flags) })
}

#[inline]
pub(crate) fn semop(id: c_int, ops: &[sembuf]) -> Result<()> {
    // SAFETY: pointer and length are those of a live slice, which the kernel only reads.
    Errno::result(unsafe { libc::semop(id, ops.as_ptr().cast_mut(), ops.len()) }).map(drop)
}

pub(crate) fn semtimedop(id: c_int, ops: &[sembuf], timeout: &timespec) -> Result<()> {
    let (sops, nsops) = (ops.as_ptr().cast_mut(), ops.len());
    // SAFETY: pointer and length are those of a live slice; the kernel reads it and the timeout.
    Errno::result(unsafe { ffi::semtimedop(id, sops, nsops, timeout) }).map(drop)
}

/// Refuses, as the kernel does, a command other than those that a call is for: it might want
/// another struct.
#[inline]
fn only(commands: &[c_int], cmd: c_int) -> Result<()> {
    if commands.contains(&cmd) { Ok(()) } else { Err(Errno::EINVAL) }
}

/// GETVAL, GETPID, GETNCNT, GETZCNT, and commands that take no argument, such as `IPC_RMID`.
#[inline]
pub(crate) fn semctl(id: c_int, num: c_int, cmd: c_int) -> Result<c_int> {
    let nothing = semun { array: ptr::null_mut() };
    // SAFETY: a command that wants memory finds a null pointer, which is EFAULT.
    Errno::result(unsafe { libc::semctl(id, num, cmd, nothing) })
}

/// SETVAL.
pub(crate) fn semctl_setval(id: c_int, num: c_int, val: c_int) -> Result<()> {
    // SAFETY: SETVAL reads the integer and no memory.
    Errno::result(unsafe { libc::semctl(id, num, libc::SETVAL, semun { val }) }).map(drop)
}

/// `IPC_STAT`, `SEM_STAT`, `SEM_STAT_ANY`.
#[inline]
pub(crate) fn semctl_stat(id: c_int, cmd: c_int) -> Result<(c_int, semid_ds)> {
    only(&[libc::IPC_STAT, libc::SEM_STAT, libc::SEM_STAT_ANY], cmd)?;
    // SAFETY: these commands fill the semid_ds that the pointer leads to.
    filled(|buf| unsafe { libc::semctl(id, 0, cmd, semun { buf }) })
}

/// `IPC_INFO`, `SEM_INFO`; of the id the kernel wants only that it isn't below 0.
pub(crate) fn semctl_info(id: c_int, cmd: c_int) -> Result<(c_int, seminfo)> {
    only(&[libc::IPC_INFO, libc::SEM_INFO], cmd)?;
    // SAFETY: these commands fill the seminfo that the pointer leads to.
    filled(|info| unsafe { libc::semctl(id, 0, cmd, semun { info }) })
}

pub(crate) fn semctl_set(id: c_int, ds: &semid_ds) -> Result<()> {
    let buf = ptr::from_ref(ds).cast_mut();
    // SAFETY: IPC_SET only reads the semid_ds that the pointer leads to.
    Errno::result(unsafe { libc::semctl(id, 0, libc::IPC_SET, semun { buf }) }).map(drop)
}

/// GETALL of a set that had `nsems` members when last looked at; `None` if the id is another set's by
/// now, which has more or fewer.
pub(crate) fn semctl_getall(id: c_int, nsems: usize) -> Result<Option<Vec<u16>>> {
    /// No semaphore can have it.
    const NONE: u16 = u16::MAX;
    let mut values = Values::new(nsems)?;
    let last = values.last(nsems);
    if let Some(value) = last.last_mut() {
        *value = NONE;
    }
    let array = last.as_mut_ptr();
    // SAFETY: behind the slice is memory where the kernel can't write either.
    let answer = Errno::result(unsafe { libc::semctl(id, 0, libc::GETALL, semun { array }) });
    let all = match answer {
        Ok(_) if last.last() != Some(&NONE) => collect::all(last.iter().copied()).map(Some),
        Ok(_) | Err(Errno::EFAULT) => Ok(None),
        Err(errno) => Err(errno),
    };
    values.spare();
    all
}

/// SETALL. `values` has one value for each member; EFAULT, and nothing set, if the set has more.
pub(crate) fn semctl_setall(id: c_int, values: &[u16]) -> Result<()> {
    let mut room = Values::new(values.len())?;
    let last = room.last(values.len());
    last.copy_from_slice(values);
    let array = last.as_mut_ptr();
    // SAFETY: behind the slice is memory where the kernel can't read either.
    let set = Errno::result(unsafe { libc::semctl(id, 0, libc::SETALL, semun { array }) });
    room.spare();
    set.map(drop)
}

// Message queues

pub(crate) fn msgget(key: key_t, flags: c_int) -> Result<c_int> {
    // SAFETY: only integers are passed.
    Errno::result(unsafe { libc::msgget(key, flags) })
}

#[inline]
pub(crate) fn msgsnd(id: c_int, packet: &Packet, flags: c_int) -> Result<()> {
    // SAFETY: the kernel reads the type and as much text as the packet says it holds.
    let sent = unsafe { libc::msgsnd(id, packet.as_ptr(), packet.text_len(), flags) };
    Errno::result(sent).map(drop)
}

/// Receives at most `room` bytes of text, for which the packet has been given room.
#[inline]
pub(crate) fn msgrcv(
    id: c_int,
    packet: &mut Packet,
    room: usize,
    msgtyp: c_long,
    flags: c_int,
) -> Result<()> {
    let room = room.min(packet.room());
    // SAFETY: the kernel writes the type and at most `room` bytes of text, all inside the packet.
    let size = unsafe { libc::msgrcv(id, packet.as_mut_ptr(), room, msgtyp, flags) };
    let size = Errno::result(size)?;
    // SAFETY: the kernel has written the type and `size` bytes of text.
    unsafe { packet.set_text_len(size.cast_unsigned()) };
    Ok(())
}

/// `IPC_RMID`, and commands that take no argument.
pub(crate) fn msgctl(id: c_int, cmd: c_int) -> Result<c_int> {
    // SAFETY: a command that wants memory finds a null pointer, which is EFAULT.
    Errno::result(unsafe { libc::msgctl(id, cmd, ptr::null_mut()) })
}

/// `IPC_STAT`, `MSG_STAT`, `MSG_STAT_ANY`.
#[inline]
pub(crate) fn msgctl_stat(id: c_int, cmd: c_int) -> Result<(c_int, msqid_ds)> {
    only(&[libc::IPC_STAT, libc::MSG_STAT, MSG_STAT_ANY], cmd)?;
    // SAFETY: these commands fill the msqid_ds that the pointer leads to.
    filled(|buf| unsafe { libc::msgctl(id, cmd, buf) })
}

/// `IPC_INFO`, `MSG_INFO`; of the id the kernel wants only that it isn't below 0.
pub(crate) fn msgctl_info(id: c_int, cmd: c_int) -> Result<(c_int, msginfo)> {
    only(&[libc::IPC_INFO, libc::MSG_INFO], cmd)?;
    // SAFETY: these commands fill a msginfo, which is what the pointer leads to.
    filled(|info: *mut msginfo| unsafe { libc::msgctl(id, cmd, info.cast()) })
}

pub(crate) fn msgctl_set(id: c_int, ds: &msqid_ds) -> Result<()> {
    let buf = ptr::from_ref(ds).cast_mut();
    // SAFETY: IPC_SET only reads the msqid_ds that the pointer leads to.
    Errno::result(unsafe { libc::msgctl(id, libc::IPC_SET, buf) }).map(drop)
}

// Shared memory

pub(crate) fn shmget(key: key_t, size: size_t, flags: c_int) -> Result<c_int> {
    // SAFETY: only integers are passed.
    Errno::result(unsafe { libc::shmget(key, size, flags) })
}

/// Attaches at `address`, 0 for wherever the kernel likes; gives the address.
///
/// # Safety
///
/// With `SHM_REMAP` nothing may use the memory that is mapped there.
pub(crate) unsafe fn shmat(id: c_int, address: usize, flags: c_int) -> Result<usize> {
    let address = ptr::without_provenance::<c_void>(address);
    // SAFETY: without SHM_REMAP the kernel maps only where nothing is; with it, the caller vouches.
    let start = unsafe { libc::shmat(id, address, flags) };
    // `(void *) -1` is the failure; it is no address that can be attached at.
    if start.addr() == usize::MAX {
        return Err(Errno::last());
    }
    if flags & libc::SHM_REMAP == 0 {
        loose::forget(start.addr());
    }
    Ok(start.expose_provenance())
}

/// Detaches what is attached at `address`.
///
/// # Safety
///
/// Nothing may use the memory of that attachment any more.
pub(crate) unsafe fn shmdt(address: usize) -> Result<()> {
    // SAFETY: the caller vouches that nothing uses the memory.
    Errno::result(unsafe { libc::shmdt(ptr::without_provenance(address)) }).map(drop)
}

/// `IPC_RMID`, `SHM_LOCK`, `SHM_UNLOCK`, and commands that take no argument.
pub(crate) fn shmctl(id: c_int, cmd: c_int) -> Result<c_int> {
    // SAFETY: a command that wants memory finds a null pointer, which is EFAULT.
    Errno::result(unsafe { libc::shmctl(id, cmd, ptr::null_mut()) })
}

/// `IPC_STAT`, `SHM_STAT`, `SHM_STAT_ANY`.
#[inline]
pub(crate) fn shmctl_stat(id: c_int, cmd: c_int) -> Result<(c_int, shmid_ds)> {
    only(&[libc::IPC_STAT, SHM_STAT, SHM_STAT_ANY], cmd)?;
    // SAFETY: these commands fill the shmid_ds that the pointer leads to.
    filled(|buf| unsafe { libc::shmctl(id, cmd, buf) })
}

/// `IPC_INFO`; of the id the kernel wants only that it isn't below 0.
pub(crate) fn shmctl_ipc_info(id: c_int) -> Result<(c_int, shminfo)> {
    // SAFETY: IPC_INFO fills a shminfo, which is what the pointer leads to.
    filled(|info: *mut shminfo| unsafe { libc::shmctl(id, libc::IPC_INFO, info.cast()) })
}

/// `SHM_INFO`; of the id the kernel wants only that it isn't below 0.
pub(crate) fn shmctl_shm_info(id: c_int) -> Result<(c_int, shm_info)> {
    // SAFETY: SHM_INFO fills a shm_info, which is what the pointer leads to.
    filled(|info: *mut shm_info| unsafe { libc::shmctl(id, SHM_INFO, info.cast()) })
}

pub(crate) fn shmctl_set(id: c_int, ds: &shmid_ds) -> Result<()> {
    let buf = ptr::from_ref(ds).cast_mut();
    // SAFETY: IPC_SET only reads the shmid_ds that the pointer leads to.
    Errno::result(unsafe { libc::shmctl(id, libc::IPC_SET, buf) }).map(drop)
}

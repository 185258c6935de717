//! System V IPC, safely: semaphore sets ([`sem`]), message queues ([`msg`]) and shared memory
//! ([`shm`]) as Rust types, with what they share in [`ipc`] and the system's own view in
//! [`system`]. A user of this crate writes no `unsafe`.
//!
//! A handle is not the kernel object: dropping one never removes anything, `remove()` does.
//! Errors are [`Error`]: the system call, the errno, the object, and what to do about it.
//!
//! ```
//! use sysv_ipc_rs::{ipc::{Key, Mode}, msg::MessageQueue};
//!
//! let queue = MessageQueue::create(Key::PRIVATE, Mode::default())?;
//! queue.send(7, b"hello")?;
//! let message = queue.receive(Default::default())?;
//! assert_eq!((message.mtype, &message.data[..]), (7, &b"hello"[..]));
//! queue.remove()?;
//! # Ok::<(), sysv_ipc_rs::Error>(())
//! ```
//!
//! With the feature `python` the crate is the extension module `sysv_ipc_rs._core`.

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
compile_error!("sysv_ipc_rs is for Linux with the GNU C library");

mod collect;
pub mod error;
pub mod ipc;
pub mod msg;
pub mod readiness;
pub mod sem;
pub mod shm;
pub mod sync;
mod sys;
pub mod system;
pub mod wait;

#[cfg(feature = "python")]
mod python;

/// The parsers, for `cargo fuzz` alone.
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing {
    /// Gives `data` to every parser of files under `/proc`.
    pub fn parse_proc(data: &[u8]) {
        crate::system::parse_any(data);
        if let Ok(text) = std::str::from_utf8(data) {
            let _ = crate::wait::parse_blocked_mask(text);
        }
    }
}

pub use error::{Error, ErrorKind, Result};

// Its Rust programs are tests too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

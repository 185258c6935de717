//! What processes agree by, each on one semaphore set: [`Lock`], [`RLock`], [`RWLock`],
//! [`BoundedSemaphore`], [`Event`], [`Condition`], [`Barrier`]. Each survives the death of any
//! process that holds it or waits for it, at any moment, by SIGKILL too.
//!
//! The protocols are data, in [`protocols`]: other programs, also in C, can take part by them.

use std::sync::Arc;

use nix::errno::Errno;

use crate::error::{Error, Result};
use crate::ipc::{Control, Key, Mode};
use crate::sem::SemaphoreSet;
use crate::sys;

/// Defines a handle on an object of a protocol.
macro_rules! object {
    ($(#[$doc:meta])* $name:ident: $protocol:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $name(pub(crate) Object);

        impl $name {
            /// Opens the one that has this key.
            ///
            /// # Errors
            /// As [`SemaphoreSet::open`]; `EINVAL` if the set is no such object's.
            pub fn open(key: Key) -> Result<Self> {
                Self::from_set(SemaphoreSet::open(key, 0)?)
            }

            /// The one that lives in this set.
            ///
            /// # Errors
            /// `EINVAL` if the set is no such object's: it has another number of semaphores.
            pub fn from_set(set: SemaphoreSet) -> Result<Self> {
                Object::of(set, &$protocol).map(Self)
            }

            /// The set that it lives in.
            #[must_use]
            pub const fn set(&self) -> SemaphoreSet {
                self.0.set
            }

            /// Removes it at once; who waits on it is told so.
            ///
            /// # Errors
            /// As [`SemaphoreSet::remove`].
            pub fn remove(&self) -> Result<()> {
                self.0.remove()
            }
        }
    };
}

#[cfg(feature = "python")]
mod agent;
mod barrier;
mod bounded;
mod condition;
mod event;
mod holding;
mod lock;
mod program;
pub mod protocols;
mod run;
mod rwlock;

#[cfg(feature = "python")]
pub(crate) use agent::{Agent, Wanted};
pub use barrier::Barrier;
pub use bounded::BoundedSemaphore;
pub use condition::{Condition, ConditionLock};
pub use event::Event;
pub use lock::{Lock, RLock};
pub use program::{Act, Delta, End, Next, Number, Numbers, Op, Place, Program, Protocol, Step};
pub use rwlock::RWLock;

use holding::Holding;
pub(crate) use run::Run;

/// What came of giving something back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Released {
    /// It is given back.
    Yes,
    /// Nobody holds it.
    NotHeld,
    /// Another process, or another thread, holds it.
    NotOurs,
}

impl Released {
    /// Where only the holder can know that nobody holds it.
    #[cfg(feature = "python")]
    pub(crate) fn or_not_ours(self) -> Self {
        if self == Self::NotHeld { Self::NotOurs } else { self }
    }

    /// Of what this process does not hold.
    fn unless_held(by_others: bool) -> Self {
        if by_others { Self::NotOurs } else { Self::NotHeld }
    }
}

/// A set that is used by one of the protocols.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    pub(crate) set: SemaphoreSet,
    pub(crate) holding: Arc<Holding>,
}

impl Object {
    fn create(key: Key, values: &[u16], mode: Mode) -> Result<Self> {
        let set = SemaphoreSet::create(key, values, mode)?;
        Ok(Self { set, holding: Holding::of(set.id(), true) })
    }

    /// The set as one of this protocol's, if it has as many semaphores.
    fn of(set: SemaphoreSet, protocol: &Protocol) -> Result<Self> {
        let size = protocol.semaphores.len();
        let fits = if protocol.has_slots() { set.len() > size } else { set.len() == size };
        if fits {
            return Ok(Self { set, holding: Holding::of(set.id(), false) });
        }
        let error = Error::new("semget", Errno::EINVAL, SemaphoreSet::subject(set.id()));
        let more = if protocol.has_slots() { "more than " } else { "" };
        Err(error.because(format!(
            "it has {} semaphores and is no {}, which has {more}{size}",
            set.len(),
            protocol.name,
        )))
    }

    pub(crate) fn remove(&self) -> Result<()> {
        self.set.remove()?;
        Holding::forget(self.set.id());
        Ok(())
    }

    pub(crate) fn error(&self, errno: Errno) -> Error {
        self.set.op_error(errno, program::OPS_MAX)
    }

    fn finish<T>(&self, ended: sys::Result<End>, answer: impl FnOnce(End) -> T) -> Result<T> {
        ended.map(answer).map_err(|errno| self.error(errno))
    }

    /// Runs what gives something back; if that fails, the process keeps it.
    #[inline]
    fn give(&self, program: &'static Program, keep: impl FnOnce()) -> Result<Released> {
        match Run::at_once(self.set, program, Numbers::default()) {
            Ok(End::Done) => Ok(Released::Yes),
            // Somebody has set the values meanwhile.
            Ok(_) => Ok(Released::NotHeld),
            Err(errno) => {
                let error = self.error(errno);
                if error.kind() != crate::ErrorKind::Removed {
                    keep();
                }
                Err(error)
            }
        }
    }
}

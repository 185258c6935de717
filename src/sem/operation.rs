//! What `semop` does to one semaphore.

use libc::sembuf;

bitflags::bitflags! {
    /// The flags of one operation. Unknown bits are kept and go to the kernel.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub struct OperationFlags: i16 {
        /// `IPC_NOWAIT`: if this operation is the first that can't proceed, fail instead of wait.
        const NO_WAIT = 0o4000;
        /// `SEM_UNDO`: the kernel reverses it when the process ends, however it ends.
        const UNDO = 0o10000;
        const _ = !0;
    }
}

/// One operation on one semaphore of a set: `struct sembuf`.
///
/// ```
/// use sysv_ipc_rs::sem::{Operation, OperationFlags};
/// let take = Operation::new(0, -1, OperationFlags::UNDO);
/// assert_eq!((take.index(), take.delta()), (0, -1));
/// ```
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Operation(sembuf);

impl Operation {
    /// Adds `delta` to semaphore `index`; waits while the value would become negative, or with a
    /// delta of 0 until the value is 0.
    #[must_use]
    pub const fn new(index: u16, delta: i16, flags: OperationFlags) -> Self {
        Self(sembuf { sem_num: index, sem_op: delta, sem_flg: flags.bits() })
    }

    /// Which semaphore of the set.
    #[must_use]
    pub const fn index(&self) -> u16 {
        self.0.sem_num
    }

    /// What is added to its value; 0 waits for zero.
    #[must_use]
    pub const fn delta(&self) -> i16 {
        self.0.sem_op
    }

    /// Its flags.
    #[must_use]
    pub const fn flags(&self) -> OperationFlags {
        OperationFlags::from_bits_retain(self.0.sem_flg)
    }

    pub(crate) fn without_waiting(mut self) -> Self {
        self.0.sem_flg |= OperationFlags::NO_WAIT.bits();
        self
    }
}

impl std::fmt::Debug for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Operation({}, {:+}, {:?})", self.index(), self.delta(), self.flags())
    }
}

impl From<Operation> for sembuf {
    fn from(operation: Operation) -> Self {
        operation.0
    }
}

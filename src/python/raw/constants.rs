//! C's constants.

use pyo3::prelude::*;

use crate::sys;

macro_rules! constants {
    ($($place:ident: $($name:ident)*;)*) => {
        &[$($((stringify!($name), $place::$name),)*)*]
    };
}

const CONSTANTS: &[(&str, i32)] = constants! {
    libc:
        IPC_CREAT IPC_EXCL IPC_NOWAIT IPC_RMID IPC_SET IPC_STAT IPC_INFO IPC_PRIVATE
        SEM_UNDO GETPID GETVAL GETALL GETNCNT GETZCNT SETVAL SETALL SEM_STAT SEM_INFO SEM_STAT_ANY
        MSG_NOERROR MSG_EXCEPT MSG_COPY MSG_STAT MSG_INFO
        SHM_R SHM_W SHM_RDONLY SHM_RND SHM_REMAP SHM_EXEC SHM_LOCK SHM_UNLOCK
        SHM_HUGETLB SHM_NORESERVE;
    sys:
        SEMVMX SEMAEM MSG_STAT_ANY SHM_STAT SHM_INFO SHM_STAT_ANY SHM_DEST SHM_LOCKED
        SHM_HUGE_SHIFT SHM_HUGE_MASK SHM_HUGE_2MB SHM_HUGE_1GB;
};

/// Puts the constants into the module.
pub(super) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    for (name, value) in CONSTANTS {
        module.setattr(*name, value)?;
    }
    // A page of this machine.
    module.setattr("SHMLBA", sys::shmlba())
}

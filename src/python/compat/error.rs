//! From the kernel's errno to the exceptions of `sysv_ipc_rs.compat`.

use std::sync::OnceLock;

use nix::errno::Errno;
use pyo3::exceptions::{PyAttributeError, PyMemoryError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyTuple, PyType};

/// A class of exceptions that the Python module defines.
#[derive(Debug, Clone, Copy)]
pub(super) enum Class {
    Error,
    Permissions,
    Existential,
    Busy,
    NotAttached,
}

impl Class {
    const fn name(self) -> &'static str {
        match self {
            Self::Error => "Error",
            Self::Permissions => "PermissionsError",
            Self::Existential => "ExistentialError",
            Self::Busy => "BusyError",
            Self::NotAttached => "NotAttachedError",
        }
    }

    fn get(self, py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
        static CLASSES: [PyOnceLock<Py<PyType>>; 5] = [const { PyOnceLock::new() }; 5];
        CLASSES[self as usize].import(py, "sysv_ipc_rs.compat", self.name())
    }

    /// An exception of this class.
    #[cold]
    pub(super) fn with(self, errno: Errno, text: &str) -> PyErr {
        Python::attach(|py| {
            let made = self.get(py).and_then(|class| class.call1((errno as i32, text)));
            made.map_or_else(|failed| failed, PyErr::from_value)
        })
    }
}

/// An exception that programs poll by: its arguments are always the same, and made once.
#[derive(Debug)]
pub(super) struct Always {
    class: Class,
    errno: Errno,
    text: &'static str,
    args: OnceLock<Py<PyTuple>>,
}

impl Always {
    pub(super) const fn new(class: Class, errno: Errno, text: &'static str) -> Self {
        Self { class, errno, text, args: OnceLock::new() }
    }

    fn make<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let class = self.class.get(py)?;
        if let Some(args) = self.args.get() {
            return class.call1(args.bind(py));
        }
        let args = (self.errno as i32, self.text).into_pyobject(py)?;
        let _ = self.args.set(args.clone().unbind());
        class.call1(args)
    }

    #[cold]
    pub(super) fn error(&self) -> PyErr {
        Python::attach(|py| self.make(py).map_or_else(|failed| failed, PyErr::from_value))
    }
}

/// What every kind of object says to these.
#[cold]
pub(super) fn common(errno: Errno) -> PyErr {
    match errno {
        Errno::ENOMEM => PyMemoryError::new_err("Not enough memory"),
        errno => Python::attach(|py| crate::python::error::errno_error(py, errno)),
    }
}

/// What a read-only attribute says that is a plain member in C.
#[cold]
pub(super) fn readonly<T>() -> PyResult<T> {
    Err(PyAttributeError::new_err("readonly attribute"))
}

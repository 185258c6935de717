//! From the core's error to Python's exceptions.

use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple, PyType};

use crate::{Error, ErrorKind};

/// Name, bases (of these classes or builtin) and docstring of each class, bases first.
const CLASSES: [(&str, &[&str], &str); 9] = [
    (
        "IPCError",
        &["OSError"],
        "A System V IPC call failed.\n\n\
         Attributes:\n    errno: The error's number, as in the module `errno`.\n    \
         strerror: What was tried, on which object, and what to do about it.\n    \
         call: The system call that failed, such as \"semget\".",
    ),
    ("ExistenceError", &["IPCError"], "The object exists, or doesn't, and shouldn't, or should."),
    (
        "AlreadyExistsError",
        &["ExistenceError", "FileExistsError"],
        "An object with this key exists already (EEXIST).",
    ),
    ("NotFoundError", &["ExistenceError", "FileNotFoundError"], "No object has this key (ENOENT)."),
    (
        "RemovedError",
        &["ExistenceError"],
        "The object has been removed, perhaps while the call was waiting on it (EIDRM).",
    ),
    (
        "AccessDeniedError",
        &["IPCError", "PermissionError"],
        "The object's mode or owner forbids it (EACCES, EPERM).",
    ),
    (
        "UntrustedOwnerError",
        &["AccessDeniedError"],
        "The object's owner or creator is another user than `owner=` (EPERM).",
    ),
    (
        "WaitTimeoutError",
        &["IPCError", "TimeoutError"],
        "The time was up, and nothing was changed (ETIMEDOUT).",
    ),
    (
        "LimitExceededError",
        &["IPCError"],
        "A limit of the kernel is reached; the message names it, its value and its file.",
    ),
];

/// A subclass of the last, so it can't stand in the table with them.
const MESSAGE_TOO_BIG: (&str, &[&str], &str) = (
    "MessageTooBigError",
    &["LimitExceededError"],
    "The message is larger than the buffer, the queue, or any queue may take.",
);

static BY_NAME: PyOnceLock<Py<PyDict>> = PyOnceLock::new();

/// Makes the classes: `type(name, bases, namespace)`, since PyO3's own way knows one base only.
fn make<'py>(py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
    let classes = PyDict::new(py);
    let builtins = py.import("builtins")?;
    for (name, bases, doc) in CLASSES.into_iter().chain([MESSAGE_TOO_BIG]) {
        let bases: Vec<_> = bases
            .iter()
            .map(|&base| match classes.get_item(base)? {
                Some(class) => Ok(class),
                None => builtins.getattr(base),
            })
            .collect::<PyResult<_>>()?;
        let namespace = PyDict::new(py);
        namespace.set_item("__module__", "sysv_ipc_rs")?;
        namespace.set_item("__doc__", doc)?;
        if name == "IPCError" {
            namespace.set_item("call", py.None())?;
        }
        let class = py.get_type::<PyType>().call1((name, PyTuple::new(py, bases)?, namespace))?;
        classes.set_item(name, class)?;
    }
    Ok(classes)
}

fn classes(py: Python<'_>) -> PyResult<&Bound<'_, PyDict>> {
    Ok(BY_NAME.get_or_try_init(py, || make(py).map(Bound::unbind))?.bind(py))
}

/// Puts the classes into the module.
pub(super) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    for (name, class) in classes(module.py())? {
        module.setattr(name.cast::<pyo3::types::PyString>()?, class)?;
    }
    Ok(())
}

const fn class_name(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::AlreadyExists => "AlreadyExistsError",
        ErrorKind::NotFound => "NotFoundError",
        ErrorKind::Removed => "RemovedError",
        ErrorKind::AccessDenied => "AccessDeniedError",
        ErrorKind::UntrustedOwner => "UntrustedOwnerError",
        ErrorKind::TimedOut => "WaitTimeoutError",
        ErrorKind::LimitExceeded => "LimitExceededError",
        ErrorKind::MessageTooBig => "MessageTooBigError",
        ErrorKind::Interrupted | ErrorKind::Other => "IPCError",
    }
}

fn exception(py: Python<'_>, error: &Error) -> PyResult<PyErr> {
    let class = classes(py)?
        .get_item(class_name(error.kind()))?
        .ok_or_else(|| PyOSError::new_err(error.to_string()))?;
    let instance = class.call1((error.errno() as i32, error.to_string()))?;
    instance.setattr("call", error.call())?;
    Ok(PyErr::from_value(instance))
}

impl From<Error> for PyErr {
    #[cold]
    fn from(error: Error) -> Self {
        Python::attach(|py| exception(py, &error).unwrap_or_else(|failed| failed))
    }
}

/// A plain `OSError` with the system's text for the errno.
#[cold]
pub(super) fn errno_error(py: Python<'_>, errno: nix::errno::Errno) -> PyErr {
    let text = py.import("os").and_then(|os| os.call_method1("strerror", (errno as i32,)));
    text.map_or_else(|failed| failed, |text| PyOSError::new_err((errno as i32, text.unbind())))
}

/// A plain `OSError`, of the subclass that Python picks by the errno.
#[cold]
pub(super) fn os_error(errno: nix::errno::Errno, text: impl AsRef<str>) -> PyErr {
    PyOSError::new_err((errno as i32, text.as_ref().to_owned()))
}

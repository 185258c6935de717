//! What the constructors of semaphores and queues are called with.
//!
//! The general way to read the arguments of an `__init__` takes as long as a system call. Those
//! that have places are read here, and others are left to the general way, which knows what to say.
//! (Shared memory takes several system calls anyway.)

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyCFunction, PyDict, PyString, PyTuple};
use pyo3::wrap_pyfunction;
use pyo3::{Borrowed, intern};

use super::arguments::{InitialValue, Key, MessageSize};
use crate::python::convert::ModeBits;

/// Whether all arguments have a place, so that each can be read, and only once: what Python code
/// one of them runs is not to run again.
fn have_places(
    args: &Bound<'_, PyTuple>,
    kwargs: &Bound<'_, PyDict>,
    names: &[&Bound<'_, PyString>],
) -> PyResult<bool> {
    let Some(left) = names.get(args.len()..) else { return Ok(false) };
    let mut known = 0;
    for name in left {
        known += usize::from(kwargs.contains(name)?);
    }
    Ok(known == kwargs.len())
}

#[inline]
fn read<'py, T: for<'a> FromPyObject<'a, 'py>>(
    value: Borrowed<'_, 'py, PyAny>,
    name: &str,
) -> PyResult<T> {
    value.extract().map_err(|error: T::Error| noted(value.py(), error.into(), name))
}

/// As PyO3's own errors of arguments are.
#[cold]
fn noted(py: Python<'_>, error: PyErr, name: &str) -> PyErr {
    let _ = error.value(py).call_method1("add_note", (format!("while processing '{name}'"),));
    error
}

macro_rules! constructor {
    ($class:literal, $function:ident, $arguments:ident: $($name:ident: $kind:ty = $default:expr),*) => {
        #[doc = concat!("The arguments of `", $class, "()`.")]
        #[pyclass(frozen, module = "sysv_ipc_rs._core.compat")]
        #[derive(Debug, Clone, Copy)]
        pub(super) struct $arguments {
            pub(super) key: Key,
            $(pub(super) $name: $kind,)*
        }

        #[pyfunction]
        #[pyo3(name = $class, signature = (key, $($name = $default),*))]
        fn $function(key: Key, $($name: $kind),*) -> $arguments {
            $arguments { key, $($name),* }
        }

        impl $arguments {
            #[inline]
            pub(super) fn of(
                args: &Bound<'_, PyTuple>,
                kwargs: Option<&Bound<'_, PyDict>>,
            ) -> PyResult<Self> {
                match kwargs {
                    None => Self::by_position(args),
                    Some(kwargs) => Self::by_name(args, kwargs),
                }
            }

            #[inline]
            fn by_position(args: &Bound<'_, PyTuple>) -> PyResult<Self> {
                let mut given = args.iter_borrowed();
                let (Some(key), 0..=Self::MOST) = (given.next(), args.len()) else {
                    return Self::in_general(args, None);
                };
                let key = read(key, "key")?;
                $(let $name = match given.next() {
                    Some(value) => read(value, stringify!($name))?,
                    None => $default,
                };)*
                Ok(Self { key, $($name),* })
            }

            /// How many arguments there can be.
            const MOST: usize = ["key", $(stringify!($name)),*].len();

            fn by_name(args: &Bound<'_, PyTuple>, kwargs: &Bound<'_, PyDict>) -> PyResult<Self> {
                let py = args.py();
                let names = [intern!(py, "key"), $(intern!(py, stringify!($name))),*];
                if !have_places(args, kwargs, &names)? {
                    return Self::in_general(args, Some(kwargs));
                }
                let mut given = args.iter();
                let mut next = |name| match given.next() {
                    Some(value) => Ok(Some(value)),
                    None => kwargs.get_item(name),
                };
                let Some(key) = next(intern!(py, "key"))? else {
                    return Self::in_general(args, Some(kwargs));
                };
                let key = read(key.as_borrowed(), "key")?;
                $(let $name = match next(intern!(py, stringify!($name)))? {
                    Some(value) => read(value.as_borrowed(), stringify!($name))?,
                    None => $default,
                };)*
                Ok(Self { key, $($name),* })
            }

            #[cold]
            fn in_general(
                args: &Bound<'_, PyTuple>,
                kwargs: Option<&Bound<'_, PyDict>>,
            ) -> PyResult<Self> {
                static FUNCTION: PyOnceLock<Py<PyCFunction>> = PyOnceLock::new();
                let py = args.py();
                let function = FUNCTION
                    .get_or_try_init(py, || wrap_pyfunction!($function, py).map(Bound::unbind))?;
                Ok(*function.bind(py).call(args, kwargs)?.cast::<Self>()?.get())
            }
        }
    };
}

constructor!("Semaphore", semaphore, SemaphoreArguments:
    flags: i32 = 0, mode: ModeBits = ModeBits::OURS,
    initial_value: InitialValue = InitialValue::ZERO);
constructor!("MessageQueue", message_queue, MessageQueueArguments:
    flags: i32 = 0, mode: ModeBits = ModeBits::OURS,
    max_message_size: MessageSize = MessageSize::DEFAULT);

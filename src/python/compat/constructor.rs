//! What the constructors of semaphores and queues are called with.
//!
//! The general way to read the arguments of an `__init__` takes as long as a system call. Most calls
//! are by position alone: those are read here, and whatever is unusual or wrong is left to the
//! general way, which knows what to say. (Shared memory takes several system calls anyway.)

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyCFunction, PyDict, PyTuple};
use pyo3::wrap_pyfunction;

use super::arguments::{InitialValue, Key, MessageSize};
use crate::python::convert::ModeBits;

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
                let found = if kwargs.is_none() { Self::by_position(args) } else { None };
                found.map_or_else(|| Self::in_general(args, kwargs), Ok)
            }

            #[inline]
            fn by_position(args: &Bound<'_, PyTuple>) -> Option<Self> {
                let mut given = args.iter_borrowed();
                let key = given.next()?.extract().ok()?;
                $(let $name = match given.next() {
                    Some(value) => value.extract().ok()?,
                    None => $default,
                };)*
                given.next().is_none().then_some(Self { key, $($name),* })
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

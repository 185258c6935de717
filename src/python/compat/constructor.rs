//! What the constructors of semaphores and queues are called with.
//!
//! The general way to read the arguments of an `__init__` takes as long as a system call. What is
//! right is read here, and whatever is wrong is left to the general way, which knows what to say.
//! (Shared memory takes several system calls anyway.)

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyCFunction, PyDict, PyString, PyTuple};
use pyo3::wrap_pyfunction;

use super::arguments::{InitialValue, Key, MessageSize};
use crate::python::convert::ModeBits;

/// Arguments by keyword, and how many of them were of use.
struct Named<'a, 'py> {
    given: &'a Bound<'py, PyDict>,
    used: usize,
}

impl<'py> Named<'_, 'py> {
    /// The argument of that name, if it is given.
    #[inline]
    fn get<T: for<'a> FromPyObject<'a, 'py>>(
        &mut self,
        name: &Bound<'py, PyString>,
    ) -> Result<Option<T>, ()> {
        let Some(value) = self.given.get_item(name).map_err(drop)? else { return Ok(None) };
        self.used += 1;
        value.extract().map(Some).map_err(drop)
    }

    fn all_used(&self) -> bool {
        self.given.len() == self.used
    }
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
                Self::if_right(args, kwargs).map_or_else(|| Self::in_general(args, kwargs), Ok)
            }

            #[inline]
            fn if_right(
                args: &Bound<'_, PyTuple>,
                kwargs: Option<&Bound<'_, PyDict>>,
            ) -> Option<Self> {
                let py = args.py();
                let mut given = args.iter_borrowed();
                let mut named = kwargs.map(|given| Named { given, used: 0 });
                let key = match (given.next(), &mut named) {
                    (Some(value), _) => value.extract().ok()?,
                    (None, named) => named.as_mut()?.get(intern!(py, "key")).ok()??,
                };
                $(let $name = match (given.next(), &mut named) {
                    (Some(value), _) => value.extract().ok()?,
                    (None, Some(named)) => {
                        named.get(intern!(py, stringify!($name))).ok()?.unwrap_or($default)
                    }
                    (None, None) => $default,
                };)*
                let all_used = given.next().is_none() && named.is_none_or(|named| named.all_used());
                all_used.then_some(Self { key, $($name),* })
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

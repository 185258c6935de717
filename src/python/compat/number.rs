//! Numbers that an object has for good, as Python ints.

use std::convert::Infallible;
use std::sync::OnceLock;

use pyo3::prelude::*;
use pyo3::types::PyInt;

/// The int of a number that hardly ever changes: to make one costs as much as all the rest of an
/// attribute. In a box, since most objects are never asked for it, and small ones are made sooner.
#[derive(Debug)]
pub(super) struct Kept<T>(OnceLock<Box<(T, Py<PyInt>)>>);

impl<T> Kept<T> {
    pub(super) const fn new() -> Self {
        Self(OnceLock::new())
    }

    /// The int of `number`, at once if it is that of the first call.
    #[inline]
    pub(super) fn of<'py>(&self, py: Python<'py>, number: T) -> Bound<'py, PyInt>
    where
        T: Copy
            + PartialEq
            + IntoPyObject<'py, Target = PyInt, Output = Bound<'py, PyInt>, Error = Infallible>,
    {
        match self.0.get() {
            Some(known) if known.0 == number => known.1.bind(py).clone(),
            known => {
                let Ok(int) = number.into_pyobject(py);
                if known.is_none() {
                    let _ = self.0.set(Box::new((number, int.clone().unbind())));
                }
                int
            }
        }
    }
}

//! `AtomicInteger`: one word of a segment.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicI32, AtomicI64, AtomicU32, AtomicU64};

use pyo3::exceptions::{PyOverflowError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::attachment::read_only;
use super::mapping::Memory;
use super::types::Word;
use crate::python::convert::shortened;

/// Says the same of whichever types the word has: `$Atomic`, which holds an `$Int`.
macro_rules! for_word {
    ($self:ident, $Atomic:ident, $Int:ident => $body:expr) => {
        match $self.word {
            Word::I32 => for_word!(@ AtomicI32, i32, $Atomic, $Int => $body),
            Word::U32 => for_word!(@ AtomicU32, u32, $Atomic, $Int => $body),
            Word::I64 => for_word!(@ AtomicI64, i64, $Atomic, $Int => $body),
            Word::U64 => for_word!(@ AtomicU64, u64, $Atomic, $Int => $body),
        }
    };
    (@ $atomic:ty, $int:ty, $Atomic:ident, $Int:ident => $body:expr) => {{
        type $Atomic = $atomic;
        #[allow(dead_code, reason = "not every method takes an argument")]
        type $Int = $int;
        $body
    }};
}

/// An int that fits `$Int`, which is the word's type.
macro_rules! int {
    ($value:ident, $Int:ident) => {
        $value
            .extract::<$Int>()
            .map_err(|error| too_wide($value, stringify!($value), error, $Int::MIN, $Int::MAX))
    };
}

#[cold]
fn too_wide(
    value: &Bound<'_, PyAny>,
    what: &str,
    error: PyErr,
    first: impl std::fmt::Display,
    last: impl std::fmt::Display,
) -> PyErr {
    if !error.is_instance_of::<PyOverflowError>(value.py()) {
        return error;
    }
    let text = value.repr().map(|text| shortened(&text)).unwrap_or_default();
    PyOverflowError::new_err(format!("{what} {text} is not in the range {first} to {last}"))
}

/// One aligned integer in a segment, shared with every process that has it attached.
///
/// Made by `Attachment.atomic`. Each method is one indivisible, sequentially consistent step, also
/// against other languages' atomics of the same width. Sums wrap around. It keeps the memory
/// mapped, also when the attachment is detached.
///
/// See shmop(2).
#[pyclass(frozen, weakref, module = "sysv_ipc_rs")]
#[derive(Debug)]
pub(crate) struct AtomicInteger {
    memory: Arc<Memory>,
    offset: usize,
    word: Word,
}

impl AtomicInteger {
    pub(super) const fn of(memory: Arc<Memory>, offset: usize, word: Word) -> Self {
        Self { memory, offset, word }
    }

    /// A read-only attachment's word can only be loaded.
    fn check_writable(&self) -> PyResult<()> {
        if self.memory.readonly() { Err(read_only()) } else { Ok(()) }
    }
}

#[pymethods]
impl AtomicInteger {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        Err(PyTypeError::new_err(
            "AtomicInteger has no public constructor: use Attachment.atomic(), of a segment made \
             by SharedMemory.create() or SharedMemory.open()",
        ))
    }

    /// The value, also of a read-only attachment.
    fn load<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        for_word!(self, Atomic, Int => {
            Ok(self.memory.load::<Atomic>(self.offset)?.into_pyobject(py)?.into_any())
        })
    }

    /// Sets the value.
    ///
    /// Args:
    ///     value: An int that fits the word.
    ///
    /// Raises:
    ///     OverflowError: It doesn't fit.
    ///     TypeError: The segment is attached read-only.
    fn store(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.check_writable()?;
        for_word!(self, Atomic, Int => {
            let new = int!(value, Int)?;
            self.memory.atomic::<Atomic>(self.offset)?.store(new, SeqCst);
        });
        Ok(())
    }

    /// Adds to the value; the sum wraps around.
    ///
    /// Args:
    ///     n: An int that fits the word.
    ///
    /// Returns:
    ///     The value before.
    ///
    /// Raises:
    ///     As `store`.
    fn add<'py>(&self, n: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.check_writable()?;
        for_word!(self, Atomic, Int => {
            let by = int!(n, Int)?;
            let before = self.memory.atomic::<Atomic>(self.offset)?.fetch_add(by, SeqCst);
            Ok(before.into_pyobject(n.py())?.into_any())
        })
    }

    /// Subtracts from the value; the difference wraps around.
    ///
    /// Args:
    ///     n: An int that fits the word.
    ///
    /// Returns:
    ///     The value before.
    ///
    /// Raises:
    ///     As `store`.
    fn sub<'py>(&self, n: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.check_writable()?;
        for_word!(self, Atomic, Int => {
            let by = int!(n, Int)?;
            let before = self.memory.atomic::<Atomic>(self.offset)?.fetch_sub(by, SeqCst);
            Ok(before.into_pyobject(n.py())?.into_any())
        })
    }

    /// Sets the value.
    ///
    /// Args:
    ///     value: An int that fits the word.
    ///
    /// Returns:
    ///     The value before.
    ///
    /// Raises:
    ///     As `store`.
    fn exchange<'py>(&self, value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.check_writable()?;
        for_word!(self, Atomic, Int => {
            let new = int!(value, Int)?;
            let before = self.memory.atomic::<Atomic>(self.offset)?.swap(new, SeqCst);
            Ok(before.into_pyobject(value.py())?.into_any())
        })
    }

    /// Sets the value if it is the expected one.
    ///
    /// Args:
    ///     expected: The value that it must have.
    ///     desired: The value that it gets then.
    ///
    /// Returns:
    ///     The value before; it was set if that is the expected one.
    ///
    /// Raises:
    ///     As `store`.
    fn compare_exchange<'py>(
        &self,
        expected: &Bound<'py, PyAny>,
        desired: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.check_writable()?;
        for_word!(self, Atomic, Int => {
            let (old, new) = (int!(expected, Int)?, int!(desired, Int)?);
            let word = self.memory.atomic::<Atomic>(self.offset)?;
            let (Ok(before) | Err(before)) = word.compare_exchange(old, new, SeqCst, SeqCst);
            Ok(before.into_pyobject(expected.py())?.into_any())
        })
    }

    fn __repr__(&self) -> String {
        let (name, id) = (self.word.name(), self.memory.segment().id());
        format!("<AtomicInteger {name} at offset {}, id={id}>", self.offset)
    }

    fn __reduce__(&self) -> PyResult<Py<PyAny>> {
        Err(PyTypeError::new_err("an AtomicInteger can't be pickled: it is memory of its process"))
    }
}

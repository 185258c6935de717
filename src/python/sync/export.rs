//! The protocols as Python data: what the model in `tests/model` searches through.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

use crate::sync::{Act, Delta, End, Next, Number, Op, Place, Step, protocols};

const fn number(number: Number) -> &'static str {
    match number {
        Number::Slot => "slot",
        Number::LastSlot => "last slot",
        Number::Count => "count",
        Number::Left => "left",
        Number::Era => "era",
        Number::NextEra => "next era",
    }
}

/// `(index, whether a slot is added, delta, the number that is added with that sign, undo, now)`.
fn op(py: Python<'_>, op: Op) -> PyResult<Bound<'_, PyTuple>> {
    let (index, slot) = match op.place {
        Place::At(index) => (index, false),
        Place::Slot(index) => (index, true),
    };
    let (delta, name) = match op.delta {
        Delta::By(delta) => (delta, None),
        Delta::Plus(name) => (1, Some(number(name))),
        Delta::Minus(name) => (-1, Some(number(name))),
    };
    (index, slot, delta, name, op.undo, op.now).into_pyobject(py)
}

/// The index of a step, or how the program ends.
fn next(py: Python<'_>, next: Next) -> PyResult<Bound<'_, PyAny>> {
    let end = match next {
        Next::To(step) => return Ok(step.into_pyobject(py)?.into_any()),
        Next::End(End::Done) => "done",
        Next::End(End::Died) => "died",
        Next::End(End::Lead) => "lead",
        Next::End(End::Expired) => "expired",
        Next::End(End::Refused) => "refused",
    };
    Ok(end.into_pyobject(py)?.into_any())
}

fn step<'py>(py: Python<'py>, step: &Step) -> PyResult<Bound<'py, PyDict>> {
    let told = PyDict::new(py);
    told.set_item("name", step.name)?;
    let (act, ops): (_, &[Op]) = match step.act {
        Act::Try(ops) => ("try", ops),
        Act::Wait(ops) => ("wait", ops),
        Act::Read(index, into, most) => {
            told.set_item("read", (index, number(into), most.map(number)))?;
            ("read", &[])
        }
        Act::NextSlot => ("next slot", &[]),
    };
    told.set_item("act", act)?;
    let ops = ops.iter().map(|&each| op(py, each)).collect::<PyResult<Vec<_>>>()?;
    told.set_item("ops", PyTuple::new(py, ops)?)?;
    for (name, to) in [
        ("done", step.done),
        ("again", step.again),
        ("expired", step.expired),
        ("interrupted", step.interrupted),
    ] {
        told.set_item(name, next(py, to)?)?;
    }
    Ok(told)
}

/// The protocols of `sysv_ipc_rs.sync`: `{class: {"semaphores": {name: first value}, "programs":
/// {name: [step]}}}`, the very tables that the classes perform.
#[pyfunction]
pub(in crate::python) fn sync_protocols(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let all = PyDict::new(py);
    for protocol in protocols::ALL {
        let semaphores = PyDict::new(py);
        for &(name, value) in protocol.semaphores {
            semaphores.set_item(name, value)?;
        }
        let programs = PyDict::new(py);
        for &(name, program) in protocol.programs {
            let steps = program.iter().map(|each| step(py, each)).collect::<PyResult<Vec<_>>>()?;
            programs.set_item(name, PyList::new(py, steps)?)?;
        }
        let told = PyDict::new(py);
        told.set_item("semaphores", semaphores)?;
        told.set_item("programs", programs)?;
        all.set_item(protocol.name, told)?;
    }
    Ok(all)
}

//! Tests of the core, without Python.

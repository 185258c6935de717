//! Tests of the core, without Python.

mod support;
mod test_create;
mod test_msg;
mod test_php;
mod test_sem;
mod test_shm;
mod test_sync;
mod test_system;
mod test_wait;

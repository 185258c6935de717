//! Whatever `/proc` holds, no parser panics.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sysv_ipc_rs::fuzzing::parse_proc(data));

//! Benches of the core beside the bare calls.

fn main() {}

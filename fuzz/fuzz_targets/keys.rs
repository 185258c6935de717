//! Every name has a key, above 0 and as it is shown; every path has one or an errno.
#![no_main]

use sysv_ipc_rs::ipc::Key;

libfuzzer_sys::fuzz_target!(|name: &str| {
    let key = Key::from_name(name);
    assert!(key.get() > 0);
    assert_eq!(key, Key::from_name(name));
    let shown = key.to_string();
    assert_eq!(i32::from_str_radix(shown.strip_prefix("0x").unwrap(), 16), Ok(key.get()));
    let _ = Key::ftok(name, 1);
});

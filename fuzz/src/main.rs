//! The program that libFuzzer drives. The variable `TARGET` names the target.

#![no_main]

use std::sync::LazyLock;

static TARGET: LazyLock<keyswap_fuzz::Target> = LazyLock::new(|| {
    let name = std::env::var("TARGET").expect("TARGET names a target");
    keyswap_fuzz::target(&name).expect("there is such a target")
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| TARGET(data));

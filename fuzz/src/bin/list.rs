#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keyswap_fuzz::list(data));

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::iot_policies(data));

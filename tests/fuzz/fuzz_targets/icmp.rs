//! The decoder of ICMP: no packet breaks it, and what it encodes it decodes.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|packet: &[u8]| uptime_check::fuzzing::icmp(packet));

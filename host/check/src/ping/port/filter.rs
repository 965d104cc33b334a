//! What a raw socket is spared on Linux: it sees every message of ICMP that reaches this machine, on the loopback our own
//! requests too. The kernel drops what is neither an echo of ours that came back nor word of one that can't be delivered,
//! before it is copied and wakes anybody. What passes is looked at as carefully as without it.

use crate::icmp::{UNDELIVERABLE_V4, UNDELIVERABLE_V6, Version, reply_kind};
use socket2::{SockFilter, Socket};
use std::io;

/// Instructions of classic BPF (`linux/filter.h`): a byte, or two, at an offset that is fixed or counts from `X`; `X` as
/// the length of the IPv4 header that begins there; a comparison; the end, with how many bytes pass.
const LOAD_BYTE: u16 = 0x30;
const LOAD_TWO: u16 = 0x28;
const LOAD_BYTE_FROM_X: u16 = 0x50;
const LOAD_TWO_FROM_X: u16 = 0x48;
const X_IS_HEADER: u16 = 0xb1;
const IS_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;

/// Where ICMP has its type and the identifier of an echo.
const KIND_AT: u32 = 0;
const IDENT_AT: u32 = 4;

/// Has the kernel drop what can be no answer to an echo with `ident`.
pub(super) fn attach(socket: &Socket, version: Version, ident: u16) -> io::Result<()> {
    let one = |code, k| SockFilter::new(code, 0, 0, k);
    // From each comparison to the last two: pass, drop.
    let unless = |k, jt, jf| SockFilter::new(IS_EQUAL, jt, jf, k);
    // An IPv4 packet comes with its header, an IPv6 one without.
    let (begin, [told, told_too], byte, two) = match version {
        Version::V4 => (Some(one(X_IS_HEADER, 0)), UNDELIVERABLE_V4, LOAD_BYTE_FROM_X, LOAD_TWO_FROM_X),
        Version::V6 => (None, UNDELIVERABLE_V6, LOAD_BYTE, LOAD_TWO),
    };
    let mut program: Vec<SockFilter> = begin.into_iter().collect();
    program.extend([
        one(byte, KIND_AT),
        unless(told.into(), 4, 0),
        unless(told_too.into(), 3, 0),
        unless(reply_kind(version).into(), 0, 3),
        one(two, IDENT_AT),
        unless(ident.into(), 0, 1),
        one(RETURN, u32::MAX),
        one(RETURN, 0),
    ]);
    socket.attach_filter(&program)
}

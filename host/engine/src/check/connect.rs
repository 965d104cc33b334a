//! A TCP connection to the first address that takes it.
//!
//! Addresses are tried in order. All but the last get a share of the time that is left, so that one black hole does
//! not eat the deadline of a target that answers elsewhere.

use crate::check::errno;
use crate::check::trace::{Step, Trace};
use std::io;
use std::net::SocketAddr;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use uptime_core::check::{Failure, FailureClass};
use uptime_core::duration;

/// Connects to one of `addresses`. The connection is set to be closed by a reset: a FIN from our side would leave
/// the port in TIME_WAIT for a minute, and a busy monitor would run out of ports.
pub(super) async fn connect(addresses: &[SocketAddr], deadline: Instant, trace: &mut Trace) -> Result<TcpStream, Failure> {
    let began = Instant::now();
    let mut failures = Vec::new();
    for (index, &address) in addresses.iter().enumerate() {
        let others = addresses.len() - index - 1;
        trace.enter(Step::Connect(address));
        trace.address = Some(address.ip());
        let attempt = TcpStream::connect(address);
        let connected = if others == 0 {
            attempt.await
        } else {
            // Also the steps after this one need time, so the parts are one more than the addresses.
            let parts = u32::try_from(others + 2).unwrap_or(u32::MAX);
            let share = deadline.saturating_duration_since(Instant::now()) / parts;
            match timeout(share, attempt).await {
                Ok(connected) => connected,
                Err(_) => {
                    let message = format!("connecting to {address}: no answer within {}", duration::format(share));
                    failures.push((address, Failure::new(FailureClass::ConnectTimeout, message)));
                    continue;
                }
            }
        };
        match connected.and_then(prepare) {
            Ok(stream) => {
                trace.phases.connect = Some(began.elapsed());
                return Ok(stream);
            }
            Err(error) => {
                failures.push((address, errno::failure(&format!("connecting to {address}"), &error, address.ip())));
            }
        }
    }
    trace.phases.connect = Some(began.elapsed());
    Err(most_telling(failures, trace))
}

/// Of several failures the first that is the target's own: that this machine has no IPv6 says nothing about a
/// target that refuses on IPv4.
fn most_telling(mut failures: Vec<(SocketAddr, Failure)>, trace: &mut Trace) -> Failure {
    let count = failures.len();
    let index = failures.iter().position(|(_, failure)| !failure.class.is_ours()).unwrap_or(0);
    if count == 0 {
        return Failure::new(FailureClass::Dns, "there was no address to connect to");
    }
    let (address, failure) = failures.swap_remove(index);
    trace.address = Some(address.ip());
    match count {
        1 => failure,
        _ => Failure { message: format!("{} (and {} more of its addresses failed)", failure.message, count - 1), ..failure },
    }
}

fn prepare(stream: TcpStream) -> io::Result<TcpStream> {
    // Without it the request after a TLS handshake would wait for a delayed acknowledgement.
    stream.set_nodelay(true)?;
    stream.set_zero_linger()?;
    Ok(stream)
}

//! A TCP connection to the first address that takes it.
//!
//! Addresses are tried in order. All but the last get a share of the time that is left, so that one black hole does
//! not eat the deadline of a target that answers elsewhere.

use crate::errno;
use crate::trace::Trace;
use std::io;
use std::net::SocketAddr;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;
use uptime_core::check::{Failure, FailureClass};
use uptime_core::duration;

/// A connection in use: plain, or over TLS.
pub(crate) type Stream = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// Connects to one of `addresses`. The connection is set to be closed by a reset: a FIN from our side would leave
/// the port in `TIME_WAIT` for a minute, and a busy monitor would run out of ports.
pub(crate) async fn connect(addresses: &[SocketAddr], trace: &mut Trace) -> Result<TcpStream, Failure> {
    let began = Instant::now();
    let mut failures = Vec::new();
    for (index, &address) in addresses.iter().enumerate() {
        let others = addresses.len() - index - 1;
        trace.enter(move |waited, phases, limit| {
            phases.connect = Some(waited);
            no_answer(address, limit)
        });
        trace.hop.address = Some(address.ip());
        let attempt = TcpStream::connect(address);
        let connected = if others == 0 {
            attempt.await
        } else {
            // Also the steps after this one need time, so the parts are one more than the addresses.
            let parts = u32::try_from(others + 2).unwrap_or(u32::MAX);
            let share = trace.deadline.left() / parts;
            let Ok(connected) = timeout(share, attempt).await else {
                failures.push((address, no_answer(address, &duration::format(share))));
                continue;
            };
            connected
        };
        match connected.and_then(prepare) {
            Ok(stream) => {
                trace.hop.phases.connect = Some(began.elapsed());
                return Ok(stream);
            }
            Err(error) => {
                failures.push((
                    address,
                    errno::failure(&format!("connecting to {address}"), &error, address.ip()),
                ));
            }
        }
    }
    trace.hop.phases.connect = Some(began.elapsed());
    Err(most_telling(failures, trace))
}

fn no_answer(address: SocketAddr, limit: &str) -> Failure {
    let message = format!("connecting to {address}: no answer within {limit}");
    Failure::new(FailureClass::ConnectTimeout, message)
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
    trace.hop.address = Some(address.ip());
    match count {
        1 => failure,
        _ => Failure::new(
            failure.class,
            format!("{} (and {} more of its addresses failed)", failure.message, count - 1),
        ),
    }
}

fn prepare(stream: TcpStream) -> io::Result<TcpStream> {
    // Without it the request after a TLS handshake would wait for a delayed acknowledgement.
    stream.set_nodelay(true)?;
    stream.set_zero_linger()?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::Deadline;
    use std::time::Duration;
    use uptime_tests::{DeafTarget, TcpTarget};

    async fn connect_within(
        addresses: &[SocketAddr],
        limit: Duration,
    ) -> (Result<TcpStream, Failure>, Trace) {
        let mut trace = Trace::new(Deadline::within(limit));
        let connected = timeout(limit, connect(addresses, &mut trace)).await;
        (connected.unwrap_or_else(|_| Err(trace.cut_off())), trace)
    }

    #[tokio::test]
    async fn a_black_hole_does_not_eat_the_deadline() {
        let (up, black_hole) = (TcpTarget::start(), DeafTarget::start());
        let limit = Duration::from_millis(900);
        let addresses = [black_hole.address(), black_hole.address(), up.address()];
        let (connected, trace) = connect_within(&addresses, limit).await;
        assert_eq!(connected.expect("the third takes it").peer_addr().expect("a peer"), up.address());
        let took = trace.hop.phases.connect.expect("it took time");
        assert!(took > limit / 4 && took < limit * 3 / 4, "{took:?}");
    }

    #[tokio::test]
    async fn an_address_that_refuses_is_passed_over() {
        let (up, refused) = (TcpTarget::start(), DeafTarget::refusing());
        let addresses = [refused.address(), up.address()];
        let (connected, _) = connect_within(&addresses, Duration::from_secs(5)).await;
        connected.expect("the second takes it");
    }

    #[test]
    fn the_first_failure_of_the_targets_own_is_told() {
        let at = |n: u8| SocketAddr::from(([192, 0, 2, n], 80));
        let failed = |n: u8, class| (at(n), Failure::new(class, format!("{n}")));
        let mut trace = Trace::new(Deadline::within(Duration::from_secs(1)));
        let failures = vec![
            failed(1, FailureClass::Network),
            failed(2, FailureClass::Refused),
            failed(3, FailureClass::ConnectTimeout),
        ];
        let failure = most_telling(failures, &mut trace);
        assert_eq!((failure.class, trace.hop.address), (FailureClass::Refused, Some(at(2).ip())));
        assert_eq!(failure.message, "2 (and 2 more of its addresses failed)");
        let failure = most_telling(vec![failed(1, FailureClass::Network)], &mut trace);
        assert_eq!((failure.class, failure.message.as_str()), (FailureClass::Network, "1"));
    }
}

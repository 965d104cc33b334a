//! Signals: SIGTERM, SIGINT and SIGQUIT ask for a stop, the second ends; SIGHUP asks for the file to be read again; SIGUSR2
//! makes workers pause, SIGCONT lets them go on.

use rustix::process::Signal as Number;
use std::future::pending;
use std::io;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::net::UnixStream;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Who signals a process and then its group, as `timeout` does, asks once.
const ONCE: Duration = Duration::from_millis(100);

/// Cancelled by the first SIGTERM, SIGINT or SIGQUIT. A second one ends the process at once, as the shell expects it.
pub fn stop() -> io::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let mut terminate = Arrivals::of(Number::TERM)?;
    let mut interrupt = Arrivals::of(Number::INT)?;
    let mut quit = Arrivals::of(Number::QUIT)?;
    let token = stop.clone();
    tokio::spawn(async move {
        let mut next = async || {
            tokio::select! {
                () = terminate.next() => Number::TERM,
                () = interrupt.next() => Number::INT,
                () = quit.next() => Number::QUIT,
            }
        };
        next().await;
        token.cancel();
        // Until then it is deaf.
        let deaf = async {
            loop {
                next().await;
            }
        };
        let _: Result<(), _> = timeout(ONCE, deaf).await;
        exit(next().await)
    });
    Ok(stop)
}

#[expect(clippy::exit, reason = "somebody asked twice: leases and the lock's owner being gone heal the rest")]
fn exit(number: Number) -> ! {
    std::process::exit(128 + number.as_raw());
}

/// Each time that a signal comes, from the moment on that it no longer ends the process. A listener of tokio's is made after its
/// handler is, and misses what comes between the two: on a busy machine a stop was lost so, and the process ran on.
struct Arrivals(UnixStream);

impl Arrivals {
    fn of(number: Number) -> io::Result<Self> {
        let (listens, tells) = StdUnixStream::pair()?;
        signal_hook::low_level::pipe::register(number.as_raw(), tells)?;
        listens.set_nonblocking(true)?;
        UnixStream::from_std(listens).map(Self)
    }

    async fn next(&mut self) {
        if self.0.read_u8().await.is_err() {
            // The handler has the other end as long as the process lives.
            pending::<()>().await;
        }
    }
}

/// True from a SIGUSR2 to the next SIGCONT.
pub fn paused() -> io::Result<watch::Receiver<bool>> {
    let mut pause = signal(SignalKind::user_defined2())?;
    let mut go_on = signal(SignalKind::from_raw(Number::CONT.as_raw()))?;
    let (sender, paused) = watch::channel(false);
    tokio::spawn(async move {
        loop {
            let asked = tokio::select! {
                _ = pause.recv() => true,
                _ = go_on.recv() => false,
            };
            if sender.send_if_modified(|paused| std::mem::replace(paused, asked) != asked) {
                tracing::info!("{}", if asked { "paused: claiming nothing" } else { "going on" });
            }
        }
    });
    Ok(paused)
}

/// SIGHUP, from here on. The stream ends with the process.
pub fn reload() -> io::Result<Signal> {
    signal(SignalKind::hangup())
}

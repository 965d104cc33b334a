//! Signals: SIGTERM, SIGINT and SIGQUIT ask for a stop, the second ends; SIGHUP asks for the file to be read again.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Cancelled by the first SIGTERM, SIGINT or SIGQUIT. A second one ends the process at once, as the shell expects it.
pub fn stop() -> std::io::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut quit = signal(SignalKind::quit())?;
    let token = stop.clone();
    tokio::spawn(async move {
        for already_asked in [false, true] {
            let number = tokio::select! {
                _ = terminate.recv() => 15,
                _ = interrupt.recv() => 2,
                _ = quit.recv() => 3,
            };
            if already_asked {
                #[expect(
                    clippy::exit,
                    reason = "somebody asked twice: leases and the lock's owner being gone heal the rest"
                )]
                std::process::exit(128 + number);
            }
            token.cancel();
        }
    });
    Ok(stop)
}

/// SIGHUP, from here on.
pub struct Reload(Signal);

impl Reload {
    pub fn new() -> std::io::Result<Self> {
        signal(SignalKind::hangup()).map(Self)
    }

    /// The next time that somebody asks.
    pub async fn asked(&mut self) {
        // The stream ends with the process.
        let _ = self.0.recv().await;
    }
}

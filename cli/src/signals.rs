//! Signals: SIGTERM, SIGINT and SIGQUIT ask for a stop, the second ends; SIGHUP asks for the file to be read again; SIGUSR2
//! makes workers pause, SIGCONT lets them go on.

use rustix::process::Signal as Number;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
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

/// True from a SIGUSR2 to the next SIGCONT.
pub fn paused() -> std::io::Result<watch::Receiver<bool>> {
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

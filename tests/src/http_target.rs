//! An HTTP service to be watched, which goes up and down when told.

use crate::deadline::{DEADLINE, within};
use crate::listening::Listening;
use crate::reply::{Reply, Script};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// An HTTP server on loopback. Each change holds for the requests that come after it.
pub struct HttpTarget {
    listening: Listening<Script>,
    script: Arc<Script>,
}

impl HttpTarget {
    /// A target on 127.0.0.1 that is up.
    pub fn start() -> Self {
        Self::start_on(Ipv4Addr::LOCALHOST.into())
    }

    /// A target on another address of this machine.
    pub fn start_on(ip: IpAddr) -> Self {
        let script = Script::new(Reply::ok().body("ok"), false);
        let _context = crate::runtime().enter();
        Self { listening: Listening::start(ip, Arc::clone(&script)), script }
    }

    pub fn address(&self) -> SocketAddr {
        self.listening.address()
    }

    /// Its root, ending in `/`.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address())
    }

    pub fn up(&self) {
        self.answer(Reply::ok().body("ok"));
    }

    pub fn down(&self) {
        self.answer(Reply::status(500).body("broken"));
    }

    /// Answers every request so. Opens the port if it was closed.
    pub fn answer(&self, reply: Reply) {
        self.script.set(reply);
        self.listening.open();
    }

    /// Answers the next requests with these, one each, before anything else.
    pub fn answer_next(&self, replies: impl IntoIterator<Item = Reply>) {
        self.script.push(replies);
    }

    /// Answers 200, after `delay`.
    pub fn slow(&self, delay: Duration) {
        self.answer(Reply::ok().body("ok").after(delay));
    }

    /// Answers requests 503 whose header `x-from` names one of these, and no others.
    pub fn down_from(&self, places: &[&str]) {
        self.script.set_down_from(places);
    }

    /// Takes each request and does not answer until [`let_go`](Self::let_go).
    pub fn hang(&self) {
        self.answer(Reply::ok().body("ok").held());
    }

    /// Answers the requests that hang.
    pub fn let_go(&self) {
        self.script.let_go();
    }

    /// Closes the port: connections are refused, and those that are there are cut. It stays this target's.
    pub fn refuse(&self) {
        self.listening.close();
    }

    pub fn requests(&self) -> usize {
        self.script.count()
    }

    /// Returns when `more` requests have come after this call was made.
    ///
    /// # Panics
    /// After [`DEADLINE`].
    pub fn more_requests(&self, more: usize) -> impl Future<Output = ()> + '_ {
        let from = self.requests();
        within(DEADLINE, self.script.reached(from + more), move || {
            format!("{more} more requests at {}; there were {}", self.url(), self.requests() - from)
        })
    }

    /// Returns when `total` requests have come since the start.
    ///
    /// # Panics
    /// After [`DEADLINE`].
    pub async fn wait_for_requests(&self, total: usize) {
        within(DEADLINE, self.script.reached(total), || {
            format!("{total} requests at {}; there were {}", self.url(), self.requests())
        })
        .await;
    }
}

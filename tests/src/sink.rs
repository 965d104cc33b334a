//! Where notifications arrive: remembers every request, and answers as it was told.

use crate::deadline::{DEADLINE, within};
use crate::listening::Listening;
use crate::reply::{Received, Reply, Script};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

/// A recording HTTP server on 127.0.0.1. Answers 200 unless told otherwise.
pub struct WebhookSink {
    listening: Listening<Script>,
    script: Arc<Script>,
}

impl WebhookSink {
    pub fn start() -> Self {
        let script = Script::new(Reply::ok(), true);
        let _context = crate::runtime().enter();
        Self { listening: Listening::start(Ipv4Addr::LOCALHOST.into(), Arc::clone(&script)), script }
    }

    /// Its origin, for a grant: `http://127.0.0.1:…`.
    pub fn origin(&self) -> String {
        format!("http://{}", self.listening.address())
    }

    pub fn url(&self) -> String {
        format!("{}/hook", self.origin())
    }

    /// Answers the next requests with these, one each, before anything else.
    pub fn answer_next(&self, replies: impl IntoIterator<Item = Reply>) {
        self.script.push(replies);
    }

    /// Answers so from now on, once the answers of [`answer_next`](Self::answer_next) are used up.
    pub fn answer(&self, reply: Reply) {
        self.script.set(reply);
    }

    /// Answers the requests whose reply is [held](Reply::held).
    pub fn let_go(&self) {
        self.script.let_go();
    }

    /// Refuses connections, and cuts those that are there.
    pub fn close(&self) {
        self.listening.close();
    }

    pub fn open(&self) {
        self.listening.open();
    }

    pub fn received(&self) -> Vec<Received> {
        self.script.received()
    }

    /// Waits until `count` requests have come since the start, and gives all that came.
    ///
    /// # Panics
    /// After [`DEADLINE`].
    pub async fn wait_for(&self, count: usize) -> Vec<Received> {
        self.wait_for_within(DEADLINE, count).await
    }

    /// As [`wait_for`](Self::wait_for), with a deadline of one's own.
    ///
    /// # Panics
    /// After `limit`.
    pub async fn wait_for_within(&self, limit: Duration, count: usize) -> Vec<Received> {
        within(limit, self.script.reached(count), || {
            let received = self.received();
            let lines: Vec<String> =
                received.iter().map(|received| format!("\n  {}", received.line())).collect();
            format!("{count} requests at {}; there were {}{}", self.url(), received.len(), lines.concat())
        })
        .await;
        self.received()
    }
}

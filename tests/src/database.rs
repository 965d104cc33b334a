//! A database for each test, copied from a template in a few milliseconds, dropped when the test ends.

use crate::postgres::TestServer;
use crate::reply::lock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use uptime_postgres::{PostgresError, Row, Session};

pub struct TestDatabase {
    name: String,
    server: Arc<TestServer>,
}

impl TestDatabase {
    /// A database with nothing in it, on the shared server.
    pub async fn empty() -> Self {
        Self::empty_on(TestServer::shared_async().await).await
    }

    /// A copy of the template `key`, on the shared server. The first call with a key makes the template: it gives
    /// `prepare` the URL of an empty database, to run migrations on or to fill.
    pub async fn from_template(key: &str, prepare: impl AsyncFnOnce(String)) -> Self {
        let server = TestServer::shared_async().await;
        let cell = Arc::clone(lock(&server.templates).entry(key.to_owned()).or_default());
        let make = async || {
            let template = unique("template");
            run(server, format!("CREATE DATABASE {} TEMPLATE template0", quoted(&template))).await;
            prepare(server.url_of(&template)).await;
            // A template may have no sessions; pools close theirs when they like.
            run(server, format!("ALTER DATABASE {} ALLOW_CONNECTIONS false", quoted(&template))).await;
            let name = template.replace('\'', "''");
            let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname =";
            run(server, format!("{end} '{name}'")).await;
            template
        };
        let template = cell.get_or_init(make).await.clone();
        Self::create(server, template).await
    }

    /// As [`empty`](Self::empty), on a server of the test's own.
    pub async fn empty_on(server: &Arc<TestServer>) -> Self {
        Self::create(server, "template0".into()).await
    }

    async fn create(server: &Arc<TestServer>, template: String) -> Self {
        let name = unique("test");
        // Copying files is quicker than logging blocks when nothing waits for the disk; the word is new in 15.
        let strategy = if server.major >= 15 { " STRATEGY file_copy" } else { "" };
        run(server, format!("CREATE DATABASE {} TEMPLATE {}{strategy}", quoted(&name), quoted(&template)))
            .await;
        Self { name, server: Arc::clone(server) }
    }

    pub fn url(&self) -> String {
        self.server.url_of(&self.name)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs statements and gives the rows as text. Blocks for as long as they take.
    ///
    /// # Panics
    /// If the server refuses them.
    pub fn query(&self, sql: &str) -> Vec<Row> {
        self.server.query(&self.name, sql)
    }

    /// As [`query`](Self::query), with the error.
    pub fn try_query(&self, sql: &str) -> Result<Vec<Row>, PostgresError> {
        self.server.try_query(&self.name, sql)
    }

    /// A session that stays, for a transaction that does.
    ///
    /// # Panics
    /// If the server does not let it in.
    pub fn session(&self) -> Session {
        self.server.session(&self.name)
    }

    /// The single value that `sql` yields, as text; `""` for null.
    ///
    /// # Panics
    /// If it yields anything but one value.
    pub fn value(&self, sql: &str) -> String {
        let rows = self.query(sql);
        match rows.as_slice() {
            [row] if row.len() == 1 => row[0].clone().unwrap_or_default(),
            rows => panic!("one value was expected and there is {rows:?}\nof {sql}"),
        }
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        static DROPPER: OnceLock<mpsc::Sender<(Arc<TestServer>, String)>> = OnceLock::new();
        let dropper = DROPPER.get_or_init(|| {
            // In a thread of its own: a test need not wait for it.
            let (sender, receiver) = mpsc::channel::<(Arc<TestServer>, String)>();
            std::thread::spawn(move || {
                for (server, name) in receiver {
                    server.drop_database(&name);
                }
            });
            sender
        });
        let _ = dropper.send((Arc::clone(&self.server), self.name.clone()));
    }
}

impl TestServer {
    /// [`shared`](Self::shared) for async callers: it may start a server.
    async fn shared_async() -> &'static Arc<Self> {
        blocking(Self::shared).await
    }

    /// Drops a database, whoever uses it. A server that is down takes its databases along.
    fn drop_database(&self, name: &str) {
        let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", quoted(name));
        let _ = self.try_query("postgres", &sql);
    }
}

async fn run(server: &Arc<TestServer>, sql: String) -> Vec<Row> {
    let server = Arc::clone(server);
    blocking(move || server.query("postgres", &sql)).await
}

/// Runs what blocks on the harness's runtime, so that the caller's needs no threads for it.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match crate::runtime().spawn_blocking(work).await {
        Ok(output) => output,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// A name that no other database of this process has.
fn unique(prefix: &str) -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(1);
    format!("{prefix}_{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

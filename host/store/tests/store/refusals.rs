//! What the server refuses for its own reasons, or for those of whoever set it up, is called by its name, and no bug.

use crate::store;
use std::time::Duration;
use uptime_core::ErrorClass;
use uptime_store::{Store, StoreError};
use uptime_tests::{ReplicationServer, TestDatabase};

/// The database's URL, with more in its query.
fn with(database: &TestDatabase, query: &str) -> String {
    let url = database.url();
    let sign = if url.contains('?') { '&' } else { '?' };
    format!("{url}{sign}{query}")
}

/// What is refused to a scheduler of this URL.
async fn refusal(url: &str) -> StoreError {
    let store = match Store::open(url, 2).await {
        Ok(store) => store,
        Err(error) => return error,
    };
    store.schedule(Duration::ZERO).await.expect_err("it is refused")
}

fn assert_says(error: &StoreError, class: ErrorClass, words: &str, way_out: &str) {
    let (said, hint) = (error.to_string(), error.hint());
    assert_eq!(error.class(), class, "{said}");
    assert!(
        said.contains(words) && hint.contains(way_out) && !hint.contains("bug in `uptime`"),
        "{said}\nhint: {hint}"
    );
}

#[tokio::test]
async fn a_host_that_does_not_answer_holds_up_nobody_who_found_another() {
    let database = crate::store().await.0;
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = silent.local_addr().expect("an address").port();
    let url = database.url().replace("?host=", "?host=127.0.0.1,").replace("port=", &format!("port={port},"));
    let opened = tokio::time::timeout(Duration::from_secs(4), Store::open(&url, 1)).await;
    opened.expect("well before the silent one is given up").expect("the other one").close().await;
}

#[tokio::test]
async fn each_refusal_of_the_server_has_its_own_words_and_hint() {
    use ErrorClass::{Config, Transient};
    // One that lets each role in that may log in.
    let server = ReplicationServer::primary();
    let port = server.port();
    let url = |role: &str, rest: &str| format!("postgres://{role}@127.0.0.1:{port}/uptime{rest}");
    Store::open(&url("postgres", ""), 2).await.expect("the schema is made").close().await;
    server.query(
        "CREATE ROLE guest LOGIN; CREATE ROLE crowd LOGIN CONNECTION LIMIT 0; CREATE ROLE barred NOLOGIN",
    );
    for (url, class, words, way_out) in [
        (
            url("postgres", "?options[default_transaction_read_only]=on"),
            Transient,
            "takes no writes: cannot execute",
            "default_transaction_read_only",
        ),
        (url("guest", ""), Config, "role may not do that: permission denied", "uptime db migrate"),
        (url("crowd", ""), Transient, "no connection left: too many connections", "CONNECTION LIMIT"),
        (url("barred", ""), Config, "refused the login: role", "may log in"),
        (url("nobody", ""), Config, "refused the login: role", "pg_hba.conf"),
        (url("postgres", "?dbname=elsewhere"), Config, "does not have that database", "createdb"),
        (url("postgres", "?options[search_path]=nowhere"), Config, "no schema for its tables", "search_path"),
        (url("postgres", "?options[no_such_setting]=1"), Config, "does not know a setting", "options"),
        (url("postgres", "?sslmode=require"), Config, "no TLS", "sslmode"),
    ] {
        assert_says(&refusal(&url).await, class, words, way_out);
    }
}

#[tokio::test]
async fn what_a_running_store_is_refused_is_called_by_its_name() {
    use ErrorClass::{Config, Transient};
    let (database, _store) = store().await;
    let url = with(&database, "options[statement_timeout]=200&options[lock_timeout]=100");
    let store = Store::open(&url, 2).await.expect("it opens");
    let mut other = database.session();
    other.query("BEGIN; LOCK TABLE monitor_states").expect("locked");
    let refused = store.schedule(Duration::ZERO).await.expect_err("it is locked");
    assert_says(&refused, Transient, "did not give a lock in time", "lock_timeout");
    other.query("ROLLBACK").expect("unlocked");
    database
        .query("CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(9); END'");
    let on_controls = |function: &str| {
        format!(
            "DROP TRIGGER IF EXISTS t ON queue_controls;
             CREATE TRIGGER t BEFORE INSERT ON queue_controls FOR EACH STATEMENT EXECUTE FUNCTION {function}()"
        )
    };
    database.query(&on_controls("slow"));
    let refused = store.pause_queue("x").await.expect_err("it is slow");
    assert_says(&refused, Transient, "cancelled a statement", "statement_timeout");
    let raise = |code: &str| {
        format!(
            "CREATE OR REPLACE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
               RAISE EXCEPTION USING ERRCODE = '{code}', MESSAGE = 'its words'; END $$"
        )
    };
    for (code, class, words, way_out, needs_operator) in [
        ("53100", Transient, "disk is full: its words", "free space", true),
        ("53200", Transient, "out of memory", "work_mem", true),
        ("58030", Transient, "trouble of its own", "log", true),
        ("XX001", Transient, "trouble of its own", "damaged", true),
        ("57P03", Transient, "stopping or starting", "when it runs", false),
        ("25P03", Transient, "idle", "idle_session_timeout", false),
        ("40P01", Transient, "in another's way", "try again", false),
        ("P0001", Config, "a trigger or a function", "remove it", true),
        ("42P01", Config, "not the one that this `uptime` made", "db status", true),
    ] {
        database.query(&raise(code));
        let refused = store.pause_queue("x").await.expect_err("it is refused");
        assert_says(&refused, class, words, way_out);
        assert_eq!(refused.needs_operator(), needs_operator, "{code}");
    }
    // What nobody but us can mend is said to be that.
    database.query(&raise("23505"));
    let refused = store.pause_queue("x").await.expect_err("it is refused");
    assert!(refused.class() == ErrorClass::Bug && refused.hint().contains("bug"), "{refused}");
}

#[tokio::test]
async fn an_encoding_that_cannot_hold_every_text_is_refused() {
    let database = TestDatabase::empty().await;
    database.query("CREATE DATABASE of_latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0");
    let refused = Store::open(&database.url().replace(database.name(), "of_latin"), 2).await;
    assert_says(&refused.expect_err("it is LATIN1"), ErrorClass::Config, "LATIN1", "ENCODING 'UTF8'");
    database.query("DROP DATABASE of_latin WITH (FORCE)");
}

#[tokio::test]
async fn a_session_that_takes_no_writes_is_closed_and_so_is_one_of_another_schema() {
    let (database, _store) = store().await;
    let store = Store::open(&database.url(), 1).await.expect("it opens, with one session");
    database.query(&format!(
        "ALTER DATABASE {0} SET default_transaction_read_only = on; SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = '{0}' AND pid <> pg_backend_pid()",
        database.name()
    ));
    let refused = store.schedule(Duration::ZERO).await.expect_err("it takes no writes");
    assert!(
        refused.to_string().contains("takes no writes") || refused.to_string().contains("reached"),
        "{refused}"
    );
    let refused = store.schedule(Duration::ZERO).await.expect_err("it takes no writes");
    assert_says(&refused, ErrorClass::Transient, "takes no writes", "standby");
    database.query(&format!(
        "BEGIN READ WRITE; ALTER DATABASE {} SET default_transaction_read_only = off; COMMIT",
        database.name()
    ));
    // The sessions of before would stay as they are.
    store.schedule(Duration::ZERO).await.expect("a fresh session writes");

    store.channels().await.expect("it is prepared");
    database.query("ALTER TABLE channels ALTER COLUMN name TYPE varchar(300)");
    let changed = store.channels().await.expect_err("its columns are other ones");
    assert!(changed.is_schema_change() && changed.class() == ErrorClass::Transient, "{changed}");
    store.channels().await.expect("a fresh session prepares it anew");
}

//! The harness, tested by hand-written HTTP and by killing the process that started a server.

#![expect(clippy::print_stdout, reason = "one prints a measurement, one speaks to its parent")]

use crate::{DeafTarget, HttpTarget, Reply, TcpTarget, TestDatabase, TestServer, WebhookSink, block_on};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Sends one request and reads all that comes, for at most `limit`.
fn exchange(address: SocketAddr, request: &str, limit: Duration) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(limit))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        // What came before the limit counts.
        Err(error) if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Err(error),
        _ => Ok(String::from_utf8_lossy(&answer).into_owned()),
    }
}

fn get(address: SocketAddr) -> std::io::Result<String> {
    get_for(address, Duration::from_secs(10))
}

fn get_for(address: SocketAddr, limit: Duration) -> std::io::Result<String> {
    exchange(address, "GET /health?deep=1 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", limit)
}

#[test]
fn an_http_target_goes_up_and_down_and_back_on_one_port() {
    let target = HttpTarget::start();
    let status = || get(target.address()).map(|answer| answer.split(' ').nth(1).map(str::to_owned));
    assert_eq!(status().expect("up"), Some("200".into()));
    target.down();
    assert_eq!(status().expect("down"), Some("500".into()));
    for _ in 0..20 {
        target.refuse();
        assert_eq!(status().expect_err("closed").kind(), ErrorKind::ConnectionRefused);
        target.up();
        assert_eq!(status().expect("up again"), Some("200".into()));
    }
    target.answer_next([Reply::status(301).header("location", "/x"), Reply::status(404).body("no")]);
    assert!(get(target.address()).expect("an answer").contains("location: /x\r\n"));
    assert!(get(target.address()).expect("an answer").ends_with("\r\n\r\nno"));
    assert!(get(target.address()).expect("an answer").ends_with("\r\n\r\nok"));
    assert_eq!(target.requests(), 25);
}

#[test]
fn a_target_is_slow_and_hangs() {
    let target = HttpTarget::start();
    target.slow(Duration::from_millis(200));
    let clock = Instant::now();
    get(target.address()).expect("an answer");
    assert!(clock.elapsed() >= Duration::from_millis(200));

    target.hang();
    assert_eq!(get_for(target.address(), Duration::from_millis(100)).expect("it is taken"), "");
    let address = target.address();
    let hanging = std::thread::spawn(move || get(address));
    block_on(target.wait_for_requests(3));
    target.let_go();
    assert!(hanging.join().expect("no panic").expect("an answer").starts_with("HTTP/1.1 200"));
}

#[test]
fn closing_a_target_cuts_what_hangs() {
    let target = HttpTarget::start();
    target.hang();
    let address = target.address();
    let hanging = std::thread::spawn(move || get(address));
    block_on(target.wait_for_requests(1));
    target.refuse();
    assert_eq!(hanging.join().expect("no panic").unwrap_or_default(), "");
}

#[test]
fn more_requests_counts_from_the_call_on() {
    let target = HttpTarget::start();
    get(target.address()).expect("an answer");
    let more = target.more_requests(2);
    get(target.address()).expect("an answer");
    get(target.address()).expect("an answer");
    block_on(more);
}

#[test]
fn a_sink_remembers_and_answers_by_its_script() {
    let sink = WebhookSink::start();
    let address = sink.origin().trim_start_matches("http://").parse().expect("an address");
    sink.answer_next([Reply::status(429).retry_after(7), Reply::ok().held()]);
    let body = r#"{"type":"down"}"#;
    let post = format!(
        "POST /hook?a=b HTTP/1.1\r\nhost: x\r\nx-signature: s1\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let send = move |post: &str| exchange(address, post, Duration::from_secs(10)).expect("an answer");
    let answer = send(&post);
    assert!(answer.starts_with("HTTP/1.1 429") && answer.contains("retry-after: 7\r\n"), "{answer}");
    let second = post.clone();
    let held = std::thread::spawn(move || send(&second));
    let received = block_on(sink.wait_for(2));
    assert!(!held.is_finished());
    sink.let_go();
    assert!(held.join().expect("no panic").starts_with("HTTP/1.1 200"));

    assert_eq!(received[0].line(), r#"POST /hook?a=b {"type":"down"}"#);
    assert_eq!(received[1].json()["type"], "down");
    assert_eq!(received[0].header("X-Signature"), Some("s1"));
    assert!(received[0].at <= received[1].at);
}

#[test]
#[should_panic(expected = "there were 1\n  GET /health?deep=1 ")]
fn a_sink_says_what_it_has_when_more_was_expected() {
    let sink = WebhookSink::start();
    get(sink.origin().trim_start_matches("http://").parse().expect("an address")).expect("an answer");
    block_on(sink.wait_for_within(Duration::from_millis(50), 2));
}

#[test]
fn a_tcp_target_is_silent_and_closes() {
    let target = TcpTarget::start();
    let read = || exchange(target.address(), "", Duration::from_millis(100));
    assert_eq!(read().expect("it accepts"), "");
    target.close();
    assert_eq!(read().expect_err("closed").kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn a_deaf_target_does_not_even_refuse() {
    let target = DeafTarget::start();
    let error = TcpStream::connect_timeout(&target.address(), Duration::from_millis(300)).expect_err("deaf");
    assert_eq!(error.kind(), ErrorKind::TimedOut);
}

#[test]
fn databases_of_a_template_are_apart_and_the_template_is_made_once() {
    let made = AtomicUsize::new(0);
    let copy = || {
        TestDatabase::from_template("one table", async |url| {
            assert_eq!(made.fetch_add(1, Ordering::Relaxed), 0);
            assert!(url.starts_with("postgres://"), "{url}");
            let name =
                url.split_once("localhost/").and_then(|(_, rest)| rest.split_once('?')).expect("a name").0;
            TestServer::shared().query(name, "CREATE TABLE t (n int); INSERT INTO t VALUES (1)");
        })
    };
    block_on(async {
        let (first, second) = (copy().await, copy().await);
        assert_ne!(first.url(), second.url());
        first.query("INSERT INTO t VALUES (2)");
        assert_eq!(first.value("SELECT count(*) FROM t"), "2");
        assert_eq!(second.value("SELECT count(*) FROM t"), "1");
        assert_eq!(second.query("SELECT n, NULL FROM t"), [[Some("1".to_owned()), None]]);
        let empty = TestDatabase::empty().await;
        assert_eq!(empty.value("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"), "0");
        let clock = Instant::now();
        for _ in 0..10 {
            copy().await;
        }
        println!("a database: {:?}", clock.elapsed() / 10);
    });
}

#[test]
fn a_dropped_database_is_gone() {
    let database = block_on(TestDatabase::empty());
    let name = database.name().to_owned();
    drop(database);
    let count = format!("SELECT count(*) FROM pg_database WHERE datname = '{name}'");
    let clock = Instant::now();
    // Dropped by a thread that sends no signal.
    while TestServer::shared().query("postgres", &count) != [[Some("0".to_owned())]] {
        assert!(clock.elapsed() < crate::DEADLINE, "`{name}` is still there");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_server_of_ones_own_can_be_stopped_killed_and_started() {
    let server = Arc::new(TestServer::start());
    let database = block_on(TestDatabase::empty_on(&server));
    database.query("CREATE TABLE t AS SELECT 7 AS n");
    server.stop();
    server.try_query("postgres", "SELECT 1").expect_err("it is stopped");
    server.start_again();
    assert_eq!(database.value("SELECT n FROM t"), "7");
    server.kill();
    server.start_again();
    assert_eq!(database.value("SELECT n FROM t"), "7");
    server.kill();
    let directory = server.data_dir();
    drop((database, server));
    gone(&directory);
}

#[test]
#[ignore = "is run by `a_killed_test_run_leaves_nothing`, as another process"]
fn a_test_run_that_hangs() {
    if std::env::var_os("UPTIME_TESTS_HANG").is_none() {
        return;
    }
    println!("\nserver in {}", TestServer::shared().data_dir().display());
    let _ = std::io::stdin().read(&mut [0]);
}

#[test]
fn a_killed_test_run_leaves_nothing() {
    let this = std::env::current_exe().expect("this binary has a path");
    let mut command = Command::new(this);
    command.args(["--ignored", "--exact", "tests::a_test_run_that_hangs", "--nocapture"]);
    command.env("UPTIME_TESTS_HANG", "1").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut run = command.spawn().expect("this binary runs");
    let mut lines = BufReader::new(run.stdout.take().expect("its stdout is a pipe")).lines();
    let directory = lines
        .find_map(|line| line.expect("text").strip_prefix("server in ").map(str::to_owned))
        .expect("it says where its server is");
    let directory = Path::new(&directory);
    let pid_file =
        std::fs::read_to_string(directory.join("postgres/cluster/postmaster.pid")).expect("it runs");
    let command_line = format!("/proc/{}/cmdline", pid_file.lines().next().expect("a pid"));
    assert!(std::fs::read_to_string(&command_line).expect("it runs").contains("postgres"));
    run.kill().expect("it can be killed");
    run.wait().expect("it ends");
    gone(directory);
    // A zombie has an empty one.
    let left = std::fs::read_to_string(&command_line).unwrap_or_default();
    assert_eq!(left, "", "the server outlived its tests");
}

/// Waits for the watchdog, which sends no signal.
fn gone(data_dir: &Path) {
    let directory = data_dir.parent().expect("it lies in the server's directory");
    let clock = Instant::now();
    while directory.exists() {
        assert!(clock.elapsed() < crate::DEADLINE, "`{}` is still there", directory.display());
        std::thread::sleep(Duration::from_millis(5));
    }
}

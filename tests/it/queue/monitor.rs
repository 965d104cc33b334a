//! `uptime queue monitor`: the numbers, the limit, who is told, and looking again and again.

use super::{Scene, backlog, sessions};
use crate::installation::Installation;
use rustix::process::Signal;
use serde_json::Value;

/// Five checks of a minute ago, and a worker that lives.
const FIVE: &str = "
  INSERT INTO jobs (queue, available_at) SELECT 'monitor-checks', now() - interval '65 s' FROM generate_series(1, 5);
  INSERT INTO workers (id, queue, host, pid, version, started_at, seen_at, running)
  VALUES (gen_random_uuid(), 'monitor-checks', 'h', 1, '0', now(), now() + interval '1 h', 0)";

/// A notification that has waited, and a worker that lives.
const WAITING: &str = "
  INSERT INTO jobs (queue, available_at) VALUES ('notifications', now() - interval '100 s');
  INSERT INTO workers (id, queue, host, pid, version, started_at, seen_at, running)
  VALUES (gen_random_uuid(), 'notifications', 'h', 1, '0', now(), now() + interval '1 h', 0)";

/// 1,200 checks that wait and three that run, a notification for later, two workers, and four jobs that failed.
const MANY: &str = "
  INSERT INTO jobs (queue, available_at, reserved_until)
  SELECT 'monitor-checks', now() - interval '200 s', CASE WHEN n > 1200 THEN now() + interval '1 min' END
  FROM generate_series(1, 1203) n;
  INSERT INTO jobs (queue, available_at) VALUES ('notifications', now() + interval '1 h');
  INSERT INTO workers (id, queue, host, pid, version, started_at, seen_at, running)
  SELECT gen_random_uuid(), 'monitor-checks', 'h', n, '0', now(), now(), 0 FROM generate_series(1, 2) n;
  INSERT INTO failed_jobs (id, queue, subject, payload, attempts, errors, created_at)
  SELECT n, 'notifications', n, '{}', 3, '[]', now() FROM generate_series(1, 4) n";

sessions! { "queue":
    a_queue_at_its_limit_is_exit_1 on Scene::with_rows(FIVE);
    what_has_waited_too_long_is_exit_1 on Scene::with_rows(WAITING);
    a_pipe_gets_a_line_for_each_queue on Scene::with_rows(MANY);
    a_slip_of_the_keys_is_told on Scene::with_rows("INSERT INTO jobs (queue) VALUES ('mails')");
    a_busy_queue_is_told_before_its_backlog_to_those_who_want_to_hear_of_it on backlog(7);
    a_look_without_an_event_changes_nothing on backlog(7);
}

const WATCH: [&str; 3] = ["queue", "monitor", "--watch=100ms"];

/// Watches until it has written `lines`, and is told to stop; its exit code, and the lines.
fn watch(installation: &Installation, args: &[&str], lines: usize, signal: Signal) -> (i32, Vec<String>) {
    let (process, mut reader) = installation.start_and_read(&[&WATCH[..], args].concat());
    let seen = reader.by_ref().take(lines).collect::<Result<Vec<_>, _>>().expect("text");
    process.signal(signal);
    assert!(reader.all(|line| line.is_ok()), "to the end");
    (process.wait(), seen)
}

#[test]
fn who_watches_sees_one_look_after_the_other() {
    let installation = Scene::with_rows("INSERT INTO jobs (queue) VALUES ('mails')").installation;
    let (exit, lines) = watch(&installation, &["--max", "1", "--format", "ndjson"], 9, Signal::TERM);
    assert_eq!(exit, 0, "whatever there is in the queues");
    let looks: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    for look in looks.chunks(3) {
        let queues: Vec<_> = look.iter().map(|size| size["queue"].as_str().expect("a name")).collect();
        assert_eq!(queues, ["mails", "monitor-checks", "notifications"]);
        assert!(look.iter().all(|size| size["at"] == look[0]["at"] && size["schema_version"] == 1));
    }
    assert!(looks[0]["at"].as_str() < looks[3]["at"].as_str(), "{lines:?}");

    let (exit, lines) = watch(&installation, &["mails"], 2, Signal::INT);
    assert_eq!(exit, 0);
    for line in lines {
        let (at, rest) = line.split_once('\t').expect("an instant first");
        assert!(at.parse::<jiff::Timestamp>().is_ok(), "{at}");
        let wait = rest.split('\t').nth(5).expect("a wait");
        assert_eq!(rest, format!("mails\t1\t0\t0\t0\t{wait}\t0.0\t0\tidle"));
    }

    let (_, lines) = watch(&installation, &["--json"], 2, Signal::INT);
    for line in lines {
        let look: Value = serde_json::from_str(&line).expect("an object on each line");
        assert_eq!((look["queues"].as_array().map(Vec::len), look["at"].is_string()), (Some(3), true));
    }
}

#[test]
fn who_watches_for_nobody_ends() {
    let installation = Installation::new();
    let (process, mut lines) = installation.start_and_read(&WATCH);
    assert!(lines.next().is_some_and(|line| line.is_ok()));
    drop(lines);
    assert_eq!(process.wait(), 0);
}

//! `uptime queue`: what operators see and do.

use crate::installation::Installation;

/// Puts jobs into the failed list as a worker does.
fn fail_jobs(installation: &Installation, count: usize) {
    installation.database.query(&format!(
        "INSERT INTO failed_jobs (id, queue, subject, payload, attempts, errors, created_at)
         SELECT 1000 + n, 'notifications', n, '{{}}', 3, '[{{\"attempt\": 3, \"at\": \"2026-01-01T00:00:00Z\", \"error\": \"no\"}}]', now()
         FROM generate_series(1, {count}) n"
    ));
}

#[test]
fn a_queue_at_its_limit_is_exit_1() {
    let installation = Installation::new();
    installation
        .database
        .query("INSERT INTO jobs (queue) SELECT 'monitor-checks' FROM generate_series(1, 5)");
    installation.command(["queue", "monitor"]).assert().code(0);
    installation.command(["queue", "monitor", "--max", "5"]).assert().code(1);
    installation.command(["queue", "monitor", "notifications", "--max", "5"]).assert().code(0);
    installation.command(["queue", "monitor", "nonesuch"]).assert().code(2);
    let answer = installation.json(["queue", "monitor", "--max", "5"]);
    assert_eq!(
        answer.to_string(),
        r#"{"queues":[{"delayed":0,"failed":0,"oldest_wait_ms":0,"over_max":true,"per_second":0.0,"queue":"monitor-checks","ready":5,"reserved":0},{"delayed":0,"failed":0,"oldest_wait_ms":null,"over_max":false,"per_second":0.0,"queue":"notifications","ready":0,"reserved":0}],"schema_version":1}"#
            .replace(r#""oldest_wait_ms":0"#, &format!(r#""oldest_wait_ms":{}"#, answer["queues"][0]["oldest_wait_ms"])),
    );
}

#[test]
fn two_operators_who_retry_all_do_each_job_once() {
    let installation = Installation::new();
    fail_jobs(&installation, 200);
    let operators: Vec<_> = (0..2).map(|_| installation.start(["queue", "retry", "all"])).collect();
    for operator in operators {
        assert_eq!(operator.wait(), 0);
    }
    assert_eq!(installation.database.value("SELECT count(*) FROM jobs"), "200");
    assert_eq!(installation.database.value("SELECT count(*) FROM failed_jobs"), "0");
    assert_eq!(installation.database.value("SELECT max(attempts) FROM jobs"), "0");
}

#[test]
fn a_retry_takes_ids_ranges_and_queues_and_says_what_is_missing() {
    let installation = Installation::new();
    fail_jobs(&installation, 5);
    installation.command(["queue", "retry", "1001"]).assert().success().stdout("1001\tput back\n");
    installation.command(["queue", "retry", "--range", "1002-1003"]).assert().success();
    installation.command(["queue", "retry", "all", "--queue", "monitor-checks"]).assert().success();
    assert_eq!(
        installation.database.value("SELECT string_agg(id::text, ',' ORDER BY id) FROM failed_jobs"),
        "1004,1005"
    );
    installation.command(["queue", "retry", "1001"]).assert().code(1);
    installation.command(["queue", "retry", "x"]).assert().code(2);
    installation.command(["queue", "retry", "--range", "3-1"]).assert().code(2);
}

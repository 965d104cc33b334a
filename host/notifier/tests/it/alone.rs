//! Tests that need a process of their own: they look at it as a whole, or are started in an environment that would
//! be the other tests' too.

use std::io::Write;
use std::process::Command;

const CHILD: &str = "UPTIME_TEST_ALONE";

/// Runs the test `name` (as the test binary lists it) again in a process of its own, with `variables`. Gives `true`
/// in that process, which is where the test goes on; `false` in the one that has waited for it.
pub(crate) fn alone(name: &str, variables: &[(&str, &str)]) -> bool {
    if std::env::var_os(CHILD).is_some() {
        return true;
    }
    let output = Command::new(std::env::current_exe().expect("this binary"))
        .args(["--exact", name, "--nocapture", "--test-threads", "1"])
        .env(CHILD, "1")
        .envs(variables.iter().copied())
        .output()
        .expect("this binary runs");
    let [stdout, stderr] =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(output.status.success(), "{name}: {}\n{stdout}\n{stderr}", output.status);
    // A name that is none would be a success too.
    assert!(stdout.contains("1 passed"), "{name}\n{stdout}");
    // What it has measured, beside this test's name.
    let _ = std::io::stderr().write_all(stderr.as_bytes());
    false
}

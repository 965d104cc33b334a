//! Processes on this machine that can be seen by their pid. Whoever starts in the place of a worker that was killed need not
//! wait until its heartbeats are missed: its process is gone, and that is certain.

use std::fs;
use uuid::Uuid;

/// Names the processes that a pid from here is true of: this boot of this kernel, and this namespace of pids. A container
/// with the same host name has another. `None`: unknown.
pub(super) fn process_space() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{} {}", boot.trim(), namespace.display()))
}

/// Those of `neighbours` whose process is gone. A pid that somebody else has by now is taken for alive: the heartbeats decide.
pub(super) fn gone(neighbours: &[(Uuid, u32)]) -> Vec<Uuid> {
    neighbours.iter().filter(|(_, pid)| is_gone(*pid)).map(|(id, _)| *id).collect()
}

#[cfg(unix)]
fn is_gone(pid: u32) -> bool {
    use rustix::io::Errno;
    use rustix::process::{Pid, test_kill_process};
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return false };
    test_kill_process(pid) == Err(Errno::SRCH) || is_zombie(pid.as_raw_nonzero().get())
}

#[cfg(not(unix))]
fn is_gone(_: u32) -> bool {
    false
}

/// Dead, and its parent has not noticed yet. The state stands behind the program's name, which may hold anything.
#[cfg(unix)]
fn is_zombie(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['Z', 'X']))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_process_is_gone_as_soon_as_it_was_killed() {
        let mut child = Command::new("sleep").arg("60").spawn().expect("a process");
        let neighbour = [(Uuid::from_u128(1), child.id())];
        assert!(gone(&neighbour).is_empty());
        child.kill().expect("killed");
        // Its parent has not waited for it: it may take a moment until the kernel has it dead.
        while gone(&neighbour).is_empty() {
            std::thread::yield_now();
        }
        child.wait().expect("waited for");
        assert_eq!(gone(&neighbour), [Uuid::from_u128(1)]);
    }

    #[test]
    fn a_space_is_named() {
        let space = process_space().expect("Linux has one");
        assert!(space.contains(" pid:["), "{space}");
    }
}

//! Root visits a data directory that another user owns, who has laid a trap in it. What root alone may touch stays as it
//! was. Each test needs root; elsewhere it says that it was skipped.

#![expect(clippy::print_stderr, reason = "a skipped test says so")]

mod place;

use place::DataDirectory;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use uptime_postgres::{Lease, PostgresError, Released, ServerState, acquire, create_data_dir, status, stop};

/// The hostile user, who is known on each system and is not the one that root prefers for its servers.
const HOSTILE: &str = "nobody";

/// A user whom no system knows.
const THIRD: u32 = 64_998;

/// A data directory of the hostile user, and a folder of root's that they may not even enter.
struct Trap {
    place: DataDirectory,
    uid: u32,
    gid: u32,
    /// What root's folder had in it at first.
    before: Vec<String>,
}

impl Trap {
    /// `None`: this is not root.
    fn new() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("SKIPPED: only root can be led astray, and this test does not run as root");
            return None;
        }
        let place = DataDirectory::new();
        let (uid, gid) = (id("-u"), id("-g"));
        let mut trap = Self { place, uid, gid, before: Vec::new() };
        fs::create_dir(trap.treasure("")).expect("a folder");
        fs::set_permissions(trap.treasure(""), Permissions::from_mode(0o700)).expect("chmod");
        // A server's log that is too long, a pid file that names a living process, a cluster: what root would touch.
        fs::write(trap.treasure("server.log"), "root's line\n".repeat(500_000)).expect("written");
        for folder in ["run", "cluster"] {
            fs::create_dir(trap.treasure(folder)).expect("a folder");
        }
        for (name, text) in [
            ("server.log.1", "root's"),
            ("pg_hba.conf", "root's"),
            ("start.lock", "root's"),
            ("postmaster.pid", "1\nroot's\n"),
            ("cluster/postmaster.pid", "1\nroot's\n"),
            ("PG_VERSION", "15\n"),
            ("cluster/PG_VERSION", "15\n"),
        ] {
            fs::write(trap.treasure(name), text).expect("written");
        }
        trap.before = trap.listing();
        trap.make(&trap.place.data_dir());
        Some(trap)
    }

    /// With the folder `postgres` in it, as the hostile user's own `uptime` makes it.
    fn with_folder() -> Option<Self> {
        let trap = Self::new()?;
        trap.make(&trap.place.base());
        Some(trap)
    }

    fn treasure(&self, name: &str) -> PathBuf {
        self.place.root().join("treasure").join(name)
    }

    fn give(&self, path: &Path) {
        lchown(path, Some(self.uid), Some(self.gid)).expect("root may give anything away");
    }

    /// A folder of the hostile user's.
    fn make(&self, path: &Path) {
        fs::create_dir(path).expect("a folder");
        self.give(path);
    }

    /// A log of theirs that is long enough to be cut.
    fn fill_log(&self) {
        let log = self.place.base().join("server.log");
        fs::write(&log, "theirs\n".repeat(1 << 20)).expect("written");
        self.give(&log);
    }

    /// A link of the hostile user's to something in root's folder.
    fn link(&self, path: &str, target: &str) {
        let path = self.place.root().join(path);
        let _ = fs::remove_file(&path);
        symlink(self.treasure(target), &path).expect("a link");
        self.give(&path);
    }

    /// All that can be seen of root's folder: names, owners, modes, contents.
    fn listing(&self) -> Vec<String> {
        let mut seen = Vec::new();
        let mut folders = vec![self.treasure("")];
        while let Some(folder) = folders.pop() {
            for path in fs::read_dir(&folder).expect("it is there").flatten().map(|entry| entry.path()) {
                let found = fs::symlink_metadata(&path).expect("it is there");
                let content = fs::read(&path).unwrap_or_default();
                let (length, begin) =
                    (content.len(), String::from_utf8_lossy(&content[..content.len().min(20)]));
                let (path_shown, uid, gid, mode) = (path.display(), found.uid(), found.gid(), found.mode());
                seen.push(format!("{path_shown} {uid}:{gid} {mode:o} {length} {begin}"));
                if found.is_dir() {
                    folders.push(path);
                }
            }
        }
        seen.sort();
        let found = fs::symlink_metadata(self.treasure("")).expect("it is there");
        seen.push(format!("itself {}:{} {:o}", found.uid(), found.gid(), found.mode()));
        seen
    }

    /// Root does whatever it may do with a data directory. What comes of it is not what is asked here.
    fn visit(&self) -> Result<Lease, PostgresError> {
        let _ = status(&self.place.data_dir());
        let mut options = self.place.options();
        options.timeout = std::time::Duration::from_secs(20);
        let visited = acquire(&options, &|_| ());
        let _ = status(&self.place.data_dir());
        visited
    }

    fn is_untouched(&self) {
        assert_eq!(self.listing(), self.before, "root was led into its own folder");
    }

    /// What lies in the data directory is its owner's.
    fn all_is_theirs(&self) {
        let mut folders = vec![self.place.data_dir()];
        while let Some(folder) = folders.pop() {
            for path in fs::read_dir(&folder).expect("it is there").flatten().map(|entry| entry.path()) {
                let found = fs::symlink_metadata(&path).expect("it is there");
                assert_eq!(found.uid(), self.uid, "{}", path.display());
                if found.is_dir() {
                    folders.push(path);
                }
            }
        }
    }
}

fn id(what: &str) -> u32 {
    let output = Command::new("id").args([what, HOSTILE]).output().expect("id runs");
    String::from_utf8_lossy(&output.stdout).trim().parse().expect("there is such a user")
}

#[test]
fn what_root_makes_in_a_users_directory_is_that_users() {
    let Some(trap) = Trap::new() else { return };
    let lease = trap.visit().expect("a lease");
    assert_eq!(place::query(&lease, "SELECT current_user"), "uptime");
    assert_eq!(trap.place.server_uid(), trap.uid, "the server runs as the directory's owner");
    trap.all_is_theirs();
    assert_eq!(lease.release().expect("released"), Released::Stopped);

    // One that root makes below a user's folder is theirs, too.
    let below = trap.place.data_dir().join("one/more");
    create_data_dir(&below).expect("made");
    assert_eq!(fs::metadata(&below).expect("it is there").uid(), trap.uid);
    trap.is_untouched();
}

#[test]
fn a_log_that_is_a_link_is_not_cut() {
    let Some(trap) = Trap::with_folder() else { return };
    trap.link("data/postgres/server.log", "server.log");
    drop(trap.visit());
    trap.is_untouched();
}

#[test]
fn the_end_of_a_log_goes_nowhere_else() {
    let Some(trap) = Trap::with_folder() else { return };
    for target in ["server.log.1", "new"] {
        trap.fill_log();
        trap.link("data/postgres/server.log.1", target);
        if let Ok(lease) = trap.visit() {
            lease.release().expect("released");
        }
        let _ = fs::remove_file(trap.place.base().join("server.log.1"));
    }
    trap.is_untouched();
}

#[test]
fn the_log_that_was_cut_is_its_owners_alone() {
    let place = DataDirectory::new();
    acquire(&place.options(), &|_| ()).expect("a lease").release().expect("released");
    fs::write(place.base().join("server.log"), "line\n".repeat(1 << 20)).expect("written");
    acquire(&place.options(), &|_| ()).expect("a lease").release().expect("released");
    let kept = fs::metadata(place.base().join("server.log.1")).expect("it is there");
    assert_eq!(kept.mode() & 0o777, 0o600);
}

#[test]
fn a_pid_file_or_a_cluster_that_is_a_link_is_not_written_to() {
    let Some(trap) = Trap::with_folder() else { return };
    trap.make(&trap.place.base().join("cluster"));
    fs::write(trap.place.base().join("cluster/PG_VERSION"), "15\n").expect("written");
    trap.give(&trap.place.base().join("cluster/PG_VERSION"));
    trap.link("data/postgres/cluster/postmaster.pid", "postmaster.pid");
    trap.visit().expect_err("that is no server's");
    trap.is_untouched();
    fs::remove_dir_all(trap.place.base().join("cluster")).expect("removed");
    trap.link("data/postgres/cluster", "cluster");
    trap.visit().expect_err("that is no cluster of theirs");
    trap.is_untouched();
}

#[test]
fn access_files_and_the_socket_directory_are_made_nowhere_else() {
    let Some(trap) = Trap::with_folder() else { return };
    trap.link("data/postgres/pg_hba.conf", "pg_hba.conf");
    trap.link("data/postgres/pg_hba.new", "new");
    trap.link("data/postgres/run", "run");
    trap.link("data/postgres/cluster.new.1", "cluster");
    trap.visit().expect_err("that is no socket directory of theirs");
    trap.is_untouched();
    trap.link("data/postgres/start.lock", "start.lock");
    trap.visit().expect_err("that is no lock of theirs");
    trap.is_untouched();
}

#[test]
fn a_folder_or_a_directory_that_is_a_link_is_not_used() {
    let Some(trap) = Trap::new() else { return };
    trap.link("data/postgres", "");
    trap.visit().expect_err("that is no folder of theirs");
    trap.is_untouched();
    fs::remove_dir_all(trap.place.data_dir()).expect("removed");
    trap.link("data", "");
    let error = trap.visit().expect_err("that is no directory of theirs");
    let expected =
        format!("`{}` belongs to `root`, not to `{HOSTILE}`", trap.place.root().join("treasure").display());
    assert_eq!(error.to_string(), expected);
    assert!(error.hint().is_some_and(|hint| hint.contains("sudo -u root uptime")), "{error}");
    create_data_dir(&trap.place.data_dir().join("more")).expect_err("it would be root's");
    stop(&trap.place.data_dir(), true).expect_err("it is not theirs");
    trap.is_untouched();
}

/// Whoever owns a folder on the way may rename what lies below it, whoever that belongs to.
#[test]
fn a_directory_below_another_users_folder_is_refused() {
    let Some(trap) = Trap::new() else { return };
    let below = trap.place.data_dir().join("roots");
    fs::create_dir(&below).expect("a folder");
    let mut options = trap.place.options();
    options.data_dir.clone_from(&below);
    let error = acquire(&options, &|_| ()).expect_err("in two users' hands");
    assert!(error.to_string().contains(&format!("belongs to `root`, not to `{HOSTILE}`")), "{error}");
    assert_eq!(fs::read_dir(&below).expect("it is there").count(), 0);
    // Nor may a third user stand between the directory and its owner's folder.
    chown(&below, Some(THIRD), Some(THIRD)).expect("root may give anything away");
    options.data_dir = below.join("theirs");
    trap.make(&options.data_dir);
    let error = acquire(&options, &|_| ()).expect_err("in two users' hands");
    assert!(error.to_string().contains(&format!("belongs to `{THIRD}`, not to `{HOSTILE}`")), "{error}");

    fs::set_permissions(trap.place.root(), Permissions::from_mode(0o777)).expect("chmod");
    let new = trap.place.root().join("new");
    let error = create_data_dir(&new).expect_err("anybody can be faster");
    assert!(error.to_string().starts_with("anybody can rename"), "{error}");
    assert!(!new.exists(), "it was made all the same");
    let error = acquire(&trap.place.options(), &|_| ()).expect_err("in everybody's hands");
    assert!(error.to_string().starts_with("anybody can rename"), "{error}");
    // Where only the owner of a name can rename it, as in `/tmp`, nobody else's hands matter.
    fs::set_permissions(trap.place.root(), Permissions::from_mode(0o1777)).expect("chmod");
    trap.visit().expect("a lease").release().expect("released");
}

/// A pipe has no end, and nobody may have to wait for one.
#[test]
fn a_pipe_in_place_of_a_file_holds_nobody_up() {
    let Some(trap) = Trap::with_folder() else { return };
    for path in ["cluster/PG_VERSION", "cluster/postmaster.pid", "server.log", "start.lock"] {
        trap.make(&trap.place.base().join("cluster"));
        let pipe = trap.place.base().join(path);
        let _ = fs::remove_file(&pipe);
        assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs").success());
        trap.give(&pipe);
        trap.visit().expect_err("a pipe");
        fs::remove_file(pipe).expect("removed");
        fs::remove_dir_all(trap.place.base().join("cluster")).expect("removed");
    }
}

/// While root looks, the folder is now what it should be and now a link.
#[test]
fn a_race_leads_root_nowhere() {
    let Some(trap) = Trap::with_folder() else { return };
    trap.link("data/link", "");
    trap.fill_log();
    let [folder, link] = ["postgres", "link"].map(|name| trap.place.data_dir().join(name));
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let racing = scope.spawn(|| {
            let mut rounds = 0_u32;
            while !is_over.load(Ordering::Relaxed) {
                renameat_with(CWD, &folder, CWD, &link, RenameFlags::EXCHANGE).expect("swapped");
                rounds += 1;
            }
            rounds
        });
        // No server: what is raced for is what comes before and beside it.
        let mut options = trap.place.options();
        options.search = Some(Vec::new());
        for _ in 0..200 {
            let _ = status(&trap.place.data_dir());
            let _ = acquire(&options, &|_| ()).expect_err("there is no PostgreSQL");
        }
        is_over.store(true, Ordering::Relaxed);
        assert!(racing.join().expect("it swaps") > 200, "nobody raced");
    });
    trap.is_untouched();
}

/// A folder that root has made by hand, say, for an account's cluster.
#[test]
fn roots_own_folder_goes_over_to_the_servers_account() {
    if Trap::new().is_none() {
        return;
    }
    let place = DataDirectory::new();
    let lease = acquire(&place.options(), &|_| ()).expect("a lease");
    let account = place.server_uid();
    chown(place.base(), Some(0), Some(0)).expect("given");
    fs::set_permissions(place.base(), Permissions::from_mode(0o777)).expect("chmod");
    status(&place.data_dir()).expect_err("anybody may have put anything into it");
    fs::set_permissions(place.base(), Permissions::from_mode(0o711)).expect("chmod");
    assert!(matches!(status(&place.data_dir()).expect("a status").server, ServerState::Running { .. }));
    assert_eq!(fs::metadata(place.base()).expect("it is there").uid(), account);
    assert_eq!(lease.release().expect("released"), Released::Stopped);
    assert_eq!(fs::metadata(place.data_dir()).expect("it is there").uid(), 0, "root's own stays root's");
}

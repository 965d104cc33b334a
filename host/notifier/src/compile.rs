//! Compiling a component that nobody vouches for, in a process of its own.
//!
//! How long a compiler runs and how much memory it takes is up to its input: 19 KB took 17 s, and 1.7 MB more than
//! 2.3 GB. So a component that is not part of the program is compiled by a child: this program again, which lowers its
//! own limits on CPU time, memory and output before it reads a byte of the component, and starts with an empty
//! environment. What it may use up is in proportion to the component's size ([`Budget`]). The code comes back in a file
//! that is private to this user; a refusal comes back as a line of stderr.

use crate::sandbox;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use uptime_core::size;

/// Who compiles the components that are not part of the program.
#[derive(Clone, Debug, Default)]
pub enum Compiler {
    /// This process, without a limit: for tests, and where every component is trusted.
    #[default]
    InProcess,
    /// A child whose resources are limited.
    Child {
        /// A program that calls [`compile_as_child`].
        program: PathBuf,
        /// What makes it do so.
        arguments: Vec<OsString>,
    },
}

impl Compiler {
    /// A child that is the running program, called with `arguments`.
    pub fn same_program<A: Into<OsString>>(arguments: impl IntoIterator<Item = A>) -> Self {
        let own = Path::new("/proc/self/exe");
        let program = match std::env::current_exe() {
            // By this name it is found even when a newer release has taken the place of its file.
            _ if own.exists() => own.to_owned(),
            Ok(program) => program,
            // Starting it says what is wrong.
            Err(_) => PathBuf::from("uptime"),
        };
        Self::Child { program, arguments: arguments.into_iter().map(Into::into).collect() }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CompileError {
    /// It can't be compiled, or not within its budget: the same bytes would be refused again.
    Refused(String),
    /// This machine could not compile it now.
    Failed(String),
}

/// What compiling one component may use up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Budget {
    /// Seconds of CPU time, over all threads.
    cpu_s: u64,
    memory: u64,
    /// Bytes of machine code.
    output: u64,
}

impl Budget {
    /// Several times what real plugins need: a plugin with a whole `QuickJS` in it (1.1 MB) took 4.1 s of CPU time and 177 MiB,
    /// one with `CPython` (19 MB) 22 s and 418 MiB.
    fn for_size(bytes: u64) -> Self {
        const MIB: u64 = 1 << 20;
        Self {
            cpu_s: 10 + (10 * bytes).div_ceil(MIB),
            memory: 384 * MIB + 64 * bytes,
            output: 16 * MIB + 16 * bytes,
        }
    }

    /// How long the child may take by the clock, on a machine that has other things to do.
    fn wall_clock(self) -> Duration {
        Duration::from_secs(30 + 10 * self.cpu_s)
    }
}

/// The line before the component: where its code goes, and within which limits.
#[derive(Debug, Serialize, Deserialize)]
struct Order {
    to: PathBuf,
    budget: Budget,
}

/// The longest such line, in bytes.
const ORDER_MOST: u64 = 64 << 10;

/// The child's status for what it refuses.
const REFUSED: u8 = 1;

/// Has `program` compile `component` into the empty file `to`.
pub(crate) async fn by_child(
    program: &Path,
    arguments: &[OsString],
    component: &[u8],
    to: &Path,
) -> Result<(), CompileError> {
    let budget = Budget::for_size(component.len() as u64);
    let failed = |error: &dyn std::fmt::Display| CompileError::Failed(format!("the compiler: {error}"));
    let mut order =
        serde_json::to_vec(&Order { to: to.to_owned(), budget }).map_err(|error| failed(&error))?;
    order.push(b'\n');
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        // The memory that is needed grows with them.
        .env("RAYON_NUM_THREADS", "2")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed(&error))?;
    let stdin = child.stdin.take();
    let work = async {
        if let Some(mut stdin) = stdin {
            // A child that ends early has said why.
            let _ = async {
                stdin.write_all(&order).await?;
                stdin.write_all(component).await?;
                stdin.shutdown().await
            }
            .await;
        }
        child.wait_with_output().await
    };
    let output = match tokio::time::timeout(budget.wall_clock(), work).await {
        Ok(output) => output.map_err(|error| failed(&error))?,
        Err(_) => return Err(failed(&"it did not get its CPU time")),
    };
    let said = String::from_utf8_lossy(&output.stderr);
    judge(output.status, &said, component.len() as u64, budget)
}

fn judge(status: ExitStatus, said: &str, size: u64, budget: Budget) -> Result<(), CompileError> {
    let too_much = |what: String| {
        let size = size::format(size.next_multiple_of(1024));
        Err(CompileError::Refused(format!(
            "compiling it takes more than the {what} that its {size} may take"
        )))
    };
    let memory = || too_much(format!("{} MiB of memory", budget.memory >> 20));
    match (status.code(), signal(status)) {
        (Some(0), _) => Ok(()),
        (Some(code), _) if code == i32::from(REFUSED) => {
            Err(CompileError::Refused(uptime_core::text::printable(said, 500)))
        }
        (_, Some(Ended::Cpu)) => too_much(format!("{} s of CPU time", budget.cpu_s)),
        (_, Some(Ended::Output)) => too_much(format!("{} MiB of machine code", budget.output >> 20)),
        // What Rust says when there is no memory to be had, or none for a thread.
        _ if said.contains("memory allocation of") || said.contains("Cannot allocate memory") => memory(),
        (Some(101), _) | (_, Some(Ended::Crash)) => {
            Err(CompileError::Refused("the compiler crashes at it".into()))
        }
        _ => {
            let said = uptime_core::text::printable(said, 300);
            Err(CompileError::Failed(format!("the compiler ended with {status}: {said}")))
        }
    }
}

/// The signals that say something of the component.
enum Ended {
    Cpu,
    Output,
    Crash,
}

#[cfg(unix)]
fn signal(status: ExitStatus) -> Option<Ended> {
    use rustix::process::Signal;
    use std::os::unix::process::ExitStatusExt;
    let is = |signal: Signal| status.signal() == Some(signal.as_raw());
    if is(Signal::XCPU) {
        Some(Ended::Cpu)
    } else if is(Signal::XFSZ) {
        Some(Ended::Output)
    } else if is(Signal::SEGV) || is(Signal::BUS) || is(Signal::ABORT) || is(Signal::ILL) {
        Some(Ended::Crash)
    } else {
        None
    }
}

#[cfg(not(unix))]
fn signal(_status: ExitStatus) -> Option<Ended> {
    None
}

/// The child's side: takes an order and a component from stdin, and gives the status to end with.
pub fn compile_as_child() -> u8 {
    match compile(&mut io::stdin().lock()) {
        Ok(()) => 0,
        Err(reason) => {
            // Who started it reads this; where nobody does, the status says enough.
            let _ = writeln!(io::stderr(), "{reason}");
            REFUSED
        }
    }
}

fn compile(input: &mut dyn BufRead) -> Result<(), String> {
    let mut line = Vec::new();
    let read = Read::take(&mut *input, ORDER_MOST).read_until(b'\n', &mut line);
    let order = read.ok().and_then(|_| serde_json::from_slice::<Order>(&line).ok());
    let Some(Order { to, budget }) = order else {
        return Err("this command is for `uptime` itself, which compiles plugins with it".into());
    };
    lower_limits(budget).map_err(|error| format!("the limits can't be set: {error}"))?;
    let mut component = Vec::new();
    input.read_to_end(&mut component).map_err(|error| format!("it can't be read: {error}"))?;
    let compiled = sandbox::engine().and_then(|engine| engine.precompile_component(&component));
    let code = compiled.map_err(|error| sandbox::one_line(&error))?;
    // It is there, and this user's alone.
    let written = File::options().write(true).open(&to).and_then(|mut file| file.write_all(&code));
    written.map_err(|error| format!("its code can't be written: {error}"))
}

#[cfg(unix)]
fn lower_limits(budget: Budget) -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let lower = |resource, most: u64, hard: u64| {
        let before = getrlimit(resource).maximum;
        let least = |most: u64| Some(before.map_or(most, |before| before.min(most)));
        setrlimit(resource, Rlimit { current: least(most), maximum: least(hard) })
    };
    // The first second over it ends in SIGXCPU, which tells it apart from being killed.
    lower(Resource::Cpu, budget.cpu_s, budget.cpu_s + 1)?;
    // What is written to; reserved addresses, of which an allocator has many, do not count.
    lower(Resource::Data, budget.memory, budget.memory)?;
    lower(Resource::Fsize, budget.output, budget.output)?;
    lower(Resource::Core, 0, 0)?;
    // Checks come first. Where it is forbidden they have to share.
    let _ = rustix::process::nice(5);
    Ok(())
}

/// Time alone is limited here.
#[cfg(not(unix))]
fn lower_limits(_budget: Budget) -> io::Result<()> {
    Ok(())
}

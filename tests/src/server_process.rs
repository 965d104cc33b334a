//! A server in a process of its own, so that its CPU is not the benchmark's: the same program with other arguments.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdout, Command, Stdio};

/// The server as the benchmark sees it. It ends when this is dropped, or when the benchmark dies.
pub struct ServerProcess {
    child: Child,
    stdout: BufReader<ChildStdout>,
    address: String,
}

impl ServerProcess {
    /// Starts this program with arguments that make it call [`serve_until_released`]. Returns when it serves.
    pub fn start(arguments: &[&str]) -> Self {
        let program = std::env::current_exe().expect("a program knows its file");
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("a program that runs can be started");
        let mut stdout = BufReader::new(child.stdout.take().expect("because it is piped"));
        let mut address = String::new();
        stdout.read_line(&mut address).expect("a server prints its address");
        Self { child, stdout, address: address.trim_end().to_owned() }
    }

    /// What the server printed first: where it serves.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Stops the server and returns its report.
    pub fn finish(mut self) -> String {
        drop(self.child.stdin.take());
        let mut report = String::new();
        self.stdout.read_to_string(&mut report).expect("a server prints its report");
        report
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// The server's side: prints `address`, blocks until the benchmark lets go, and prints the report.
pub fn serve_until_released(address: &str, report: impl FnOnce() -> String) {
    let print = |text: &str| writeln!(io::stdout(), "{text}").expect("the benchmark reads");
    print(address);
    // The pipe is closed when the benchmark lets go, and when it dies.
    let _ = io::copy(&mut io::stdin(), &mut io::sink());
    print(&report());
}

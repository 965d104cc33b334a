//! The binary `uptime`: parse, run, exit code.

mod args;
mod commands;
mod confirm;
mod database;
mod descriptors;
mod diagnostic;
mod env;
mod exit;
mod file;
mod listen;
mod log;
mod metrics;
mod output;
mod plugins;
mod settings;
mod signals;
mod watchdog;
mod who;

use clap::Parser as _;
use exit::Exit;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

/// How long blocking calls (a name that nobody resolves) may hold up the exit.
const LEFTOVERS: Duration = Duration::from_millis(100);

fn main() -> ExitCode {
    let args = match args::Args::try_parse() {
        Ok(args) => args,
        Err(error) => return refuse(&error),
    };
    let printer = output::Printer::new(&args.global);
    if let Err(error) = log::init(&args.global, args.command.default_log()) {
        printer.error(&error);
        return error.exit.into();
    }
    // A process has one provider; that it is set already can't be.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            printer.error(&exit::CommandError::new(Exit::TryAgain, format!("no threads to be had: {error}")));
            return Exit::TryAgain.into();
        }
    };
    let ended = runtime.block_on(commands::run(args, &printer));
    let ended = ended.and_then(|exit| printer.finish().map(|()| exit));
    let exit = ended.unwrap_or_else(|error| {
        printer.error(&error);
        error.exit
    });
    runtime.shutdown_timeout(LEFTOVERS);
    exit.into()
}

/// What clap says: help and versions, and command lines that are none. As a Nagios plugin the latter are `UNKNOWN`: there
/// the usual 2 would wake somebody.
fn refuse(error: &clap::Error) -> ExitCode {
    let as_plugin = error.use_stderr() && std::env::args_os().any(|arg| arg == "--nagios");
    if as_plugin {
        let text = error.to_string();
        // What is missing stands on lines of its own, before the blank one.
        let why = text.lines().take_while(|line| !line.trim().is_empty()).map(str::trim);
        let why = why.collect::<Vec<_>>().join(" ");
        let why = why.trim_start_matches("error: ").replace('|', "¦");
        let _ = writeln!(std::io::stdout(), "UPTIME UNKNOWN - {why}");
    }
    let _ = error.print();
    if as_plugin {
        return Exit::Unknown.into();
    }
    u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from)
}

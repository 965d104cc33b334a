//! The binary `uptime`: parse, run, exit code.

mod args;
mod commands;
mod config;
mod confirm;
mod diagnostic;
mod env;
mod exit;
mod log;
mod output;
mod prelude;
mod runtime;
mod usage;
mod who;

use exit::Exit;
use std::process::ExitCode;
use std::time::Duration;

/// How long blocking calls (a name that nobody resolves) may hold up the exit.
const LEFTOVERS: Duration = Duration::from_millis(100);

/// The first argument with which [`config::file::host_options`] starts this program again, to compile a plugin. No
/// command of a person's, and before anything that takes memory or threads: the child's limits count them.
const COMPILE_PLUGIN: &str = "compile-plugin";

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|argument| argument == COMPILE_PLUGIN) {
        return uptime_notifier::compile_as_child().into();
    }
    let args = match usage::parse() {
        Ok(args) => args,
        Err(code) => return code,
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

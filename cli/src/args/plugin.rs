//! `uptime plugin …`.

mod authors;

pub use authors::{BuildArgs, Language, NewArgs, TestArgs};

use clap::{Args, Subcommand};
use std::path::PathBuf;
use uptime_core::grant::HostGrant;
use uptime_core::notifier::Limit;

#[derive(Debug, Subcommand)]
pub enum PluginCommand {
    /// Every plugin: built in, added, and of the file
    List,
    /// All there is to know of a plugin, or of a component that is none yet
    #[command(override_usage = "uptime plugin inspect [OPTIONS] <NAME|FILE>")]
    Inspect {
        /// A plugin's name, or a component's file (with a `/` or a `.` in it)
        #[arg(value_name = "NAME|FILE")]
        plugin: String,
    },
    /// Add a plugin, and trust it as it is now
    #[command(
        override_usage = "uptime plugin add [OPTIONS] <FILE>",
        after_help = "A plugin gets no host for its asking: each is granted by `--allow`, or by a channel's `allow`. One that is \
                      added again keeps what it was granted, unless `--anew` is there.\n\n\
                      Examples:\n  \
                      uptime plugin add hello.wasm --allow https://api.example.com\n  \
                      uptime plugin add build/hello.wasm --name hello-test --allow http://127.0.0.1:9000 --limit memory='64 MiB'"
    )]
    Add(AddArgs),
    /// Trust an added plugin whose component has changed, or grant it more
    #[command(
        override_usage = "uptime plugin trust [OPTIONS] <NAME>",
        after_help = "Examples:\n  \
                      uptime plugin trust hello\n  \
                      uptime plugin trust hello --allow https://api.example.com --limit cpu=2s"
    )]
    Trust(TrustArgs),
    /// Take an added plugin away
    #[command(override_usage = "uptime plugin remove [OPTIONS] <NAME>")]
    Remove(RemoveArgs),
    /// Begin a plugin: a folder that builds, tests and sends at once
    #[command(override_usage = "uptime plugin new [OPTIONS] <NAME>")]
    New(NewArgs),
    /// Make a component of a plugin's folder
    Build(BuildArgs),
    /// Rehearse a component: what it says of itself, what it would send, what it makes of each kind of answer
    ///
    /// It runs in the real sandbox, and a script speaks for the provider: nothing is sent. The requests for each type of
    /// event are held against the files in `golden/` beside the component. `plugin-test.toml` beside it says which made-up
    /// settings to use and how the provider accepts a message. Exit 1 when something differs.
    #[command(override_usage = "uptime plugin test [OPTIONS] <FILE>")]
    Test(TestArgs),
}

#[derive(Debug, Args)]
pub struct AddArgs {
    /// The component
    pub file: PathBuf,
    /// What it goes by [default: what it calls itself]
    #[arg(long)]
    pub name: Option<String>,
    #[command(flatten)]
    pub grants: GrantArgs,
    /// Do not ask before replacing another
    #[arg(long)]
    pub yes: bool,
}

#[derive(Debug, Args)]
pub struct TrustArgs {
    /// The plugin
    pub name: String,
    #[command(flatten)]
    pub grants: GrantArgs,
    /// Do not ask before trusting what has changed
    #[arg(long)]
    pub yes: bool,
}

/// What an operator grants.
#[derive(Debug, Args)]
pub struct GrantArgs {
    /// Where it may send requests, too: `scheme://host[:port]`, plain HTTP and private addresses if you say so
    #[arg(long, value_name = "ORIGIN", value_parser = grant)]
    pub allow: Vec<HostGrant>,
    /// Forget what was granted before; only what is said now holds
    #[arg(long)]
    pub anew: bool,
    /// What one call of it may use up: `memory='64 MiB'`, `cpu=2s`, `requests=20` and the like
    #[arg(long = "limit", value_name = "KEY=VALUE", value_parser = limit)]
    pub limits: Vec<(Limit, u64)>,
}

#[derive(Debug, Args)]
pub struct RemoveArgs {
    /// The plugin
    pub name: String,
    /// Even while a channel of the file uses it
    #[arg(long)]
    pub force: bool,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
}

fn grant(text: &str) -> Result<HostGrant, String> {
    let grant: HostGrant = text.parse()?;
    match grant.never_opens() {
        Some(class) => Err(format!("a {class} address is never open to a plugin")),
        None => Ok(grant),
    }
}

fn limit(text: &str) -> Result<(Limit, u64), String> {
    let (key, value) = text.split_once('=').ok_or("write `KEY=VALUE`, such as `cpu=2s`")?;
    let limit: Limit = key.trim().parse()?;
    Ok((limit, limit.parse(value)?))
}

//! `uptime plugin …`.

mod authors;

pub use authors::{BuildArgs, Language, NewArgs, TestArgs};

use clap::{Args, Subcommand};
use std::path::PathBuf;
use uptime_core::grant::HostGrant;
use uptime_core::notifier::Limit;

#[derive(Debug, Subcommand)]
pub enum PluginCommand {
    /// List all plugins: built in, added, and named in the file
    List,
    /// Print all details of a plugin or of a component file
    Inspect {
        /// A plugin's name, or a component's file (with a `/` or a `.` in it)
        #[arg(value_name = "NAME|FILE")]
        plugin: String,
    },
    /// Add a plugin and trust its current component
    #[command(
        after_help = "A plugin gets no host for its asking: each is granted by `--allow`, or by a channel's `allow`. One that is \
                      added again keeps what it was granted, unless `--anew` is there."
    )]
    Add(AddArgs),
    /// Trust a changed component of an added plugin, or extend its grants
    Trust(TrustArgs),
    /// Remove an added plugin
    Remove(RemoveArgs),
    /// Create a plugin project that builds and passes its tests
    New(NewArgs),
    /// Build a component from a plugin project
    Build(BuildArgs),
    /// Test a component: its description, its requests for each event, its handling of each answer
    ///
    /// It runs in the real sandbox, and a script speaks for the provider: nothing is sent. The requests for each type of
    /// event are held against the files in `golden/` beside the component. `plugin-test.toml` beside it says which made-up
    /// settings to use and how the provider accepts a message. Exit 1 when something differs.
    Test(TestArgs),
}

#[derive(Debug, Args)]
pub struct AddArgs {
    /// Component file
    pub file: PathBuf,
    /// Name of the plugin [default: the name in its description]
    #[arg(long)]
    pub name: Option<String>,
    #[command(flatten)]
    pub grants: GrantArgs,
    /// Do not ask before replacing a plugin
    #[arg(long)]
    pub yes: bool,
}

#[derive(Debug, Args)]
pub struct TrustArgs {
    /// Name of the plugin
    pub name: String,
    #[command(flatten)]
    pub grants: GrantArgs,
    /// Do not ask before trusting a changed component
    #[arg(long)]
    pub yes: bool,
}

#[derive(Debug, Args)]
pub struct GrantArgs {
    /// Origin it may send requests to, `scheme://host[:port]`; plain HTTP and private addresses only if named
    #[arg(long, value_name = "ORIGIN", value_parser = grant)]
    pub allow: Vec<HostGrant>,
    /// Replace all earlier grants
    #[arg(long)]
    pub anew: bool,
    /// Limit for one call: `memory='64 MiB'`, `cpu=2s`, `requests=20` and the like
    #[arg(long = "limit", value_name = "KEY=VALUE", value_parser = limit)]
    pub limits: Vec<(Limit, u64)>,
}

#[derive(Debug, Args)]
pub struct RemoveArgs {
    /// Name of the plugin
    pub name: String,
    /// Remove it even while a channel of the file uses it
    #[arg(long)]
    pub force: bool,
    /// Do not ask for confirmation
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

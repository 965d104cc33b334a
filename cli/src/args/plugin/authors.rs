//! What those commands take that are for people who write plugins.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct NewArgs {
    /// Name of the plugin, as in a channel's `notifier = "NAME"`: lower-case letters, digits and `-`
    pub name: String,
    /// Language of the plugin
    #[arg(long, value_enum, default_value_t = Language::Rust)]
    pub lang: Language,
    /// Directory to create [default: ./NAME]
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Language {
    Rust,
    Js,
    Python,
}

#[derive(Debug, Args)]
pub struct BuildArgs {
    /// Directory of the plugin: has a Cargo.toml, a package.json or a requirements.txt
    #[arg(value_name = "DIR", default_value = ".")]
    pub dir: PathBuf,
}

#[derive(Debug, Args)]
pub struct TestArgs {
    /// Component file, written by `uptime plugin build`
    pub file: PathBuf,
    /// Directory of the expected requests [default: `golden` beside FILE]
    #[arg(long, value_name = "DIR")]
    pub golden: Option<PathBuf>,
    /// Write the expected requests again; read them before you commit them
    #[arg(long)]
    pub update: bool,
    /// List every answer, also those that do not differ
    #[arg(long)]
    pub verbose: bool,
}

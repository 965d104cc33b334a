//! What those commands take that are for people who write plugins.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct NewArgs {
    /// Its name, as in a channel's `notifier = "NAME"`: lower-case letters, digits and `-`
    pub name: String,
    /// What it is written in
    #[arg(long, value_enum, default_value_t = Language::Rust)]
    pub lang: Language,
    /// Where to [default: ./NAME]
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
    /// The plugin's folder: with a Cargo.toml, a package.json or a requirements.txt
    #[arg(value_name = "DIR", default_value = ".")]
    pub dir: PathBuf,
}

#[derive(Debug, Args)]
pub struct TestArgs {
    /// The component, as `uptime plugin build` writes it
    pub file: PathBuf,
    /// Where the expected requests are [default: `golden` beside FILE]
    #[arg(long, value_name = "DIR")]
    pub golden: Option<PathBuf>,
    /// Write the expected requests anew; read them before you commit them
    #[arg(long)]
    pub update: bool,
    /// List each answer, not only those that differ
    #[arg(long)]
    pub verbose: bool,
}

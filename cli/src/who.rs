//! Who sits at the terminal: the name under which what people do is kept and told.

use crate::args;
use crate::env;
use crate::prelude::*;

/// The name that was given, else the environment's: whoever became root is still who they are.
pub fn who(by: Option<String>) -> Result<String> {
    let known = || env::WHO.iter().find_map(|name| args::name(&std::env::var(name).ok()?).ok());
    by.or_else(known).ok_or_else(|| {
        usage_error(format!("none of {} names you", env::WHO.join(", "))).hint("add `--by NAME`")
    })
}

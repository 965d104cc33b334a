//! Before something is destroyed: ask on a terminal, need `--yes` elsewhere. Nothing ever waits in cron.

use crate::exit::{CommandError, Exit};
use std::io::{BufRead, IsTerminal, Write};

/// Whether `what` may be done.
pub fn confirm(what: &str, yes: bool) -> Result<(), CommandError> {
    if yes {
        return Ok(());
    }
    if !(std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
        return Err(CommandError::new(Exit::Usage, format!("{what}, and nobody is there to be asked"))
            .hint("add `--yes`"));
    }
    let mut stderr = anstream::stderr();
    write!(stderr, "{what}. Go on? [y/N] ")?;
    stderr.flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    Err(CommandError::new(Exit::No, "nothing was changed"))
}

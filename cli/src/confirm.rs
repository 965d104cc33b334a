//! Before something is destroyed: ask on a terminal, need `--yes` elsewhere. Nothing ever waits in cron.

use crate::exit::{CommandError, Exit};
use crate::output::{say, stderr_is_terminal};
use std::io::{BufRead, IsTerminal};

pub fn confirm(what: &str, yes: bool) -> Result<(), CommandError> {
    if yes {
        return Ok(());
    }
    if !(std::io::stdin().is_terminal() && stderr_is_terminal()) {
        return Err(CommandError::new(Exit::Usage, format!("{what}, and nobody is there to be asked"))
            .hint("add `--yes`"));
    }
    say(&format!("{what}. Go on? [y/N] "))?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    Err(CommandError::new(Exit::No, "nothing was changed"))
}

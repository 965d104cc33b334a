//! Before something is destroyed: ask on a terminal, need `--yes` elsewhere. Nothing ever waits in cron.

use crate::exit::{Result, answer_no, usage_error};
use crate::output::{say, stderr_is_terminal};
use std::io::{BufRead, IsTerminal};

pub fn confirm(what: &str, yes: bool) -> Result<()> {
    if yes {
        return Ok(());
    }
    if !(std::io::stdin().is_terminal() && stderr_is_terminal()) {
        return Err(usage_error(format!("{what}; there is no terminal to confirm it")).hint("add `--yes`"));
    }
    say(&format!("{what}. Go on? [y/N] "))?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    Err(answer_no("nothing was changed"))
}

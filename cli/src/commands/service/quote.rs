//! How a word is written so that supervisor, systemd, cron and Windows read it as it is.
//!
//! Pure, and for texts without control characters, which [`Installation`](super::installation::Installation) refuses.

/// A word for a POSIX shell.
pub fn shell(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=@,+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// A command line for a POSIX shell.
pub fn shell_line(words: &[String]) -> String {
    words.iter().map(|word| shell(word)).collect::<Vec<_>>().join(" ")
}

/// A command line for supervisor, which splits it as a shell does, after it has replaced `%(name)s`. What follows a blank
/// and `;` or `#` is a comment to it, in quotes too, so an empty pair of quotes goes between the two.
pub fn supervisor_command(words: &[String]) -> String {
    let mut line = String::new();
    for c in supervisor_value(&shell_line(words)).chars() {
        if matches!(c, ';' | '#') && line.ends_with(char::is_whitespace) {
            line.push_str("''");
        }
        line.push(c);
    }
    line
}

pub fn supervisor_value(value: &str) -> String {
    value.replace('%', "%%")
}

/// A word of a systemd list.
pub fn systemd(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=@,+".contains(c);
    let word = systemd_value(word);
    if word.chars().all(|c| plain(c) || c == '%') {
        return word;
    }
    format!("\"{}\"", word.replace('\\', r"\\").replace('"', "\\\""))
}

/// A value that systemd takes to the end of the line.
pub fn systemd_value(value: &str) -> String {
    value.replace('%', "%%")
}

/// A command line for systemd. In the program's path it replaces no variables.
pub fn systemd_command(words: &[String]) -> String {
    let word =
        |(at, word): (usize, &String)| systemd(&if at == 0 { word.clone() } else { word.replace('$', "$$") });
    words.iter().enumerate().map(word).collect::<Vec<_>>().join(" ")
}

/// A shell's line for a crontab: `%` would end it. cron takes the backslash away, unless another stands before it.
pub fn cron(line: &str) -> String {
    line.replace(r"\%", r"\''%").replace('%', r"\%")
}

/// An argument for a Windows program, in a batch file.
pub fn windows(argument: &str) -> String {
    format!("\"{}\"", argument.replace('%', "%%"))
}

/// A word among the parameters that NSSM is to start a program with. It joins what it is given, so a word in quotes has to
/// have its quotes in quotes.
pub fn nssm_parameter(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.:\\".contains(c);
    if word.chars().all(plain) { word.to_owned() } else { format!("\"\"\"{word}\"\"\"") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_plain_word_stays_plain() {
        for quote in [shell, systemd] {
            assert_eq!(quote("/usr/bin/uptime"), "/usr/bin/uptime");
            assert_eq!(quote("--every"), "--every");
        }
        assert_eq!(shell(""), "''");
    }

    #[test]
    fn a_shell_reads_the_word() {
        assert_eq!(shell("it's $HOME"), r"'it'\''s $HOME'");
    }

    #[test]
    fn supervisor_sees_no_comment_and_no_name() {
        let line = supervisor_command(&words(&["/a ;b/100%", "x #y"]));
        assert_eq!(line, "'/a '';b/100%%' 'x ''#y'");
    }

    #[test]
    fn systemd_expands_nothing() {
        let line = systemd_command(&words(&["/a $b/uptime", "100%", "$HOME", r#"a"b\c"#]));
        assert_eq!(line, r#""/a $b/uptime" 100%% "$$HOME" "a\"b\\c""#);
    }

    #[test]
    fn cron_keeps_the_line_in_one() {
        assert_eq!(cron("x 100%"), r"x 100\%");
        assert_eq!(cron(r"'a\%b'"), r"'a\''\%b'");
    }

    #[test]
    fn nssm_keeps_a_path_in_one() {
        assert_eq!(nssm_parameter(r"C:\Program Files\a"), r#""""C:\Program Files\a""""#);
        assert_eq!(nssm_parameter("schedule"), "schedule");
    }
}

//! `[secrets]`: what the rows of the database may refer to on this host, beyond what stands in the file itself.

use super::Config;
use super::kinds::{List, ValueError};
use super::monitors::path;
use super::parsed::Parsed;
use super::references::is_variable;
use super::table::{Table, keys};
use crate::channel::{Setting, Settings};
use crate::secret::SecretRef;
use crate::secret::access::Access;
use std::collections::HashSet;
use std::path::PathBuf;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecretsSection {
    pub allow_env: Vec<String>,
    /// Folders, and files by themselves.
    pub allow_files: Vec<PathBuf>,
}

pub(super) fn read(root: &mut Table<'_, '_>) -> SecretsSection {
    let variables = List { of: VARIABLE, count: 0..=1_000, or_one: false };
    let paths = List { of: PATH, count: 0..=1_000, or_one: false };
    root.table("secrets", |table| {
        keys! { table:
            /// Environment variables of this host that channels and monitors in the database may refer to. Variables
            /// that this file names need no entry.
            let allow_env = optional("those that stand in this file", &variables).unwrap_or_default();
            /// Folders and files of this host that channels and monitors in the database may refer to. Files that
            /// this file names need no entry.
            let allow_files = optional("files that stand in this file", &paths).unwrap_or_default();
        }
        SecretsSection { allow_env, allow_files }
    })
}

impl Config {
    /// The values of channels and monitors that may live elsewhere.
    pub fn references(&self) -> impl Iterator<Item = &SecretRef> {
        let of_channels =
            self.channels.iter().flat_map(|channel| references(&channel.settings).chain(&channel.proxy));
        let of_monitors = self.monitors.iter().flat_map(|monitor| monitor.check.references());
        of_channels.chain(of_monitors.map(|(_, reference)| reference))
    }

    /// What rows of the database may refer to on a host whose configuration file is this one, read from `path`. The
    /// database's own URL is no channel's business.
    pub fn access(&self, path: PathBuf) -> Access {
        let mut standing: HashSet<SecretRef> = self.references().cloned().collect();
        for tls in self.monitors.iter().filter_map(|monitor| monitor.check.tls()) {
            let files = tls.ca.iter().chain(tls.client.as_ref().map(|client| &client.certificate));
            standing.extend(files.map(|file| SecretRef::File { file: file.clone() }));
        }
        Access::from_file(path, standing, &self.secrets.allow_env, &self.secrets.allow_files)
    }
}

/// The texts of a channel's settings, each of which may live elsewhere.
pub fn references(settings: &Settings) -> impl Iterator<Item = &SecretRef> {
    settings.values().flat_map(|setting| match setting {
        Setting::Text(text) => vec![text],
        Setting::List(list) => list.iter().collect(),
        Setting::Map(map) => map.values().collect(),
        Setting::Boolean(_) | Setting::Integer(_) => Vec::new(),
    })
}

const PATH: Parsed<PathBuf> = path("an absolute path such as `/run/secrets`", "\"/run/secrets\"");

/// Somebody may have written the value where its name belongs: it is not shown.
const VARIABLE: Parsed<String> = Parsed::new(
    "VARIABLE",
    "the name of an environment variable such as `TELEGRAM_BOT_TOKEN`",
    "\"TELEGRAM_BOT_TOKEN\"",
    |name, _, _| if is_variable(name) { Ok(name.to_owned()) } else { Err(ValueError::Form(None)) },
)
.hidden();

#[cfg(test)]
mod tests {
    use crate::config::tests::description;
    use crate::config::{Level, read};
    use crate::notifier::{Description, FieldKind};
    use std::path::Path;

    fn webhook() -> Description {
        let fields = [
            ("url", FieldKind::Url, false),
            ("headers", FieldKind::Map, false),
            ("secret", FieldKind::Secret, false),
            ("body", FieldKind::Text, false),
        ];
        description("webhook", &fields)
    }

    #[test]
    fn what_stands_in_the_file_is_allowed_and_what_it_lists() {
        let text = r#"
            [database]
            url = { env = "DATABASE" }
            [secrets]
            allow_env = ["LISTED"]
            allow_files = ["/run/secrets"]
            [channels.ops]
            notifier = "webhook"
            url = { env = "A" }
            secret = [{ env = "B" }, { file = "/b" }]
            headers = { X-C = { file = "/c" } }
            body = { file = "/d" }
            proxy = { env = "E" }
            [monitors.web]
            type = "http"
            url = "https://example.com/"
            headers = { X-F = { env = "F" } }
            auth = { user = "u", password = { file = "/g" } }
            proxy = { env = "H" }
            ca = "/ca"
            client_certificate = "/certificate"
            client_key = { file = "/key" }
            [monitors.raw]
            type = "tcp"
            host = "example.com"
            port = 1
            send = { env = "I" }
        "#;
        let reading = read(text, &[webhook()]);
        let config = reading.config.unwrap_or_else(|| panic!("{:?}", reading.diagnostics));
        let access = config.access("/etc/uptime/uptime.toml".into());
        for name in ["LISTED", "A", "B", "E", "F", "H", "I"] {
            assert_eq!(access.variable(name), Ok(()), "{name}");
        }
        for file in ["/b", "/c", "/d", "/g", "/ca", "/certificate", "/key", "/run/secrets/x"] {
            assert_eq!(access.file(Path::new(file)), Ok(()), "{file}");
        }
        assert!(access.variable("DATABASE").is_err(), "no channel needs the database's password");
        assert!(access.variable("OTHER").is_err() && access.file(Path::new("/other")).is_err());
    }

    /// The key and the value of each text that a table can have.
    const TEXTS: &[(&str, &str)] = &[
        (HOOK, "url = \"https://example.com/@\""),
        (HOOK, "body = \"@\""),
        (HOOK, "secret = [\"a\", \"@\"]"),
        (HOOK, "headers = { X-A = \"@\" }"),
        (HOOK, "headers = { X-A = { file = \"/@\" } }"),
        (HOOK, "groups = [\"@\"]"),
        (HOOK, "tags = { a = \"@\" }"),
        (PORT, "send = \"@\""),
        (PORT, "expect = \"@\""),
        (PORT, "expect = { matches = \"@\" }"),
        (WEB, "body = \"@\""),
        (WEB, "group = \"@\""),
        (WEB, "auth = { user = \"@\", password = \"p\" }"),
        (WEB, "expect = { body_contains = [\"@\"] }"),
        ("[maintenance.w]", "groups = [\"@\"]\nhours = \"02:00-03:00\""),
    ];

    const HOOK: &str = "[channels.c]\nnotifier = \"webhook\"";
    const PORT: &str = "[monitors.m]\ntype = \"tcp\"\nhost = \"h\"\nport = 1";
    const WEB: &str = "[monitors.m]\ntype = \"http\"\nurl = \"https://example.com/\"";

    #[test]
    fn no_text_has_a_nul_in_it() {
        for (table, lines) in TEXTS {
            let with = |text: &str| read(&format!("{table}\n{}\n", lines.replace('@', text)), &[webhook()]);
            let reading = with("\\u0000");
            assert!(reading.config.is_none(), "{lines}");
            let errors = reading.diagnostics.iter().filter(|found| found.level == Level::Error);
            let nul: Vec<_> = errors.filter(|found| found.message.contains("a NUL character")).collect();
            assert_eq!(nul.len(), 1, "{lines}: {:?}", reading.diagnostics);
            assert!(nul[0].hint.is_some());
        }
    }

    #[test]
    fn a_place_that_nothing_fills_in_is_said_once() {
        for (table, lines) in TEXTS {
            let reading = read(&format!("{table}\n{}\n", lines.replace('@', "${SHOP_NAME}")), &[webhook()]);
            let said = reading.diagnostics.iter().filter(|found| found.message.contains("not filled in"));
            // A file's path is looked for where it is needed, and a pattern has braces of its own.
            let expected = usize::from(!lines.contains("file = ") && !lines.contains("matches"));
            assert_eq!(said.count(), expected, "{lines}: {:?}", reading.diagnostics);
        }
        for (text, shown) in [
            ("$SHOP_NAME", "`$SHOP_NAME`"),
            ("a $SHOP", "`$SHOP`"),
            ("/a/$ID", ""),
            ("a$SHOP, $5, $Shop", ""),
            ("/a?key=$API_KEY", "`$API_KEY`"),
        ] {
            let lines = format!("type = \"http\"\nurl = \"https://example.com/\"\nbody = \"{text}\"\n");
            let of_body = read(&format!("[monitors.m]\nmethod = \"POST\"\n{lines}"), &[]).diagnostics;
            let of_name =
                read(&format!("[monitors.\"{text}\"]\n{lines}").replace("body", "group"), &[]).diagnostics;
            for (found, count) in [(of_body, 1), (of_name, 2)] {
                let said = found.iter().filter(|found| found.message.contains("not filled in"));
                let said: Vec<&str> = said.map(|found| found.message.as_str()).collect();
                assert_eq!(said.len(), if shown.is_empty() { 0 } else { count }, "{text}: {said:?}");
                assert!(said.iter().all(|said| said.contains(shown)), "{text}: {said:?}");
            }
        }
        for host in ["${HOST}", "a.$DOMAIN", "{{ host }}", "$(HOST)"] {
            for lines in [
                format!("type = \"http\"\nurl = \"https://{host}/health\""),
                format!("type = \"tcp\"\nhost = \"{host}\"\nport = 1"),
            ] {
                let reading = read(&format!("[monitors.m]\n{lines}\n"), &[webhook()]);
                assert!(reading.config.is_none(), "{lines}");
            }
        }
    }
}

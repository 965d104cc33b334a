//! What the server's refusals mean: one table from its codes (`SQLSTATE`) to what may be done, in words for the person who has
//! to do it. A code that is not here is none that a statement of ours should bring about: that is a bug.

use uptime_core::ErrorClass::{self, Bug, Config, Transient};

/// What is asked for where nobody but us can help.
pub(crate) const BUG: &str = "this is a bug in `uptime`: please report it with this message";

#[derive(Debug)]
pub struct ServerRefusal {
    /// A code, or what several begin with.
    codes: &'static [&'static str],
    pub(crate) class: ErrorClass,
    /// What follows for the session and for those who wait.
    pub(crate) effect: Effect,
    /// What is wrong, as the beginning of a line that the server's own words end.
    pub(crate) words: &'static str,
    pub(crate) hint: &'static str,
}

/// What follows from a refusal, beyond its class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    None,
    /// The session is of no more use, nor are those that are as old: another one may lead to another server, or know the new
    /// schema.
    SpoilsSessions,
    /// It stays so until a person mends it.
    NeedsOperator,
}

use Effect::{NeedsOperator, None as Nothing, SpoilsSessions};

const fn row(
    codes: &'static [&'static str],
    class: ErrorClass,
    effect: Effect,
    words: &'static str,
    hint: &'static str,
) -> ServerRefusal {
    ServerRefusal { codes, class, effect, words, hint }
}

/// The function of the server that finds a prepared statement's columns changed. Its code, "feature not supported", has many
/// meanings.
const CHANGED_COLUMNS: &str = "RevalidateCachedQuery";

static OTHER: ServerRefusal = row(&[], Bug, Nothing, "the database refused a statement", BUG);

static CHANGED: ServerRefusal = row(
    &["0A000"],
    Transient,
    SpoilsSessions,
    "the database's schema was changed meanwhile",
    "try again; processes that run on do so by themselves",
);

/// The longest code that fits decides.
#[rustfmt::skip]
static TABLE: &[ServerRefusal] = &[
    // ── it can't just now ────────────────────────────────────────────────────────────────────────────────
    row(&["53100"], Transient, NeedsOperator, "the database's disk is full",
        "free space on the disk of the database's server: its data directory, `pg_wal` and temporary files; replication slots \
         that nobody reads keep `pg_wal` (`SELECT * FROM pg_replication_slots`)"),
    row(&["53200"], Transient, NeedsOperator, "the database's server is out of memory",
        "give its machine more memory, or lower `work_mem`, `shared_buffers` or `max_connections`; its log tells more"),
    row(&["53300"], Transient, Nothing, "the database has no connection left",
        "raise `max_connections` of the server, or the role's and the database's `CONNECTION LIMIT`; `SELECT usename, \
         application_name, count(*) FROM pg_stat_activity GROUP BY 1, 2` shows who has them"),
    row(&["53", "F0"], Transient, NeedsOperator, "the database's server has reached a limit",
        "its log tells more; look at the limit that it names"),
    row(&["58", "XX"], Transient, NeedsOperator, "the database's server has trouble of its own",
        "its log tells more: a disk that fails, files that are damaged or missing, a bug of its own"),
    row(&["25006"], Transient, SpoilsSessions, "the database takes no writes",
        "it is a standby, or `default_transaction_read_only` is on: name the primary in `DATABASE_URL` (`host=a,b` takes the \
         one that takes writes), or set that to `off`"),
    row(&["25P03", "25P04", "57P05"], Transient, Nothing, "the database ended a session that was idle",
        "raise `idle_session_timeout`, `idle_in_transaction_session_timeout` or `transaction_timeout` of the role or server"),
    row(&["57014"], Transient, Nothing, "the database cancelled a statement",
        "it took longer than `statement_timeout` of the role, database or server, or somebody cancelled it; `SHOW \
         statement_timeout` tells how long it may take"),
    row(&["57P04"], Config, Nothing, "the database was dropped", "create it again, or name another one in `DATABASE_URL`"),
    row(&["57"], Transient, Nothing, "the database's server is stopping or starting", "try again when it runs"),
    row(&["55P03"], Transient, Nothing, "the database did not give a lock in time",
        "`SELECT pid, query FROM pg_stat_activity WHERE wait_event_type = 'Lock'` shows who waits; `lock_timeout` says how long"),
    row(&["55"], Transient, Nothing, "the database is not ready for that", "try again; its log tells more"),
    row(&["40", "72"], Transient, Nothing, "the database broke off a transaction that was in another's way", "try again"),
    row(&["08"], Transient, Nothing, "the connection to the database broke", "try again; the log of the server, or of a pooler, tells more"),
    row(&["26000", "42P05"], Transient, SpoilsSessions, "the database lost a prepared statement",
        "a pooler may have changed its mode: `uptime` finds out when it starts"),
    // A row that went away under a reference, which the next look takes into account.
    row(&["23503"], Transient, Nothing, "something was removed meanwhile", "try again"),
    // ── somebody has to set it up otherwise ──────────────────────────────────────────────────────────────
    row(&["28P01"], Config, Nothing, "the database refused the login",
        "look at user and password in `DATABASE_URL`, `~/.pgpass` and `PGPASSWORD`"),
    row(&["28"], Config, Nothing, "the database refused the login",
        "look at the user in `DATABASE_URL`, whether its role may log in, and at the server's `pg_hba.conf`"),
    row(&["3D"], Config, Nothing, "the database's server does not have that database",
        "create it (`createdb NAME`), or look at the name in `DATABASE_URL`"),
    row(&["42501"], Config, Nothing, "the database's role may not do that",
        "connect as the role that owns the tables, or let its owner grant what is missing; `uptime db migrate` as the owner \
         brings the schema up to date"),
    row(&["3F"], Config, SpoilsSessions, "the database's role has no schema for its tables",
        "let it use and create in one: `GRANT USAGE, CREATE ON SCHEMA public TO …`; look at its `search_path` too"),
    row(&["22P05"], Config, Nothing, "the database's encoding can't hold a text",
        "use a database with `ENCODING 'UTF8'`: `CREATE DATABASE uptime ENCODING 'UTF8' TEMPLATE template0`"),
    row(&["0A"], Config, Nothing, "the database's server can't do what `uptime` needs", "use PostgreSQL 13 or newer"),
    row(&["22023", "42704"], Config, Nothing, "the database's server does not know a setting or a type",
        "look at `options` in `DATABASE_URL` and at what `ALTER ROLE … SET` and `ALTER DATABASE … SET` say; `uptime` needs \
         PostgreSQL 13 or newer"),
    row(&["42P01", "42P10", "42703", "42883", "42804"], Config, SpoilsSessions, "the database's schema is not the one that this `uptime` made",
        "another release of `uptime`, or a person, has changed it: `uptime db status` shows its version; run one release \
         everywhere, and look at the role's `search_path`"),
    row(&["42701", "42710", "42723", "42P06", "42P07"], Config, Nothing, "the database already has something of that name",
        "give `uptime` a database of its own: `createdb uptime`"),
    row(&["P0", "44", "09", "27", "38", "39"], Config, Nothing, "a trigger or a function of the database refused",
        "somebody has added it to `uptime`'s tables: remove it, or mend it"),
];

impl ServerRefusal {
    pub(crate) fn is_schema_change(&self) -> bool {
        std::ptr::eq(self, &raw const CHANGED)
    }

    /// What the server's code and function mean; `""`: it was not the server.
    pub(crate) fn of(code: &str, routine: Option<&str>) -> &'static Self {
        if code == "0A000" && routine == Some(CHANGED_COLUMNS) {
            return &CHANGED;
        }
        let fits = |refusal: &'static Self| {
            let longest =
                refusal.codes.iter().filter(|begin| code.starts_with(**begin)).map(|begin| begin.len()).max();
            longest.map(|length| (length, refusal))
        };
        TABLE.iter().filter_map(fits).max_by_key(|(length, _)| *length).map_or(&OTHER, |(_, refusal)| refusal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_has_its_own_words_and_a_way_out() {
        for (number, refusal) in TABLE.iter().enumerate() {
            assert!(refusal.class != Bug && refusal.hint != BUG, "{refusal:?}");
            for code in refusal.codes {
                assert!(std::ptr::eq(ServerRefusal::of(code, None), refusal), "{code} has another meaning");
            }
            let is_other = |other: &ServerRefusal| (other.words, other.hint) != (refusal.words, refusal.hint);
            assert!(TABLE[..number].iter().all(is_other), "{}", refusal.words);
        }
    }

    #[test]
    fn the_longest_code_decides_and_what_nobody_foresaw_is_a_bug() {
        for (code, routine, class, effect) in [
            ("53100", None, Transient, NeedsOperator),
            ("53300", None, Transient, Nothing),
            ("25006", None, Transient, SpoilsSessions),
            ("57P01", None, Transient, Nothing),
            ("57P04", None, Config, Nothing),
            ("40P01", None, Transient, Nothing),
            ("0A000", None, Config, Nothing),
            ("0A000", Some(CHANGED_COLUMNS), Transient, SpoilsSessions),
            ("28000", None, Config, Nothing),
            ("42601", None, Bug, Nothing),
            ("23505", None, Bug, Nothing),
            ("22003", None, Bug, Nothing),
            ("", None, Bug, Nothing),
        ] {
            let refusal = ServerRefusal::of(code, routine);
            assert_eq!((refusal.class, refusal.effect), (class, effect), "{code}: {refusal:?}");
        }
    }
}

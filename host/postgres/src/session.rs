//! The smallest client of PostgreSQL's protocol (version 3): one session over a Unix socket, simple queries, text
//! answers. Enough to see whether a server is there, to make a database and for tests; so neither `psql` (a
//! package of its own on some systems) nor an async driver is needed here.
//!
//! Source: PostgreSQL's documentation, "Frontend/Backend Protocol".

use crate::error::PostgresError;
use std::io::{self, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The longest message taken from a server.
const MESSAGE_MAX: usize = 64 << 20;

/// How long a server may be silent: while it lets us in, and while it runs a statement.
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);
const QUERY_TIMEOUT: Duration = Duration::from_mins(1);

/// One row, each value as text; `None`: null.
pub type Row = Vec<Option<String>>;

/// A session on one database, as the role [`DATABASE`](crate::DATABASE).
#[derive(Debug)]
pub struct Session {
    stream: BufReader<UnixStream>,
    socket: PathBuf,
}

impl Session {
    /// Opens a session through the socket in `socket_dir`.
    pub fn open(socket_dir: &Path, database: &str) -> Result<Self, PostgresError> {
        let socket = socket_dir.join(".s.PGSQL.5432");
        let open = || {
            let stream = UnixStream::connect(&socket)?;
            stream.set_read_timeout(Some(OPEN_TIMEOUT))?;
            stream.set_write_timeout(Some(OPEN_TIMEOUT))?;
            Ok(stream)
        };
        let stream = open().map_err(PostgresError::io("connect to", &socket))?;
        let mut session = Self { stream: BufReader::new(stream), socket };
        let mut startup = 196_608_u32.to_be_bytes().to_vec();
        for text in ["user", crate::DATABASE, "database", database, "application_name", "uptime", ""] {
            startup.extend_from_slice(text.as_bytes());
            startup.push(0);
        }
        session.send(None, &startup)?;
        session.read_answer()?;
        let timeout = session.stream.get_ref().set_read_timeout(Some(QUERY_TIMEOUT));
        timeout.map_err(PostgresError::io("connect to", &session.socket))?;
        Ok(session)
    }

    /// Runs one statement, or several with `;` between, and gives the rows of all of them.
    pub fn query(&mut self, sql: &str) -> Result<Vec<Row>, PostgresError> {
        let mut body = sql.as_bytes().to_vec();
        body.push(0);
        self.send(Some(b'Q'), &body)?;
        self.read_answer()
    }

    fn send(&mut self, kind: Option<u8>, body: &[u8]) -> Result<(), PostgresError> {
        let length = u32::try_from(body.len() + 4).expect("because no statement of ours is that long");
        let mut message: Vec<u8> = kind.into_iter().collect();
        message.extend_from_slice(&length.to_be_bytes());
        message.extend_from_slice(body);
        self.stream.get_mut().write_all(&message).map_err(PostgresError::io("write to", &self.socket))
    }

    /// Reads up to the server's "ready"; the first error counts.
    fn read_answer(&mut self) -> Result<Vec<Row>, PostgresError> {
        let mut rows = Vec::new();
        let mut refused = None;
        loop {
            let (kind, body) = match self.read_message() {
                Ok(message) => message,
                // A server that refuses a session closes it after its error.
                Err(error) => {
                    return Err(
                        refused.unwrap_or_else(|| PostgresError::io("read from", &self.socket)(error))
                    );
                }
            };
            match kind {
                b'E' => refused = refused.or(Some(refusal(&body))),
                b'R' if body != [0; 4] => {
                    refused = refused.or(Some(PostgresError::Refused {
                        code: "28000".into(),
                        message: "it asks for a password on its own socket".into(),
                    }));
                    return Err(refused.expect("because it was set in the line above"));
                }
                b'D' => rows
                    .push(row(&body).ok_or_else(|| PostgresError::io("understand", &self.socket)(broken()))?),
                b'Z' => return refused.map_or(Ok(rows), Err),
                // Parameters, keys, notices, descriptions, tags.
                _ => {}
            }
        }
    }

    fn read_message(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let mut head = [0; 5];
        self.stream.read_exact(&mut head)?;
        let [kind, length @ ..] = head;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        let length = length.checked_sub(4).filter(|length| *length <= MESSAGE_MAX).ok_or_else(broken)?;
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok((kind, body))
    }
}

/// The URL of a database behind the socket in `socket_dir`. What the environment could add (`PGPORT`, `PGSSLMODE`)
/// is said outright.
pub(crate) fn url(socket_dir: &Path, database: &str) -> String {
    let host = encode(socket_dir.as_os_str().as_encoded_bytes());
    let (user, database) = (crate::DATABASE, encode(database.as_bytes()).replace('/', "%2F"));
    format!("postgres://{user}@localhost/{database}?host={host}&port=5432&sslmode=disable")
}

fn encode(bytes: &[u8]) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    let encoded = bytes.iter().map(|byte| match *byte {
        byte if is_plain(byte) => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    });
    encoded.collect()
}

/// An error message's SQLSTATE and text: fields of a letter and a text each.
fn refusal(body: &[u8]) -> PostgresError {
    let fields: Vec<&[u8]> = body.split(|byte| *byte == 0).collect();
    let field = |letter: u8| {
        let found = fields.iter().find(|field| field.first() == Some(&letter));
        found.map(|field| String::from_utf8_lossy(&field[1..]).into_owned()).unwrap_or_default()
    };
    PostgresError::Refused { code: field(b'C'), message: field(b'M') }
}

/// A row: a count, then a length (-1: null) and a text each.
fn row(body: &[u8]) -> Option<Row> {
    let (count, mut rest) = body.split_first_chunk::<2>()?;
    let mut row = Vec::new();
    for _ in 0..u16::from_be_bytes(*count) {
        let (length, after) = rest.split_first_chunk::<4>()?;
        rest = after;
        row.push(match i32::from_be_bytes(*length) {
            -1 => None,
            length => {
                let (value, after) = rest.split_at_checked(usize::try_from(length).ok()?)?;
                rest = after;
                Some(String::from_utf8_lossy(value).into_owned())
            }
        });
    }
    Some(row)
}

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "this is not PostgreSQL's protocol")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_everything_and_escapes_the_path() {
        assert_eq!(
            url(Path::new("/home/ä b/run"), "uptime"),
            "postgres://uptime@localhost/uptime?host=/home/%C3%A4%20b/run&port=5432&sslmode=disable"
        );
    }

    #[test]
    fn an_error_message_gives_code_and_text() {
        let error = refusal(b"SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0");
        assert_eq!(error.to_string(), "PostgreSQL refused: the database system is starting up (`57P03`)");
        assert!(error.is_transient());
    }

    #[test]
    fn a_cut_row_is_none() {
        let body = [0, 2, 0, 0, 0, 1, b'a', 0xff, 0xff, 0xff, 0xff];
        assert_eq!(row(&body), Some(vec![Some("a".into()), None]));
        assert_eq!(row(&body[..6]), None);
        assert_eq!(row(&body[..9]), None);
    }
}

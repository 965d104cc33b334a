//! Versions of protocols, as a check asks for them and finds them.

use crate::words::words;

words! {
    /// The version that an answer came in.
    #[derive(PartialOrd, Ord)]
    pub enum HttpVersion: "HTTP version" {
        Http10 = "1.0",
        Http11 = "1.1",
        Http2 = "2",
    }
}

words! {
    /// A version of TLS that is spoken. Older ones are not, by anybody who should be.
    #[derive(PartialOrd, Ord)]
    pub enum TlsVersion: "TLS version" {
        Tls12 = "1.2",
        Tls13 = "1.3",
    }
}

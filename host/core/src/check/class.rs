//! Why a check failed: a word for each cause, whose trouble it is, and what it says about our own network.

use crate::words::words;

/// What the report of a witness, a target that is asked whether our network is there, proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeResult {
    /// Packets came back: the network is there.
    Answered,
    Silent,
    /// It could not be asked, for a reason of ours that is not the network: it proves nothing.
    NotAsked,
}

/// What all classes of a group have in common.
struct Group {
    is_ours: bool,
    /// A check would fail so, too, if our own network were away.
    explained_by_blindness: bool,
    testimony: ProbeResult,
}

macro_rules! classes {
    ($($group:expr => { $($(#[$doc:meta])* $class:ident = $word:literal),+ $(,)? })+) => {
        words! {
            pub enum FailureClass: "failure class" { $($($(#[$doc])* $class = $word),+),+ }
        }

        impl FailureClass {
            fn group(self) -> Group {
                match self { $($(Self::$class)|+ => $group),+ }
            }
        }
    };
}

classes! {
    Group { is_ours: false, explained_by_blindness: true, testimony: ProbeResult::Silent } => {
        /// The name does not exist, or its server says so. A router or a cache without the world behind it may say so, too.
        Dns = "dns",
        /// A router, ours or of the target's network, said that the way there ends.
        Unreachable = "unreachable",
        ConnectTimeout = "connect_timeout",
    }
    // These have a connection behind them.
    Group { is_ours: false, explained_by_blindness: true, testimony: ProbeResult::Answered } => {
        /// The handshake did not end in time.
        TlsTimeout = "tls_timeout",
        /// The request was sent and no answer began.
        FirstByteTimeout = "first_byte_timeout",
        /// The answer began and did not end in time.
        BodyTimeout = "body_timeout",
        /// Not enough echoes came back; where none did, it counts as silence.
        Loss = "loss",
    }
    Group { is_ours: false, explained_by_blindness: false, testimony: ProbeResult::Answered } => {
        Refused = "refused",
        TlsUnknownIssuer = "tls_unknown_issuer",
        /// The certificate is its own issuer, and is not trusted.
        TlsSelfSigned = "tls_self_signed",
        TlsExpired = "tls_expired",
        /// The certificate's time has not come yet.
        TlsNotYetValid = "tls_not_yet_valid",
        TlsWrongName = "tls_wrong_name",
        /// The target speaks only versions of TLS or ciphers that are no longer safe.
        TlsTooOld = "tls_too_old",
        /// The target wants a certificate of ours, or another one.
        TlsClientCertificate = "tls_client_certificate",
        TlsHandshake = "tls_handshake",
        /// The connection broke, or what came was not the protocol.
        Protocol = "protocol",
        /// Too many redirects, or one that may not be followed.
        Redirect = "redirect",
        Status = "status",
        /// The answer lacks something that was expected.
        Assertion = "assertion",
        /// A certificate ends too soon.
        Certificate = "certificate",
        Latency = "latency",
    }
    // No incident in any case; but whoever reads the log wants to know that all of it is one thing.
    Group { is_ours: true, explained_by_blindness: true, testimony: ProbeResult::Silent } => {
        /// There is no way to any network.
        Network = "network",
        /// The resolver of this machine does not answer.
        Resolver = "resolver",
    }
    Group { is_ours: true, explained_by_blindness: true, testimony: ProbeResult::NotAsked } => {
        /// The proxy that the check goes through does not let it.
        Proxy = "proxy",
    }
    Group { is_ours: true, explained_by_blindness: false, testimony: ProbeResult::NotAsked } => {
        /// This process may not do that.
        Permission = "permission",
        /// No descriptors, memory or ports are left.
        Resources = "resources",
        /// A value that the check needs (an environment variable, a file) is not there.
        Settings = "settings",
    }
    // It was heard, and not understood.
    Group { is_ours: true, explained_by_blindness: false, testimony: ProbeResult::Answered } => {
        /// The target uses what others can verify and this program can't.
        Unsupported = "unsupported",
    }
}

impl FailureClass {
    /// Whether the trouble is the monitor's own. Such a check is `inconclusive`.
    pub fn is_ours(self) -> bool {
        self.group().is_ours
    }

    /// Whether a check would fail so, too, if our own network were away.
    pub(crate) fn explained_by_blindness(self) -> bool {
        self.group().explained_by_blindness
    }

    pub(crate) fn testimony(self) -> ProbeResult {
        self.group().testimony
    }
}

//! What can go wrong on the way to the servers.

/// Why something had no use. No text of it has a secret.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// The address is none.
    #[error(
        "{0:?} is no address of a NATS server\nhelp: write it as nats://HOST:4222 or tls://HOST:4222, several with commas; user and password apart from it"
    )]
    Url(String),
    /// A file of the access cannot be used.
    #[error("{file}: {why}\nhelp: {help}")]
    File {
        /// Its path.
        file: String,
        /// In a few words.
        why: String,
        /// The way out.
        help: &'static str,
    },
    /// Nobody is there, or whoever is does not let this user in.
    #[error("{server}: {why}\nhelp: {help}")]
    Connect {
        /// Its address.
        server: String,
        /// In a few words.
        why: String,
        /// The way out.
        help: &'static str,
    },
    /// A name that cannot be a part of a subject.
    #[error("{0:?} cannot be a name on the bus\nhelp: use letters, digits, - and _ (64 at most)")]
    Name(String),
    /// More than may be.
    #[error("{what} of {length} is more than {most}")]
    TooMuch {
        /// Of what.
        what: &'static str,
        /// How much it is.
        length: u64,
        /// How much it may be.
        most: u64,
    },
    /// The servers did not do it for as long as is waited.
    #[error(
        "{what}: {why}\nhelp: check that JetStream is enabled and that most of the servers run"
    )]
    Unavailable {
        /// What was asked for.
        what: String,
        /// Their last words.
        why: String,
    },
    /// A stream of our name that is somebody else's.
    #[error(
        "the stream {0} is not fleetcall's\nhelp: give fleetcall an account of its own on the server"
    )]
    Stream(&'static str),
    /// What is stored is not what was written.
    #[error("{0} cannot be read back as it was written")]
    Damaged(String),
}

/// Why a record was not written.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Somebody else holds the shard: what this one did since its last record is attempted again there.
    #[error("another worker holds shard {0}")]
    Fenced(u32),
    /// A fault of the caller's: `MAX_BODY`, or the server's limit, is exceeded.
    #[error("a record of {length} bytes; {most} are the most")]
    TooLong {
        /// Bytes of the body.
        length: usize,
        /// How many there may be.
        most: usize,
    },
}

//! ETRN: a client asks for the mail that waits for it (RFC 1985).

/// What the name behind ETRN stands for: whose queued mail a client asks the server to send now (RFC 1985 §5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EtrnScope {
    /// The host of that name.
    Host,
    /// `@`: a domain and all below it.
    Domain,
    /// `#`: a queue of the server's (RFC 1985 §5.3).
    Queue,
}

impl EtrnScope {
    /// Splits off the option character.
    pub(crate) fn split(argument: &[u8]) -> (Self, &[u8]) {
        match argument.split_first() {
            Some((b'@', node)) => (Self::Domain, node),
            Some((b'#', node)) => (Self::Queue, node),
            _ => (Self::Host, argument),
        }
    }

    /// The option character.
    pub(crate) fn option(self) -> &'static [u8] {
        match self {
            Self::Host => b"",
            Self::Domain => b"@",
            Self::Queue => b"#",
        }
    }
}

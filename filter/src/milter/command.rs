//! What a server sends to a milter (`SMFIC_*`).

/// A command, by its octet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    Abort,
    Body,
    Connect,
    Macros,
    EndOfBody,
    Helo,
    Header,
    Mail,
    EndOfHeader,
    Negotiate,
    Quit,
    Recipient,
    Data,
}

impl Command {
    pub(super) fn octet(self) -> u8 {
        match self {
            Self::Abort => b'A',
            Self::Body => b'B',
            Self::Connect => b'C',
            Self::Macros => b'D',
            Self::EndOfBody => b'E',
            Self::Helo => b'H',
            Self::Header => b'L',
            Self::Mail => b'M',
            Self::EndOfHeader => b'N',
            Self::Negotiate => b'O',
            Self::Quit => b'Q',
            Self::Recipient => b'R',
            Self::Data => b'T',
        }
    }
}

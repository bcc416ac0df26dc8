//! The type of commands.

use bytes::Bytes;
use hikyaku_wire::Secret;

use alloc::vec::Vec;

use crate::command::etrn::EtrnScope;
use crate::command::proxied::Attribute;
use crate::octets::slice_of;
use crate::parameter::mail::MailParameters;
use crate::parameter::rcpt::RcptParameters;
use crate::path::forward::ForwardPath;
use crate::path::reverse::ReversePath;

/// A command line.
///
/// Its texts are slices of the line: [`parse`](Self::parse) makes them [`Bytes`], which can be kept, and
/// [`read`](Self::read) leaves them borrowed, which costs less.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Command<T: AsRef<[u8]> = Bytes> {
    /// `EHLO domain`
    Ehlo(T),
    /// `HELO domain`
    Helo(T),
    /// `LHLO domain` (LMTP, RFC 2033)
    Lhlo(T),
    /// `MAIL FROM:<..> ..`
    Mail {
        /// Whom to notify; empty for notifications.
        reverse_path: ReversePath<T>,
        /// What the extensions add.
        parameters: MailParameters<T>,
    },
    /// `RCPT TO:<..> ..`
    Rcpt {
        /// Who is to get it.
        forward_path: ForwardPath<T>,
        /// What the extensions add.
        parameters: RcptParameters<T>,
    },
    /// `DATA`
    Data,
    /// `BDAT octets [LAST]` (RFC 3030); more than 64 bits are the largest number.
    Bdat {
        /// How many octets follow.
        octets: u64,
        /// Whether they are the last.
        last: bool,
    },
    /// `BURL url [LAST]` (RFC 4468)
    Burl {
        /// Where the octets are.
        url: T,
        /// Whether they are the last.
        last: bool,
    },
    /// `RSET`
    Rset,
    /// `NOOP [string]`
    Noop(Option<T>),
    /// `QUIT`
    Quit,
    /// `VRFY string [SMTPUTF8]`
    Vrfy {
        /// A mailbox or a name.
        string: T,
        /// Whether the answer may be international (RFC 6531 §3.7.4.2).
        smtputf8: bool,
    },
    /// `EXPN string [SMTPUTF8]`
    Expn {
        /// The name of a list.
        string: T,
        /// Whether the answer may be international (RFC 6531 §3.7.4.2).
        smtputf8: bool,
    },
    /// `HELP [string]`
    Help(Option<T>),
    /// `STARTTLS` (RFC 3207)
    StartTls,
    /// `AUTH mechanism [initial-response]` (RFC 4954)
    Auth {
        /// In upper case.
        mechanism: Bytes,
        /// Decoded; `=` is an empty one.
        initial: Option<Secret>,
    },
    /// `ETRN [@ / #] node` (RFC 1985)
    Etrn {
        /// What the name stands for.
        scope: EtrnScope,
        /// A host, a domain or a queue.
        node: T,
    },
    /// `XCLIENT name=value ..`: who the client is, said by a proxy (Postfix).
    XClient(Vec<Attribute<T>>),
    /// `XFORWARD name=value ..`: who the client of a filter's client is, for logs (Postfix).
    XForward(Vec<Attribute<T>>),
    /// A command of an extension that is not known here.
    Other {
        /// In any case.
        verb: T,
        /// What stands behind it; may be empty.
        arguments: T,
    },
}

impl<T: AsRef<[u8]>> Command<T> {
    /// Makes a MAIL without parameters.
    #[must_use]
    pub fn mail(reverse_path: ReversePath<T>) -> Self {
        let parameters = MailParameters::default();
        Self::Mail {
            reverse_path,
            parameters,
        }
    }

    /// Makes a RCPT without parameters.
    #[must_use]
    pub fn rcpt(forward_path: ForwardPath<T>) -> Self {
        let parameters = RcptParameters::default();
        Self::Rcpt {
            forward_path,
            parameters,
        }
    }

    /// Returns the word that the command begins with; of one that is not known here, as it was sent.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Ehlo(_) => "EHLO",
            Self::Helo(_) => "HELO",
            Self::Lhlo(_) => "LHLO",
            Self::Mail { .. } => "MAIL",
            Self::Rcpt { .. } => "RCPT",
            Self::Data => "DATA",
            Self::Bdat { .. } => "BDAT",
            Self::Burl { .. } => "BURL",
            Self::Rset => "RSET",
            Self::Noop(_) => "NOOP",
            Self::Quit => "QUIT",
            Self::Vrfy { .. } => "VRFY",
            Self::Expn { .. } => "EXPN",
            Self::Help(_) => "HELP",
            Self::StartTls => "STARTTLS",
            Self::Auth { .. } => "AUTH",
            Self::Etrn { .. } => "ETRN",
            Self::XClient(_) => "XCLIENT",
            Self::XForward(_) => "XFORWARD",
            Self::Other { verb, .. } => core::str::from_utf8(verb.as_ref()).unwrap_or(""),
        }
    }
}

impl Command<&[u8]> {
    /// Returns the command with its texts as slices of `line`, which it was read from. Nothing is copied.
    #[must_use]
    pub fn within(self, line: &Bytes) -> Command {
        let text = |text: &[u8]| slice_of(line, text);
        match self {
            Self::Ehlo(name) => Command::Ehlo(text(name)),
            Self::Helo(name) => Command::Helo(text(name)),
            Self::Lhlo(name) => Command::Lhlo(text(name)),
            Self::Mail {
                reverse_path,
                parameters,
            } => Command::Mail {
                reverse_path: reverse_path.within(line),
                parameters: parameters.within(line),
            },
            Self::Rcpt {
                forward_path,
                parameters,
            } => Command::Rcpt {
                forward_path: forward_path.within(line),
                parameters: parameters.within(line),
            },
            Self::Data => Command::Data,
            Self::Bdat { octets, last } => Command::Bdat { octets, last },
            Self::Burl { url, last } => Command::Burl {
                url: text(url),
                last,
            },
            Self::Rset => Command::Rset,
            Self::Noop(string) => Command::Noop(string.map(text)),
            Self::Quit => Command::Quit,
            Self::Vrfy { string, smtputf8 } => Command::Vrfy {
                string: text(string),
                smtputf8,
            },
            Self::Expn { string, smtputf8 } => Command::Expn {
                string: text(string),
                smtputf8,
            },
            Self::Help(string) => Command::Help(string.map(text)),
            Self::StartTls => Command::StartTls,
            Self::Auth { mechanism, initial } => Command::Auth { mechanism, initial },
            Self::Etrn { scope, node } => Command::Etrn {
                scope,
                node: text(node),
            },
            Self::XClient(all) => Command::XClient(within(all, line)),
            Self::XForward(all) => Command::XForward(within(all, line)),
            Self::Other { verb, arguments } => Command::Other {
                verb: text(verb),
                arguments: text(arguments),
            },
        }
    }
}

fn within(all: Vec<Attribute<&[u8]>>, line: &Bytes) -> Vec<Attribute> {
    all.into_iter().map(|one| one.within(line)).collect()
}

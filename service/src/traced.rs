//! What happens to messages as they come in, for a log that an operator can ask.

use hikyaku_smtp_proto::Reply;
use std::net::IpAddr;
use std::sync::Arc;

/// What is called with all that happens to messages.
pub type Trace = Arc<dyn Fn(&Traced<'_>) + Send + Sync>;

/// Something that happened to a message that is coming in.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Traced<'a> {
    /// The message's name: as in its Received field, in the reply to its sender, and in the queue. One that is refused
    /// at MAIL has one too.
    pub id: &'a str,
    /// Who sends it.
    pub client: &'a Client,
    /// What happened.
    pub what: What<'a>,
}

/// The client that sends a message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Client {
    /// `SMTP`, `submission`, `LMTP` or `webmail`.
    pub by: &'static str,
    /// Its address; `None` for a webmail.
    pub address: Option<IpAddr>,
    /// The version of TLS and the cipher suite, where it is used.
    pub tls: Option<String>,
    /// What it said with HELO, EHLO or LHLO.
    pub hello: String,
    /// The account that it has logged in as.
    pub account: Option<String>,
}

/// What happened to a message that is coming in.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum What<'a> {
    /// MAIL: a transaction began, or was refused.
    Mail {
        /// The reverse-path, as an address; `<>` for none.
        from: &'a str,
        /// Why it was refused.
        refusal: Option<&'a Reply>,
    },
    /// RCPT: a recipient was accepted, or refused.
    Recipient {
        /// The address.
        to: &'a str,
        /// Why it was refused.
        refusal: Option<&'a Reply>,
    },
    /// Somebody who looked at it has noted something.
    Noted {
        /// What.
        note: &'a str,
    },
    /// It is in a mailbox here.
    Delivered {
        /// The account.
        to: &'a str,
    },
    /// It is in the queue.
    Queued {
        /// The domain that it is to go to; `None`: mailboxes here.
        next_hop: Option<&'a str>,
        /// How many recipients it has there.
        recipients: usize,
    },
    /// The message was answered: accepted, or refused.
    Answered {
        /// Its octets, as far as they came.
        octets: u64,
        /// What the client was sent.
        reply: &'a Reply,
    },
    /// The message was larger than is taken, and was not read.
    TooLarge,
}

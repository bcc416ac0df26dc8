//! Looking at clients, recipients and messages before mail is accepted.

use bytes::Bytes;
use hikyaku_mailstore::BoxFuture;
use hikyaku_smtp_proto::{Reply, ReversePath};

use crate::traced::Client;

/// Looks at transactions and messages before they are accepted: it checks where a message comes from, asks a filter, keeps
/// limits; and it signs what an account sends.
///
/// What comes by LMTP is not examined: whoever hands it over has done so. What the server submits from inside, as for a
/// webmail, is examined as what comes by SMTP; its client has no address. Each method may take its time, which the client
/// waits; it has to end by itself.
///
/// ```
/// use hikyaku_mailstore::BoxFuture;
/// use hikyaku_service::{Arrival, Examiner, Opinion, Remarks};
///
/// /// Says in each message which account it is from.
/// struct Stamp;
///
/// impl Examiner for Stamp {
///     fn message<'a>(&'a self, arrival: Arrival<'a>) -> BoxFuture<'a, Opinion> {
///         Box::pin(async move {
///             let mut remarks = Remarks::default();
///             if let Some(account) = &arrival.client.account {
///                 remarks.fields = format!("X-Account: {account}\r\n").into();
///             }
///             Opinion::Accept(remarks)
///         })
///     }
/// }
/// ```
pub trait Examiner: Send + Sync {
    /// Looks at MAIL. A reply refuses it (RFC 5321 §4.2.1: for now with 4yz, for good with 5yz).
    fn mail<'a>(
        &'a self,
        client: &'a Client,
        reverse_path: &'a ReversePath,
    ) -> BoxFuture<'a, Option<Reply>> {
        let _ = (client, reverse_path);
        Box::pin(async { None })
    }

    /// Looks at RCPT before anybody looks up whether there is such a recipient, so that neither a refusal nor the time that
    /// it takes shows it. A reply refuses it.
    fn before_recipient<'a>(
        &'a self,
        client: &'a Client,
        reverse_path: &'a ReversePath,
        to: &'a str,
    ) -> BoxFuture<'a, Option<Reply>> {
        let _ = (client, reverse_path, to);
        Box::pin(async { None })
    }

    /// Looks at RCPT, once it is looked up. Where `exists` is false there is no such recipient, and it is refused for good
    /// anyway. What is refused for good for another reason, as relaying is, is not asked about. A reply refuses the recipient.
    fn recipient<'a>(
        &'a self,
        client: &'a Client,
        reverse_path: &'a ReversePath,
        to: &'a str,
        exists: bool,
    ) -> BoxFuture<'a, Option<Reply>> {
        let _ = (client, reverse_path, to, exists);
        Box::pin(async { None })
    }

    /// Returns whether [`message`](Self::message) wants to be called. Where nobody wants it, messages go to the store as they
    /// come, and are not held in memory.
    fn reads_messages(&self) -> bool {
        true
    }

    /// Looks at a whole message.
    fn message<'a>(&'a self, arrival: Arrival<'a>) -> BoxFuture<'a, Opinion>;

    /// Called when a message has been accepted, with the addresses of those whose RCPT was accepted. It must not wait.
    fn accepted(&self, client: &Client, reverse_path: &ReversePath, recipients: &[String]) {
        let _ = (client, reverse_path, recipients);
    }
}

/// A message that has arrived, and is not accepted yet.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Arrival<'a> {
    /// The message's name, as in its Received field.
    pub id: &'a str,
    /// Who sends it. With an account it is a submission.
    pub client: &'a Client,
    /// The path that receives delivery status notifications.
    pub reverse_path: &'a ReversePath,
    /// The addresses of those whose RCPT was accepted.
    pub recipients: &'a [String],
    /// Whether a copy goes to another server: of a submission, or since an address here passes it on.
    pub goes_elsewhere: bool,
    /// Header section and body as they came, of a submission with what was missing. Without this server's own Received.
    pub message: &'a Bytes,
}

/// What comes of a message.
#[derive(Debug, Clone)]
#[allow(clippy::exhaustive_enums, reason = "it is accepted or not")]
pub enum Opinion {
    /// It is accepted.
    Accept(Remarks),
    /// It is refused: for now with a reply of 4yz, for good with 5yz.
    Refuse(Reply),
}

/// What is done with a message that is accepted.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Remarks {
    /// Header fields that are put before it, behind this server's Received field; each with its CRLF.
    pub fields: Bytes,
    /// Header fields that are put above those, in copies for other servers alone; each with its CRLF.
    pub elsewhere: Bytes,
    /// What is accepted in its place: the message without some fields, or rewritten.
    pub message: Option<Bytes>,
    /// Whether recipients here get it into the mailbox for junk (`\Junk`, RFC 6154), where they have one.
    pub junk: bool,
    /// What an operator may want to know of how it was judged, each in one line, for [`Options::trace`](crate::Options::trace).
    pub notes: Vec<String>,
}

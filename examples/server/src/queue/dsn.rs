//! Delivery status notifications: what was given up, for the sender (RFC 3464, 6522).

use bytes::Bytes;
use mailstore::message::{Scanner, Structure};
use mailstore::{Error, Operation, QueueEntry};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::SystemTime;
use tracing::warn;

use super::local::{append, inbox};
use super::{Envelope, LOCAL, Waiting};
use crate::server::Shared;
use crate::smtp::now;

/// So much of the message's header section goes back.
const HEADER: u64 = 64 * 1024;

/// What became of a notification.
pub(super) enum Notice {
    /// It is in the sender's mailbox.
    Delivered,
    /// It is to be queued, in the transaction that takes the message out of the queue.
    Queued(Box<Operation>),
    /// Nobody hears of it: why.
    Dropped(&'static str),
}

/// Notifies the sender. A notification itself is never answered by one (RFC 5321 §6.1). One that the sender's mailbox has
/// no room for waits in the queue as any mail does, until it expires.
///
/// # Errors
/// The store's: what is temporary.
pub(super) async fn send(
    shared: &Arc<Shared>,
    entry: &QueueEntry,
    envelope: &Envelope,
    failed: &[Waiting],
) -> Result<Notice, Error> {
    let Some(sender) = &envelope.reverse_path else {
        return Ok(Notice::Dropped("it is a notification itself"));
    };
    // Damage of the message hides nothing but its header section.
    let header = header(shared, entry).await.unwrap_or_else(|error| {
        warn!(%error, "the header section cannot be read");
        Vec::new()
    });
    let message = Bytes::from(compose(
        &shared.config.hostname,
        envelope,
        sender,
        failed,
        &header,
    ));
    let mut stage = shared.store.stage().await?;
    stage.write(message.clone()).await?;
    let body = stage.finish().await?;
    let domain = sender.rsplit_once('@').map_or("", |(_, domain)| domain);
    let mut next_hop = domain.to_lowercase();
    if shared.config.is_local(domain) {
        let mut scanner = Scanner::default();
        scanner.feed(&message);
        // Repeated after a crash it is not doubled.
        let origin = Bytes::from(format!("dsn-{}-{}", entry.id, envelope.attempts));
        let Some(inbox) = inbox(shared, sender).await? else {
            return Ok(Notice::Dropped("the sender has no mailbox here any more"));
        };
        let summary = scanner.finish().encode();
        match append(shared, inbox, body.clone(), summary, origin).await {
            Ok(()) => return Ok(Notice::Delivered),
            Err(Error::OverQuota) => next_hop = LOCAL.into(),
            Err(Error::NoSuchAccount | Error::NoSuchMailbox) => {
                return Ok(Notice::Dropped("the sender was removed"));
            }
            Err(error) => return Err(error),
        }
    }
    let back = Envelope {
        id: format!("{}-dsn", envelope.id),
        reverse_path: None,
        smtputf8: !sender.is_ascii(),
        recipients: vec![Waiting::new(sender.clone())],
        queued: crate::unix_now(),
        attempts: 0,
    };
    Ok(Notice::Queued(Box::new(Operation::Enqueue {
        due: SystemTime::now(),
        next_hop,
        body,
        envelope: back.encode(),
    })))
}

async fn header(shared: &Arc<Shared>, entry: &QueueEntry) -> Result<Vec<u8>, Error> {
    let mut octets = Vec::new();
    while (octets.len() as u64) < HEADER.min(entry.body.octets) {
        let piece = shared
            .store
            .read(&entry.body, octets.len() as u64..HEADER)
            .await?;
        if piece.is_empty() {
            break;
        }
        octets.extend_from_slice(&piece);
    }
    let range = Structure::of(&octets).root().header.clone();
    Ok(Structure::slice(&octets, &range).to_vec())
}

/// 5.1.1 out of `550 5.1.1 no`, or what its first digit says.
fn status_of(text: &str) -> String {
    let mut words = text.split(' ');
    let code = words.next().unwrap_or("");
    let enhanced = words.next().filter(|word| word.split('.').count() == 3);
    match enhanced {
        Some(enhanced) => enhanced.to_owned(),
        None if code.starts_with('5') => "5.0.0".into(),
        None => "4.0.0".into(),
    }
}

fn compose(
    hostname: &str,
    envelope: &Envelope,
    sender: &str,
    failed: &[Waiting],
    header: &[u8],
) -> Vec<u8> {
    let id = &envelope.id;
    let boundary = format!("=_{id}_{}", envelope.attempts);
    let mut text = String::new();
    let _ = write!(
        text,
        "Return-Path: <>\r\nDate: {date}\r\nFrom: Mail Delivery System <MAILER-DAEMON@{hostname}>\r\n\
         To: <{sender}>\r\nSubject: Undelivered mail returned to sender\r\n\
         Message-ID: <{id}-{attempts}.dsn@{hostname}>\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"{boundary}\"\r\n\r\n\
         --{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
         This is the mail server {hostname}.\r\n\r\nYour message could not be delivered to:\r\n\r\n",
        date = now(),
        attempts = envelope.attempts,
    );
    let mut status = format!(
        "--{boundary}\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; {hostname}\r\n"
    );
    for recipient in failed {
        let (address, last) = (&recipient.address, clean(&recipient.last));
        let _ = write!(text, "<{address}>:\r\n    {last}\r\n\r\n");
        let mut code = status_of(&recipient.last);
        // Given up: a temporary error is final now (RFC 3463 §2: 4.4.7 says it of the whole).
        if code.starts_with('4') {
            code = "5.4.7".into();
        }
        let _ = write!(
            status,
            "\r\nFinal-Recipient: rfc822; {address}\r\nAction: failed\r\nStatus: {code}\r\n\
             Diagnostic-Code: smtp; {last}\r\n"
        );
    }
    let mut message = text.into_bytes();
    message.extend_from_slice(status.as_bytes());
    message.extend_from_slice(
        format!("\r\n--{boundary}\r\nContent-Type: text/rfc822-headers\r\n\r\n").as_bytes(),
    );
    message.extend_from_slice(header);
    message.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    message
}

/// On one line, without what could begin another.
fn clean(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(500)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notification_has_the_three_parts() {
        let failed = [Waiting {
            address: "x@b.test".into(),
            last: "550 5.1.1 no\r\nsuch user".into(),
        }];
        let envelope = Envelope {
            id: "1".into(),
            reverse_path: Some("a@a.test".into()),
            smtputf8: false,
            recipients: Vec::new(),
            queued: 0,
            attempts: 1,
        };
        let message = compose(
            "mx.test",
            &envelope,
            "a@a.test",
            &failed,
            b"Subject: hi\r\n\r\n",
        );
        let structure = Structure::of(&message);
        let kinds = [[1], [2], [3]].map(|n| {
            let part = structure.get(structure.find(&n).unwrap()).unwrap();
            String::from_utf8(part.content.subtype.clone()).unwrap()
        });
        assert_eq!(kinds, ["plain", "delivery-status", "rfc822-headers"]);
        let text = String::from_utf8(message).unwrap();
        assert!(
            text.contains("Status: 5.1.1\r\nDiagnostic-Code: smtp; 550 5.1.1 no  such user\r\n")
        );
        assert_eq!(status_of("450 later"), "4.0.0");
    }
}

//! The text of a notification.

use hikyaku_message::DateTime;
use hikyaku_smtp_proto::{OriginalRecipient, RcptParameters, Xtext};
use std::fmt::Write as _;

/// What a notification reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Action {
    /// It was given up.
    Failed,
    /// It takes long, and is tried again.
    Delayed,
    /// It is in a mailbox here.
    Delivered,
    /// It was handed on to a server that does not notify.
    Relayed,
    /// An alias has passed it on to several addresses.
    Expanded,
}

/// What became of one recipient.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    pub(crate) action: Action,
    pub(crate) address: String,
    pub(crate) asked: RcptParameters,
    /// The last words about it, with reply code and enhanced status code.
    pub(crate) last: String,
    /// The host that said them.
    pub(crate) host: Option<String>,
}

/// A notification, before it is written.
#[derive(Debug)]
pub(crate) struct Report<'a> {
    pub(crate) hostname: &'a str,
    /// The author's address.
    pub(crate) author: &'a str,
    /// The message's name in logs, and the number of the attempt.
    pub(crate) id: &'a str,
    pub(crate) attempt: u32,
    pub(crate) sender: &'a str,
    pub(crate) envid: Option<&'a Xtext>,
    /// When the message came, when this is written, and until when it is tried, in seconds since 1970.
    pub(crate) arrived: i64,
    pub(crate) now: i64,
    pub(crate) until: i64,
    /// What the client asked for with HOLDFOR or HOLDUNTIL (RFC 4865 §5.1.2).
    pub(crate) held: Option<String>,
    pub(crate) subjects: &'a [Subject],
    /// The message, or its header section.
    pub(crate) returned: &'a [u8],
    pub(crate) is_whole: bool,
}

impl Report<'_> {
    fn worst(&self) -> Action {
        let actions = self.subjects.iter().map(|subject| subject.action);
        actions.min().unwrap_or(Action::Failed)
    }

    /// Something in it is not ASCII: the types of RFC 6533 are needed.
    fn is_international(&self) -> bool {
        let texts = self.subjects.iter().map(|subject| &subject.address);
        !self.sender.is_ascii() || texts.into_iter().any(|text| !text.is_ascii())
    }

    /// Writes the message.
    pub(crate) fn write(&self) -> Vec<u8> {
        let boundary = format!("=_{}_{}", self.id, self.attempt);
        let international = self.is_international();
        let mut text = self.head(&boundary);
        self.explain(&mut text);
        let status = match international {
            true => "message/global-delivery-status",
            false => "message/delivery-status",
        };
        let encoding = match international {
            true => "Content-Transfer-Encoding: 8bit\r\n",
            false => "",
        };
        let _ = write!(
            text,
            "\r\n--{boundary}\r\nContent-Type: {status}\r\n{encoding}\r\n"
        );
        self.per_message(&mut text);
        for subject in self.subjects {
            text.push_str("\r\n");
            self.per_recipient(subject, &mut text);
        }
        let eight_bit = !self.returned.is_ascii();
        let kind = match (self.is_whole, international) {
            (true, false) => "message/rfc822",
            (true, true) => "message/global",
            (false, false) => "text/rfc822-headers",
            (false, true) => "message/global-headers",
        };
        let _ = write!(text, "\r\n--{boundary}\r\nContent-Type: {kind}\r\n");
        if eight_bit {
            text.push_str("Content-Transfer-Encoding: 8bit\r\n");
        }
        text.push_str("\r\n");
        let mut message = text.into_bytes();
        message.extend_from_slice(self.returned);
        if !self.returned.ends_with(b"\n") {
            message.extend_from_slice(b"\r\n");
        }
        message.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        message
    }

    fn head(&self, boundary: &str) -> String {
        let subject = match self.worst() {
            Action::Failed => "Undelivered mail returned to sender",
            Action::Delayed => "Delayed mail (still being retried)",
            Action::Delivered | Action::Relayed | Action::Expanded => "Delivery report",
        };
        format!(
            "Date: {date}\r\nFrom: Mail Delivery System <{author}>\r\n\
             To: <{sender}>\r\nSubject: {subject}\r\nMessage-ID: <{id}-{attempt}.dsn@{hostname}>\r\n\
             Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n\
             Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"{boundary}\"\r\n\r\n\
             --{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
             This is the mail server {hostname}.\r\n",
            date = DateTime::utc(self.now),
            author = self.author,
            hostname = self.hostname,
            sender = self.sender,
            id = self.id,
            attempt = self.attempt,
        )
    }

    /// What a person reads.
    fn explain(&self, text: &mut String) {
        for (action, words) in [
            (Action::Failed, "Your message could not be delivered to:"),
            (
                Action::Delayed,
                "Your message has not been delivered yet. You do not have to send it again, it is still being tried \
                 for:",
            ),
            (Action::Delivered, "Your message was delivered to:"),
            (
                Action::Relayed,
                "Your message was handed on to a server that does not report deliveries, for:",
            ),
            (
                Action::Expanded,
                "Your message was passed on to several addresses, which do not report deliveries, by:",
            ),
        ] {
            let mut subjects = self
                .subjects
                .iter()
                .filter(|one| one.action == action)
                .peekable();
            if subjects.peek().is_none() {
                continue;
            }
            let _ = write!(text, "\r\n{words}\r\n");
            for subject in subjects {
                let _ = write!(
                    text,
                    "\r\n<{}>:\r\n    {}\r\n",
                    subject.address,
                    clean(&subject.last)
                );
            }
        }
        if self.worst() == Action::Delayed {
            let until = DateTime::utc(self.until);
            let _ = write!(
                text,
                "\r\nIt is tried until {until}, then it is returned to you.\r\n"
            );
        }
    }

    fn per_message(&self, text: &mut String) {
        if let Some(envid) = self.envid {
            let envid = envid.decoded();
            let envid = clean(&String::from_utf8_lossy(&envid));
            let _ = write!(text, "Original-Envelope-Id: {envid}\r\n");
        }
        let _ = write!(
            text,
            "Reporting-MTA: dns; {}\r\nArrival-Date: {}\r\n",
            self.hostname,
            DateTime::utc(self.arrived)
        );
        if let Some(held) = &self.held {
            let _ = write!(text, "Future-Release-Request: {held}\r\n");
        }
    }

    fn per_recipient(&self, subject: &Subject, text: &mut String) {
        if let Some(original) = &subject.asked.orcpt {
            let _ = write!(text, "Original-Recipient: {}\r\n", original_of(original));
        }
        let kind = if subject.address.is_ascii() {
            "rfc822"
        } else {
            "utf-8"
        };
        let (action, status) = match subject.action {
            Action::Failed => ("failed", given_up(&status_of(&subject.last))),
            Action::Delayed => ("delayed", status_of(&subject.last)),
            Action::Delivered => ("delivered", "2.0.0".into()),
            Action::Relayed => ("relayed", "2.0.0".into()),
            Action::Expanded => ("expanded", "2.0.0".into()),
        };
        let _ = write!(
            text,
            "Final-Recipient: {kind}; {}\r\nAction: {action}\r\nStatus: {status}\r\n",
            subject.address
        );
        if let Some(host) = &subject.host {
            let _ = write!(text, "Remote-MTA: dns; {}\r\n", clean(host));
        }
        if !subject.last.is_empty() {
            let _ = write!(text, "Diagnostic-Code: smtp; {}\r\n", clean(&subject.last));
        }
        let _ = write!(text, "Last-Attempt-Date: {}\r\n", DateTime::utc(self.now));
        if subject.action == Action::Delayed {
            let _ = write!(text, "Will-Retry-Until: {}\r\n", DateTime::utc(self.until));
        }
    }
}

/// `rfc822; address`, as the sender gave it.
fn original_of(original: &OriginalRecipient) -> String {
    format!("{}; {}", original.kind(), clean(&original.address()))
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

/// A temporary error is final now (RFC 3463 §3.5: 5.4.7 says it of the whole).
fn given_up(status: &str) -> String {
    match status.starts_with('4') {
        true => "5.4.7".into(),
        false => status.to_owned(),
    }
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
    use hikyaku_message::Structure;

    fn subject(action: Action, address: &str, last: &str) -> Subject {
        let mut asked = RcptParameters::default();
        asked.orcpt = Some(OriginalRecipient::rfc822("first+1@b.test"));
        Subject {
            action,
            address: address.into(),
            asked,
            last: last.into(),
            host: Some("mx.b.test".into()),
        }
    }

    fn report<'a>(subjects: &'a [Subject], envid: Option<&'a Xtext>) -> Report<'a> {
        Report {
            hostname: "mx.test",
            author: "postmaster@a.test",
            id: "1",
            attempt: 1,
            sender: "a@a.test",
            envid,
            arrived: 0,
            now: 86_400,
            until: 432_000,
            held: None,
            subjects,
            returned: b"Subject: hi\r\n\r\n",
            is_whole: false,
        }
    }

    fn kinds(message: &[u8]) -> Vec<String> {
        let structure = Structure::of(message);
        let kind = |n| {
            let part = structure.get(structure.find(&[n]).unwrap()).unwrap();
            String::from_utf8(part.content.subtype.clone()).unwrap()
        };
        (1..=3).map(kind).collect()
    }

    #[test]
    fn a_notification_has_the_three_parts() {
        let envid = Xtext::of(b"QQ 31");
        let failed = [subject(
            Action::Failed,
            "x@b.test",
            "550 5.1.1 no\r\nsuch user",
        )];
        let message = report(&failed, Some(&envid)).write();
        assert_eq!(
            kinds(&message),
            ["plain", "delivery-status", "rfc822-headers"]
        );
        let text = String::from_utf8(message).unwrap();
        for line in [
            "From: Mail Delivery System <postmaster@a.test>",
            "Subject: Undelivered mail returned to sender",
            "Original-Envelope-Id: QQ 31",
            "Reporting-MTA: dns; mx.test",
            "Arrival-Date: Thu, 1 Jan 1970 00:00:00 +0000",
            "Original-Recipient: rfc822; first+1@b.test",
            "Final-Recipient: rfc822; x@b.test",
            "Action: failed",
            "Status: 5.1.1",
            "Remote-MTA: dns; mx.b.test",
            "Diagnostic-Code: smtp; 550 5.1.1 no  such user",
        ] {
            assert!(text.contains(&format!("\r\n{line}\r\n")), "{line}\n{text}");
        }
        assert_eq!(status_of("450 later"), "4.0.0");
        assert_eq!(given_up("4.2.2"), "5.4.7");
    }

    #[test]
    fn each_action_is_said_in_words_and_in_fields() {
        for (action, subject_line, field, more) in [
            (
                Action::Delayed,
                "Delayed mail",
                "Action: delayed",
                "Will-Retry-Until: Tue, 6 Jan 1970",
            ),
            (
                Action::Delivered,
                "Delivery report",
                "Action: delivered",
                "Status: 2.0.0",
            ),
            (
                Action::Relayed,
                "Delivery report",
                "Action: relayed",
                "Status: 2.0.0",
            ),
        ] {
            let subjects = [subject(action, "x@b.test", "451 4.4.1 silent")];
            let text = String::from_utf8(report(&subjects, None).write()).unwrap();
            for part in [subject_line, field, more, "x@b.test"] {
                assert!(text.contains(part), "{part}\n{text}");
            }
            assert!(!text.contains("Original-Envelope-Id"));
        }
        assert_eq!(report(&[], None).worst(), Action::Failed);
    }

    /// RFC 6533 §3 and §4.
    #[test]
    fn international_addresses_have_types_of_their_own() {
        let subjects = [subject(Action::Failed, "例@b.test", "550 5.1.1 no")];
        let mut report = report(&subjects, None);
        let message = report.write();
        assert_eq!(
            kinds(&message),
            ["plain", "global-delivery-status", "global-headers"]
        );
        assert!(
            String::from_utf8(message)
                .unwrap()
                .contains("Final-Recipient: utf-8; 例@b.test\r\n")
        );
        (report.is_whole, report.returned) = (true, "Subject: é\r\n\r\n".as_bytes());
        let message = report.write();
        assert_eq!(
            kinds(&message),
            ["plain", "global-delivery-status", "global"]
        );
    }

    #[test]
    fn the_whole_is_a_message_of_its_own() {
        let subjects = [subject(Action::Failed, "x@b.test", "550 5.1.1 no")];
        let mut report = report(&subjects, None);
        (report.is_whole, report.returned) = (true, b"Subject: hi\r\n\r\nbody without an end");
        let message = report.write();
        assert_eq!(kinds(&message), ["plain", "delivery-status", "rfc822"]);
        assert!(
            String::from_utf8(message)
                .unwrap()
                .contains("without an end\r\n\r\n--=_1_1--\r\n")
        );
    }
}

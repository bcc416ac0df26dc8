//! What a server says of itself: the reply to EHLO, and HELP.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use bytes::{Bytes, BytesMut};
use core::fmt::Write as _;

use crate::mechanism::is_mechanism;
use crate::parameter::date_time;
use crate::server::options::Options;

impl Options {
    /// The lines of the reply to EHLO. What is offered under TLS alone is not offered in clear.
    pub(super) fn lines(&self, authenticated: bool) -> Vec<Bytes> {
        let mut lines = Vec::with_capacity(16);
        lines.push(self.hostname.clone());
        let mut add = |offered: bool, line: &'static str| {
            if offered {
                lines.push(line.into());
            }
        };
        add(true, "PIPELINING");
        add(true, "8BITMIME");
        add(self.smtputf8, "SMTPUTF8");
        add(self.chunking, "CHUNKING");
        add(self.offers_binary(), "BINARYMIME");
        add(self.dsn, "DSN");
        add(true, "ENHANCEDSTATUSCODES");
        add(self.starttls && !self.tls, "STARTTLS");
        add(self.requiretls && self.tls, "REQUIRETLS");
        add(self.mt_priority, "MT-PRIORITY");
        add(self.rrvs, "RRVS");
        add(self.etrn, "ETRN");
        add(
            self.xclient,
            "XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT",
        );
        add(
            self.xforward,
            "XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE",
        );
        lines.insert(
            2.min(lines.len()),
            format!("SIZE {}", self.limits.message).into(),
        );
        lines.push(format!("LIMITS RCPTMAX={}", self.limits.recipients.min(999_999)).into());
        if self.burl && authenticated {
            lines.push("BURL imap".into());
        }
        if let Some(least) = self.deliver_by {
            lines.push(match least {
                0 => "DELIVERBY".into(),
                least => format!("DELIVERBY {least}").into(),
            });
        }
        if let Some(release) = self.future_release {
            let mut output = hikyaku_wire::Output::new();
            date_time::write(release.latest, &mut output);
            let latest = String::from_utf8_lossy(bytes::Buf::chunk(&output)).into_owned();
            lines.push(format!("FUTURERELEASE {} {latest}", release.longest).into());
        }
        if let Some(keywords) = &self.no_soliciting {
            lines.push(match keywords.is_empty() {
                true => "NO-SOLICITING".into(),
                false => [b"NO-SOLICITING ", &keywords[..]].concat().into(),
            });
        }
        if self.may_authenticate() && !authenticated {
            let mut line = BytesMut::from("AUTH");
            for mechanism in self.mechanisms() {
                line.extend_from_slice(b" ");
                line.extend_from_slice(mechanism);
            }
            lines.push(line.freeze());
        }
        lines
    }

    pub(super) fn may_authenticate(&self) -> bool {
        self.mechanisms().next().is_some() && (self.tls || !self.login_needs_tls)
    }

    /// Those that a line can name.
    pub(super) fn mechanisms(&self) -> impl Iterator<Item = &Bytes> {
        let all = self.mechanisms.iter();
        all.filter(|name| is_mechanism(name))
    }

    /// Binary messages come by BDAT alone (RFC 3030 §3).
    pub(super) fn offers_binary(&self) -> bool {
        self.binary_mime && self.chunking
    }

    /// The commands that HELP lists.
    pub(super) fn help(&self) -> String {
        let hello = match self.lmtp {
            true => "LHLO",
            false => "EHLO HELO",
        };
        let mut text = format!("Commands: {hello} MAIL RCPT DATA RSET NOOP QUIT VRFY HELP");
        for (offered, name) in [
            (self.chunking, "BDAT"),
            (self.burl, "BURL"),
            (self.expn, "EXPN"),
            (self.etrn, "ETRN"),
            (self.starttls && !self.tls, "STARTTLS"),
            (self.may_authenticate(), "AUTH"),
            (self.xclient, "XCLIENT"),
            (self.xforward, "XFORWARD"),
        ] {
            if offered {
                let _ = write!(text, " {name}");
            }
        }
        text
    }
}

//! What the server says it can do, in each state (RFC 9051 §6.1.1).

use alloc::vec::Vec;
use bytes::Bytes;

use super::Connection;

impl Connection {
    pub(super) fn capabilities(&self) -> Vec<Bytes> {
        let mut all: Vec<Bytes> = [
            "IMAP4rev1",
            "LITERAL+",
            "SASL-IR",
            "ID",
            "ENABLE",
            "IDLE",
            "UNSELECT",
        ]
        .map(Into::into)
        .into();
        if !self.authenticated {
            if self.options.starttls && !self.options.tls {
                all.push("STARTTLS".into());
            }
            if !self.options.tls && self.options.login_needs_tls {
                all.push("LOGINDISABLED".into());
            } else {
                all.extend(
                    self.options
                        .mechanisms
                        .iter()
                        .map(|mechanism| [b"AUTH=", &mechanism[..]].concat().into()),
                );
            }
        }
        if self.options.compress && !self.options.compressed {
            all.push("COMPRESS=DEFLATE".into());
        }
        let own = self.options.capabilities.iter();
        // RFC 8437 §4.1: it would have to end the compression.
        let is = |name: &&Bytes| !(self.options.compressed && &name[..] == b"UNAUTHENTICATE");
        all.extend(own.filter(is).cloned());
        all
    }
}

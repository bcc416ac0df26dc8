//! What the server says it can do, in each state (RFC 9051 §6.1.1).

use alloc::vec::Vec;
use bytes::Bytes;

use super::Connection;
use crate::plumbing::text::is_atom_char;

impl Connection {
    pub(super) fn capabilities(&self) -> Vec<Bytes> {
        let mut all: Vec<Bytes> = ["IMAP4rev1", "LITERAL+", "ENABLE"].map(Into::into).into();
        if !self.authenticated {
            if self.options.starttls && !self.options.tls {
                all.push("STARTTLS".into());
            }
            if !self.options.tls && self.options.login_needs_tls {
                all.push("LOGINDISABLED".into());
            } else if self.mechanisms().next().is_some() {
                all.push("SASL-IR".into());
                let named = |mechanism: &Bytes| [b"AUTH=", &mechanism[..]].concat().into();
                all.extend(self.mechanisms().map(named));
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

    /// Those that CAPABILITY can name.
    fn mechanisms(&self) -> impl Iterator<Item = &Bytes> {
        let is_name = |name: &&Bytes| !name.is_empty() && name.iter().all(|&o| is_atom_char(o));
        self.options.mechanisms.iter().filter(is_name)
    }

    /// Whether the application has said that it can do that.
    pub(super) fn offers(&self, name: &[u8]) -> bool {
        let mut all = self.options.capabilities.iter();
        all.any(|one| one.eq_ignore_ascii_case(name))
    }
}

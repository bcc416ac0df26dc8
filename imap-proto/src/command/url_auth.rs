//! URLs that let others read a part of a message (RFC 4467): the codec alone.

use alloc::vec::Vec;
use bytes::Bytes;
use hikyaku_wire::Output;

use crate::MailboxName;
use crate::plumbing::cursor::{Cursor, Result};
use crate::plumbing::text::{write_astring, write_nstring};
use crate::plumbing::word::write_atom;
use crate::value::mailbox::mailbox;

/// RESETKEY: URLs that were made before are worth nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "its parts are the grammar's")]
pub struct ResetKey {
    /// Of which mailbox, of all without one; and of which mechanisms, of all without any.
    pub mailbox: Option<(MailboxName, Vec<Bytes>)>,
}

impl ResetKey {
    /// Appends what follows `RESETKEY`.
    pub(crate) fn encode(&self, output: &mut Output) {
        let Some((mailbox, mechanisms)) = &self.mailbox else {
            return;
        };
        output.write(b" ");
        mailbox.encode(output);
        for mechanism in mechanisms {
            output.write(b" ");
            write_atom(mechanism, output);
        }
    }
}

/// Behind `RESETKEY`.
pub(crate) fn reset_key(cursor: &mut Cursor<'_>) -> Result<ResetKey> {
    let mut reset = ResetKey::default();
    if cursor.eat(b' ') {
        let mailbox = mailbox(cursor)?;
        let mut mechanisms = Vec::new();
        while cursor.eat(b' ') {
            mechanisms.push(cursor.atom()?);
        }
        reset.mailbox = Some((mailbox, mechanisms));
    }
    Ok(reset)
}

/// Appends ` url mechanism` of each.
pub(crate) fn write_rumps(rumps: &[(Bytes, Bytes)], output: &mut Output) {
    for (url, mechanism) in rumps {
        output.write(b" ");
        write_astring(url, output);
        output.write(b" ");
        write_atom(mechanism, output);
    }
}

/// Behind `GENURLAUTH `.
pub(crate) fn rumps(cursor: &mut Cursor<'_>) -> Result<Vec<(Bytes, Bytes)>> {
    let mut rumps = Vec::new();
    loop {
        let url = cursor.astring()?;
        cursor.sp()?;
        rumps.push((url, cursor.atom()?));
        if !cursor.eat(b' ') {
            return Ok(rumps);
        }
    }
}

/// Appends ` url` of each.
pub(crate) fn write_urls(urls: &[Bytes], output: &mut Output) {
    for url in urls {
        output.write(b" ");
        write_astring(url, output);
    }
}

/// One astring or more, with a blank between them.
pub(crate) fn urls(cursor: &mut Cursor<'_>) -> Result<Vec<Bytes>> {
    let mut urls = Vec::from([cursor.astring()?]);
    while cursor.eat(b' ') {
        urls.push(cursor.astring()?);
    }
    Ok(urls)
}

/// Appends ` url octets` of each.
pub(crate) fn write_fetched(fetched: &[(Bytes, Option<Bytes>)], output: &mut Output) {
    for (url, octets) in fetched {
        output.write(b" ");
        write_astring(url, output);
        output.write(b" ");
        write_nstring(octets.as_deref(), output);
    }
}

/// Behind `* URLFETCH `.
pub(crate) fn fetched(cursor: &mut Cursor<'_>) -> Result<Vec<(Bytes, Option<Bytes>)>> {
    let mut fetched = Vec::new();
    loop {
        let url = cursor.astring()?;
        cursor.sp()?;
        fetched.push((url, cursor.any_nstring()?));
        if !cursor.eat(b' ') {
            return Ok(fetched);
        }
    }
}

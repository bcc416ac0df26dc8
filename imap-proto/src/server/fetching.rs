//! FETCH responses, whose sections stream (RFC 9051 §7.5.2).

use bytes::{Buf as _, Bytes};
use hikyaku_wire::Output;

use super::{Connection, Misuse, State};
use crate::{FetchAttribute, FetchItem};

/// A FETCH response that was begun.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Fetching {
    /// Whether an item was written.
    any: bool,
    /// Octets of the literal that are due.
    left: u64,
}

impl Connection {
    /// Begins the FETCH response of a message; `false` when the client does not know of it.
    ///
    /// # Errors
    /// [`Misuse`] when another one is begun, before the greeting, and after the end.
    pub fn begin_fetch(&mut self, uid: u32, output: &mut Output) -> Result<bool, Misuse> {
        let ended = matches!(
            self.state,
            State::Start | State::StartTls | State::Compress | State::Closed
        );
        if ended || self.fetching.is_some() {
            return Err(self.misuse("begin_fetch"));
        }
        let next = self.next_fetched;
        let view = self.selected.as_ref();
        let Some(sequence) = view.and_then(|view| view.sequence_near(uid, next)) else {
            return Ok(false);
        };
        self.next_fetched = sequence;
        output.write(b"* ");
        match self.enabled.uid_only {
            true => {
                output.write_number(u64::from(uid));
                output.write(b" UIDFETCH (");
            }
            false => {
                output.write_number(u64::from(sequence));
                output.write(b" FETCH (");
            }
        }
        self.fetching = Some(Fetching::default());
        Ok(true)
    }

    fn item(&mut self, method: &'static str, output: &mut Output) -> Result<&mut Fetching, Misuse> {
        let misuse = self.misuse(method);
        let fetching = self.fetching.as_mut().filter(|f| f.left == 0);
        let fetching = fetching.ok_or(misuse)?;
        if core::mem::replace(&mut fetching.any, true) {
            output.write(b" ");
        }
        Ok(fetching)
    }

    /// Adds an item.
    ///
    /// # Errors
    /// [`Misuse`] when no response is begun, or a literal is not whole.
    pub fn fetch_item(&mut self, item: &FetchItem, output: &mut Output) -> Result<(), Misuse> {
        self.item("fetch_item", output)?;
        item.encode(output);
        Ok(())
    }

    /// Adds a section, as it was asked for: its octets follow; NIL when there is no such part.
    ///
    /// # Errors
    /// [`Misuse`] as for `fetch_item`.
    pub fn begin_section(
        &mut self,
        attribute: &FetchAttribute,
        octets: Option<u64>,
        output: &mut Output,
    ) -> Result<(), Misuse> {
        self.begin_literal("begin_section", attribute, octets, b" {", output)
    }

    /// The same of decoded octets that have NUL among them (RFC 3516 §4.3).
    ///
    /// # Errors
    /// [`Misuse`] as for `fetch_item`.
    pub fn begin_section8(
        &mut self,
        attribute: &FetchAttribute,
        octets: u64,
        output: &mut Output,
    ) -> Result<(), Misuse> {
        self.begin_literal("begin_section8", attribute, Some(octets), b" ~{", output)
    }

    fn begin_literal(
        &mut self,
        method: &'static str,
        attribute: &FetchAttribute,
        octets: Option<u64>,
        open: &[u8],
        output: &mut Output,
    ) -> Result<(), Misuse> {
        let fetching = self.item(method, output)?;
        fetching.left = octets.unwrap_or(0);
        attribute.encode_name(output);
        match octets {
            None => output.write(b" NIL"),
            Some(0) => output.write(b" \"\""),
            Some(octets) => {
                output.write(open);
                output.write_number(octets);
                output.write(b"}\r\n");
            }
        }
        Ok(())
    }

    /// The next octets of the section.
    ///
    /// # Errors
    /// [`Misuse`] when more come than were announced: nothing of them is sent.
    pub fn section_chunk(&mut self, chunk: Bytes, output: &mut Output) -> Result<(), Misuse> {
        let misuse = self.misuse("section_chunk");
        let fetching = self.fetching.as_mut().ok_or(misuse)?;
        let left = fetching.left.checked_sub(chunk.len() as u64);
        fetching.left = left.ok_or(misuse)?;
        output.push(chunk);
        Ok(())
    }

    /// Ends the FETCH response.
    ///
    /// # Errors
    /// [`Misuse`] when none is begun, or a section is not whole: then only closing is left.
    pub fn end_fetch(&mut self, output: &mut Output) -> Result<(), Misuse> {
        let fetching = self.fetching.ok_or(self.misuse("end_fetch"))?;
        if fetching.left > 0 {
            return Err(self.misuse("end_fetch"));
        }
        self.fetching = None;
        output.write(b")\r\n");
        let mut late = core::mem::take(&mut self.late);
        let length = late.len();
        if length > 0 {
            output.push(late.copy_to_bytes(length));
        }
        Ok(())
    }
}

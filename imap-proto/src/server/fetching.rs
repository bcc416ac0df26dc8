//! FETCH responses, whose sections stream (RFC 9051 §7.5.2).

use bytes::{Buf as _, Bytes};
use hikyaku_wire::Output;

use super::fetch_response::Fetching;
use super::{Connection, Misuse, State};
use crate::{FetchAttribute, FetchItem, Uid};

impl Connection {
    /// Begins the FETCH response of a message; `false` when the client does not know of it.
    ///
    /// ```
    /// # use hikyaku_imap_proto::server::{Connection, Options};
    /// # use hikyaku_imap_proto::Status;
    /// # let mut options = Options::default();
    /// # (options.tls, options.mechanisms) = (true, vec!["PLAIN".into()]);
    /// # options.capabilities = ["IDLE", "CONDSTORE", "QRESYNC", "UTF8=ACCEPT", "METADATA", "UIDONLY", "IMAP4rev2"].map(Into::into).into();
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("");
    /// # scene.answer(|machine, output| machine.greet("ready", output));
    /// # scene.sent();
    /// # scene.hears("a LOGIN alice sesame\r\n");
    /// # scene.answer(|machine, output| machine.grant(output));
    /// # scene.sent();
    /// # scene.hears("b SELECT INBOX\r\n");
    /// # scene.answer(|machine, output| { machine.select([4, 7, 9].into_iter().filter_map(hikyaku_imap_proto::Uid::new).collect(), hikyaku_imap_proto::Uid::new(9), false, output); machine.complete(Status::Ok, None, "Selected", output) });
    /// # scene.sent();
    /// # scene.hears("c UID FETCH 7 (UID BODY.PEEK[])\r\n");
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// use hikyaku_imap_proto::{FetchItem, Uid};
    /// // UID 7 is the second message; `false` says that the client does not know it.
    /// let seven = Uid::new(7).ok_or("zero")?;
    /// if machine.begin_fetch(seven, output)? {
    ///     machine.fetch_item(&FetchItem::Uid(seven), output)?;
    ///     machine.end_fetch(output)?;
    /// }
    /// // * 2 FETCH (UID 7)
    /// # assert_eq!(scene.sent(), "* 2 FETCH (UID 7)\r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Misuse`] when another one is begun, before the greeting, and after the end.
    pub fn begin_fetch(&mut self, uid: Uid, output: &mut Output) -> Result<bool, Misuse> {
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
        self.next_fetched = sequence.index() + 1;
        output.write(b"* ");
        match self.enabled.uid_only {
            true => {
                output.write_number(u64::from(uid.get()));
                output.write(b" UIDFETCH (");
            }
            false => {
                output.write_number(u64::from(sequence.get()));
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
    /// ```
    /// # use hikyaku_imap_proto::server::{Connection, Options};
    /// # use hikyaku_imap_proto::Status;
    /// # let mut options = Options::default();
    /// # (options.tls, options.mechanisms) = (true, vec!["PLAIN".into()]);
    /// # options.capabilities = ["IDLE", "CONDSTORE", "QRESYNC", "UTF8=ACCEPT", "METADATA", "UIDONLY", "IMAP4rev2"].map(Into::into).into();
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("");
    /// # scene.answer(|machine, output| machine.greet("ready", output));
    /// # scene.sent();
    /// # scene.hears("a LOGIN alice sesame\r\n");
    /// # scene.answer(|machine, output| machine.grant(output));
    /// # scene.sent();
    /// # scene.hears("b SELECT INBOX\r\n");
    /// # scene.answer(|machine, output| { machine.select([4, 7, 9].into_iter().filter_map(hikyaku_imap_proto::Uid::new).collect(), hikyaku_imap_proto::Uid::new(9), false, output); machine.complete(Status::Ok, None, "Selected", output) });
    /// # scene.sent();
    /// # scene.hears("c UID FETCH 7 (UID BODY.PEEK[])\r\n");
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// use hikyaku_imap_proto::FetchItem;
    /// # let seven = hikyaku_imap_proto::Uid::new(7).ok_or("zero")?;
    /// machine.begin_fetch(seven, output)?;
    /// machine.fetch_item(&FetchItem::Uid(seven), output)?;
    /// machine.fetch_item(&FetchItem::Rfc822Size(120), output)?;
    /// machine.end_fetch(output)?;
    /// // * 2 FETCH (UID 7 RFC822.SIZE 120)
    /// # assert_eq!(scene.sent(), "* 2 FETCH (UID 7 RFC822.SIZE 120)\r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
    /// ```
    /// # use hikyaku_imap_proto::server::{Connection, Options};
    /// # use hikyaku_imap_proto::Status;
    /// # let mut options = Options::default();
    /// # (options.tls, options.mechanisms) = (true, vec!["PLAIN".into()]);
    /// # options.capabilities = ["IDLE", "CONDSTORE", "QRESYNC", "UTF8=ACCEPT", "METADATA", "UIDONLY", "IMAP4rev2"].map(Into::into).into();
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("");
    /// # scene.answer(|machine, output| machine.greet("ready", output));
    /// # scene.sent();
    /// # scene.hears("a LOGIN alice sesame\r\n");
    /// # scene.answer(|machine, output| machine.grant(output));
    /// # scene.sent();
    /// # scene.hears("b SELECT INBOX\r\n");
    /// # scene.answer(|machine, output| { machine.select([4, 7, 9].into_iter().filter_map(hikyaku_imap_proto::Uid::new).collect(), hikyaku_imap_proto::Uid::new(9), false, output); machine.complete(Status::Ok, None, "Selected", output) });
    /// # scene.sent();
    /// # scene.hears("c UID FETCH 7 (UID BODY.PEEK[])\r\n");
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// use hikyaku_imap_proto::{FetchAttribute, Section};
    /// let whole = FetchAttribute::BodySection { peek: true, section: Section::default(), partial: None };
    /// # let seven = hikyaku_imap_proto::Uid::new(7).ok_or("zero")?;
    /// machine.begin_fetch(seven, output)?;
    /// machine.begin_section(&whole, Some(5), output)?;
    /// machine.section_chunk("hello".into(), output)?;
    /// machine.end_fetch(output)?;
    /// # assert_eq!(scene.sent(), "* 2 FETCH (BODY[] {5}\r\nhello)\r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
    /// ```
    /// # use hikyaku_imap_proto::server::{Connection, Options};
    /// # use hikyaku_imap_proto::Status;
    /// # let mut options = Options::default();
    /// # (options.tls, options.mechanisms) = (true, vec!["PLAIN".into()]);
    /// # options.capabilities = ["IDLE", "CONDSTORE", "QRESYNC", "UTF8=ACCEPT", "METADATA", "UIDONLY", "IMAP4rev2"].map(Into::into).into();
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("");
    /// # scene.answer(|machine, output| machine.greet("ready", output));
    /// # scene.sent();
    /// # scene.hears("a LOGIN alice sesame\r\n");
    /// # scene.answer(|machine, output| machine.grant(output));
    /// # scene.sent();
    /// # scene.hears("b SELECT INBOX\r\n");
    /// # scene.answer(|machine, output| { machine.select([4, 7, 9].into_iter().filter_map(hikyaku_imap_proto::Uid::new).collect(), hikyaku_imap_proto::Uid::new(9), false, output); machine.complete(Status::Ok, None, "Selected", output) });
    /// # scene.sent();
    /// # scene.hears("c UID FETCH 7 (UID BODY.PEEK[])\r\n");
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// use hikyaku_imap_proto::FetchAttribute;
    /// let binary = FetchAttribute::Binary { peek: true, part: vec![1], partial: None };
    /// # let seven = hikyaku_imap_proto::Uid::new(7).ok_or("zero")?;
    /// machine.begin_fetch(seven, output)?;
    /// machine.begin_section8(&binary, 2, output)?;
    /// machine.section_chunk("\0x".into(), output)?;
    /// machine.end_fetch(output)?;
    /// # assert_eq!(scene.sent(), "* 2 FETCH (BINARY[1] ~{2}\r\n\0x)\r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
    /// ```
    /// # use hikyaku_imap_proto::server::{Connection, Options};
    /// # use hikyaku_imap_proto::Status;
    /// # let mut options = Options::default();
    /// # (options.tls, options.mechanisms) = (true, vec!["PLAIN".into()]);
    /// # options.capabilities = ["IDLE", "CONDSTORE", "QRESYNC", "UTF8=ACCEPT", "METADATA", "UIDONLY", "IMAP4rev2"].map(Into::into).into();
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("");
    /// # scene.answer(|machine, output| machine.greet("ready", output));
    /// # scene.sent();
    /// # scene.hears("a LOGIN alice sesame\r\n");
    /// # scene.answer(|machine, output| machine.grant(output));
    /// # scene.sent();
    /// # scene.hears("b SELECT INBOX\r\n");
    /// # scene.answer(|machine, output| { machine.select([4, 7, 9].into_iter().filter_map(hikyaku_imap_proto::Uid::new).collect(), hikyaku_imap_proto::Uid::new(9), false, output); machine.complete(Status::Ok, None, "Selected", output) });
    /// # scene.sent();
    /// # scene.hears("c UID FETCH 7 (UID BODY.PEEK[])\r\n");
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// use hikyaku_imap_proto::{FetchAttribute, Section};
    /// let whole = FetchAttribute::BodySection { peek: true, section: Section::default(), partial: None };
    /// # let seven = hikyaku_imap_proto::Uid::new(7).ok_or("zero")?;
    /// machine.begin_fetch(seven, output)?;
    /// machine.begin_section(&whole, Some(4), output)?;
    /// // As it comes out of the store; all that was announced has to follow.
    /// machine.section_chunk("he".into(), output)?;
    /// machine.section_chunk("y!".into(), output)?;
    /// machine.end_fetch(output)?;
    /// # assert_eq!(scene.sent(), "* 2 FETCH (BODY[] {4}\r\nhey!)\r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
    /// ```
    /// # use hikyaku_imap_proto::server::{Connection, Options};
    /// # use hikyaku_imap_proto::Status;
    /// # let mut options = Options::default();
    /// # (options.tls, options.mechanisms) = (true, vec!["PLAIN".into()]);
    /// # options.capabilities = ["IDLE", "CONDSTORE", "QRESYNC", "UTF8=ACCEPT", "METADATA", "UIDONLY", "IMAP4rev2"].map(Into::into).into();
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("");
    /// # scene.answer(|machine, output| machine.greet("ready", output));
    /// # scene.sent();
    /// # scene.hears("a LOGIN alice sesame\r\n");
    /// # scene.answer(|machine, output| machine.grant(output));
    /// # scene.sent();
    /// # scene.hears("b SELECT INBOX\r\n");
    /// # scene.answer(|machine, output| { machine.select([4, 7, 9].into_iter().filter_map(hikyaku_imap_proto::Uid::new).collect(), hikyaku_imap_proto::Uid::new(9), false, output); machine.complete(Status::Ok, None, "Selected", output) });
    /// # scene.sent();
    /// # scene.hears("c UID FETCH 7 (UID BODY.PEEK[])\r\n");
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// # let seven = hikyaku_imap_proto::Uid::new(7).ok_or("zero")?;
    /// machine.begin_fetch(seven, output)?;
    /// machine.end_fetch(output)?;
    /// // * 2 FETCH ()
    /// # assert_eq!(scene.sent(), "* 2 FETCH ()\r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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

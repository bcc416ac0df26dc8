//! An incoming message: its trace fields, and how it is staged.

use bytes::{Bytes, BytesMut};
use hikyaku_mailstore::{Stage, Staged, Store};
use hikyaku_message::{Scanner, fields};
use hikyaku_smtp_proto::Reply;
use std::collections::HashSet;

use super::author::{Authors, NotTheirs};
use super::form::Form;
use super::whole::{Room, Whole};
use crate::examiner::Opinion;
use hikyaku_mailstore::unix_now;
use hikyaku_message::DateTime;

/// A header section of more than this is not looked through any further.
const HEADER: usize = 256 * 1024;
/// More Received fields than this are a loop (RFC 5321 §6.3).
const HOPS: usize = 100;

/// What is staged: a body for each form.
pub(super) struct Incoming {
    bodies: Vec<Body>,
    /// The addresses that Delivered-To fields name, in lower case.
    delivered_to: HashSet<String>,
    /// The header section, until it is whole.
    head: Option<BytesMut>,
    trace: Trace,
    /// What is looked at as a whole before it is staged.
    whole: Option<Whole>,
    failed: Option<Failure>,
}

/// One form of it.
struct Body {
    form: Form,
    stage: Box<dyn Stage>,
    /// For mailboxes here, which have a summary of each message.
    scanner: Option<Scanner>,
}

/// What is written before the message, in all forms.
pub(super) struct Trace {
    pub(super) received: String,
    /// A user's own message: what is missing is added (RFC 6409 §8).
    pub(super) complete: bool,
    /// Whose message it may be.
    pub(super) authors: Authors,
    /// Behind the `@` of a Message-ID.
    pub(super) hostname: String,
    pub(super) id: String,
}

/// Why nothing comes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    Loop,
    Store,
    /// There is no room to look at it.
    Busy,
    Author(NotTheirs),
}

/// What came of it.
pub(super) struct Arrived {
    /// A body for each form, and its summary where it is for mailboxes here.
    pub(super) bodies: Vec<(Staged, Bytes)>,
    /// Where it has been already: the addresses that Delivered-To fields name, in lower case.
    pub(super) delivered_to: HashSet<String>,
}

impl Failure {
    /// What the client is sent.
    pub(super) fn reply(self) -> Reply {
        match self {
            Self::Loop => Reply::new(554, "5.4.6", "Mail loop"),
            Self::Store => Reply::new(451, "4.3.0", "Try again later"),
            Self::Busy => Reply::new(451, "4.3.2", "The server is busy, try again later"),
            Self::Author(why) => Reply::new(550, "5.7.1", why.text()),
        }
    }
}

impl Incoming {
    pub(super) async fn begin(
        store: &dyn Store,
        forms: Vec<Form>,
        trace: Trace,
        examined: Option<&Room>,
    ) -> hikyaku_mailstore::Result<Box<Self>> {
        let mut bodies = Vec::with_capacity(forms.len());
        for form in forms {
            bodies.push(Body {
                stage: store.stage().await?,
                scanner: form.is_here().then(Scanner::default),
                form,
            });
        }
        // It is large, and handed on from step to step.
        Ok(Box::new(Self {
            bodies,
            delivered_to: HashSet::new(),
            head: Some(BytesMut::new()),
            trace,
            whole: examined.map(Whole::begin),
            failed: None,
        }))
    }

    pub(super) async fn chunk(&mut self, chunk: Bytes) {
        let Some(head) = &mut self.head else {
            return self.write(chunk).await;
        };
        // The end of the header section may lie across chunks.
        let from = head.len().saturating_sub(3);
        head.extend_from_slice(&chunk);
        let seen = head.get(from..).unwrap_or(&[]);
        let ended = seen.windows(4).any(|four| four == b"\r\n\r\n") || head.starts_with(b"\r\n");
        if ended || head.len() > HEADER {
            self.header(ended).await;
        }
    }

    /// The header section is there, or as much of it as is looked through: what goes before it, then itself.
    async fn header(&mut self, is_whole: bool) {
        let Some(head) = self.head.take() else { return };
        let head = head.freeze();
        let has = |name: &str| fields(&head).any(|(n, ..)| n.eq_ignore_ascii_case(name.as_bytes()));
        let hops = fields(&head)
            .filter(|(n, ..)| n.eq_ignore_ascii_case(b"received"))
            .count();
        if hops > HOPS {
            self.failed = Some(Failure::Loop);
        }
        let trace = &self.trace;
        let mut added = String::new();
        match trace.authors.check(&head, is_whole) {
            Ok(from) => added += from.as_deref().unwrap_or(""),
            Err(why) => self.failed = Some(Failure::Author(why)),
        }
        if trace.complete && !has("date") {
            added += &format!("Date: {}\r\n", DateTime::utc(unix_now()));
        }
        if trace.complete && !has("message-id") {
            added += &format!("Message-ID: <{}@{}>\r\n", trace.id, trace.hostname);
        }
        let delivered_to = fields(&head)
            .filter(|(n, ..)| n.eq_ignore_ascii_case(b"delivered-to"))
            .map(|(_, value, _)| String::from_utf8_lossy(value.trim_ascii()).to_lowercase());
        self.delivered_to = delivered_to.collect();
        if self.whole.is_none() {
            self.stage_trace().await;
        }
        self.write(Bytes::from(added)).await;
        self.write(head).await;
    }

    /// What stands before all else: the fields of each form, and this server's Received.
    async fn stage_trace(&mut self) {
        if self.failed.is_some() {
            return;
        }
        for body in &mut self.bodies {
            let fields = Bytes::from(body.form.fields());
            if !fields.is_empty() && body.write(fields).await.is_err() {
                self.failed = Some(Failure::Store);
            }
        }
        let received = std::mem::take(&mut self.trace.received);
        self.stage(Bytes::from(received)).await;
    }

    /// What copies for other servers have alone.
    async fn stage_elsewhere(&mut self, fields: Bytes) {
        if self.failed.is_some() || fields.is_empty() {
            return;
        }
        for body in self.bodies.iter_mut().filter(|body| !body.form.is_here()) {
            if body.write(fields.clone()).await.is_err() {
                self.failed = Some(Failure::Store);
            }
        }
    }

    async fn write(&mut self, octets: Bytes) {
        let Some(whole) = &mut self.whole else {
            return self.stage(octets).await;
        };
        if self.failed.is_none() && !whole.add(&octets) {
            self.failed = Some(Failure::Busy);
            // What it held is free for others at once.
            self.whole = None;
        }
    }

    async fn stage(&mut self, octets: Bytes) {
        if self.failed.is_some() || octets.is_empty() {
            return;
        }
        for body in &mut self.bodies {
            if body.write(octets.clone()).await.is_err() {
                self.failed = Some(Failure::Store);
            }
        }
    }

    /// The message has come: asks `examiner`, where it is to be looked at, and stages what becomes of it. Returns whether
    /// it is junk, and what was noted.
    pub(super) async fn examined<F: Future<Output = Opinion>>(
        &mut self,
        examine: impl FnOnce(Bytes) -> F,
    ) -> Result<(bool, Vec<String>), Reply> {
        self.header(true).await;
        if let Some(failed) = self.failed {
            return Err(failed.reply());
        }
        let Some(whole) = self.whole.take() else {
            return Ok((false, Vec::new()));
        };
        let (message, _held) = whole.end();
        match examine(message.clone()).await {
            Opinion::Refuse(reply) => Err(reply),
            Opinion::Accept(remarks) => {
                self.stage_trace().await;
                self.stage_elsewhere(remarks.elsewhere).await;
                self.stage(remarks.fields).await;
                self.stage(remarks.message.unwrap_or(message)).await;
                Ok((remarks.junk, remarks.notes))
            }
        }
    }

    pub(super) async fn finish(mut self: Box<Self>) -> Result<Arrived, Failure> {
        self.header(true).await;
        if let Some(failed) = self.failed {
            return Err(failed);
        }
        let mut bodies = Vec::with_capacity(self.bodies.len());
        for body in self.bodies {
            let staged = body.stage.finish().await.map_err(|_| Failure::Store)?;
            let summary = body.scanner.map(|scanner| scanner.finish().encode());
            bodies.push((staged, summary.unwrap_or_default()));
        }
        Ok(Arrived {
            bodies,
            delivered_to: self.delivered_to,
        })
    }
}

impl Body {
    async fn write(&mut self, octets: Bytes) -> hikyaku_mailstore::Result<()> {
        if let Some(scanner) = &mut self.scanner {
            scanner.feed(&octets);
        }
        self.stage.write(octets).await
    }
}

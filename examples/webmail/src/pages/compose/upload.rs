//! Reads the fields and files of a form, within bounds and never as a whole.

use axum::body::{Body, BodyDataStream};
use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{FromRequest as _, Multipart, Request};
use axum::http::{StatusCode, header};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use hikyaku_client::Error;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use super::file::{File, digest};
use super::written::Written;
use crate::session::Sessions;
use crate::spool::{Owner, Spool, Spools};

/// How much is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Octets of all fields that are no files.
    pub(super) text: usize,
    /// Octets of all files that are kept.
    pub(super) files: usize,
    /// Octets of all of it, with files that are too large, which are read and not kept: a browser shows no answer
    /// before it has sent everything.
    pub(super) whole: u64,
    /// The most fields.
    pub(super) fields: usize,
}

impl Bounds {
    /// For somebody who is logged in and may attach so much.
    pub(super) fn of(message: usize) -> Self {
        Self {
            text: message.min(16 * 1024 * 1024),
            files: message,
            whole: 1024 * 1024 * 1024,
            fields: 1000,
        }
    }

    /// For somebody of whom nothing is known: the text, and no file.
    pub(super) const STRANGER: Self = Self {
        text: 1024 * 1024,
        files: 0,
        whole: 1024 * 1024 + 64 * 1024,
        fields: 64,
    };
}

/// Octets that may come without completing a field's header or a piece of its value.
const UNREAD: usize = 64 * 1024;
/// Octets of names, and of values that are looked at before the form is there.
const NAME: usize = 255;

/// What came.
#[derive(Default)]
pub(super) struct Sent {
    pub(super) csrf: String,
    pub(super) action: String,
    pub(super) remove: String,
    /// What was to be looked for.
    pub(super) query: String,
    pub(super) written: Written,
    pub(super) files: Vec<File>,
    /// Names of files that were not kept.
    pub(super) too_large: Vec<String>,
    /// It ended before its end.
    pub(super) broken: bool,
}

impl Sent {
    /// What makes one form differ from another.
    pub(super) fn digest(&self) -> String {
        let written = &self.written;
        let numbers = format!("{}/{}", written.attempt, written.attached);
        let texts = [
            &numbers,
            &written.key,
            &written.from,
            &written.to,
            &written.cc,
            &written.bcc,
            &written.subject,
            &written.text,
        ];
        digest(texts.into_iter().map(String::as_str), &self.files)
    }
}

/// Where what is read goes, and whose it is.
pub(super) struct Place<'a> {
    pub(super) spools: &'a Arc<Spools>,
    pub(super) owner: Owner,
    /// Of a stranger's form that was made in one of these sessions as much is read as that.
    pub(super) sessions: &'a Sessions,
    pub(super) most: Bounds,
}

/// A form on its way in: its fields and files lie one behind the other in a spool.
pub(super) struct Received {
    spool: Spool,
    fields: Vec<(String, Range<u64>)>,
    files: Vec<(String, String, Range<u64>)>,
    too_large: Vec<String>,
    broken: bool,
    /// The token, and whether it refers to files that are elsewhere.
    csrf: String,
    refers: bool,
}

/// Reads a form. Of somebody who is not logged in no file is read with `bounds` that have no room for any, unless
/// the form was made in one of the sessions: then as much as for somebody who is.
pub(super) async fn read(
    request: Request,
    mut bounds: Bounds,
    place: Place<'_>,
) -> Result<Received, Error> {
    let (parts, body) = request.into_parts();
    let unread = Arc::new(AtomicUsize::new(0));
    let paced = Paced {
        inner: body.into_data_stream(),
        rest: false,
        unread: Arc::clone(&unread),
    };
    let request = Request::from_parts(parts, Body::from_stream(paced));
    let multipart = Multipart::from_request(request, &()).await;
    let mut multipart = multipart.map_err(|error| Error::Usage(error.body_text()))?;
    let mut reading = Reading {
        text: 0,
        files: 0,
        whole: 0,
        unread,
        received: Received {
            spool: Spool::new(place.spools, place.owner),
            fields: Vec::new(),
            files: Vec::new(),
            too_large: Vec::new(),
            broken: false,
            csrf: String::new(),
            refers: false,
        },
    };
    let mut asked = bounds.files > 0;
    for _ in 0..bounds.fields {
        let field = match multipart.next_field().await {
            Ok(Some(field)) => field,
            Ok(None) => return Ok(reading.received),
            Err(_) => break,
        };
        reading.unread.store(0, Ordering::Relaxed);
        let is_file = field.name() == Some("files");
        if is_file && !asked {
            asked = true;
            if let Some(author) = place.sessions.author(&reading.received.csrf).await {
                let owner = Owner::Person(author.local.account_id());
                if reading.received.spool.belongs_to(owner).is_ok() {
                    bounds = place.most;
                }
            }
        }
        let read = match is_file {
            true => reading.file(field, &bounds).await,
            false => reading.field(field, &bounds).await,
        };
        match read {
            Ok(()) => {}
            Err(End::TooLong) => return Err(Error::Usage("the text is too long".into())),
            Err(End::NoRoom) => {
                let why =
                    "the server has no room for this upload at the moment; try again in a minute";
                return Err(Error::Usage(why.into()));
            }
            Err(End::Broken) => break,
        }
    }
    reading.received.broken = true;
    Ok(reading.received)
}

impl Received {
    /// Octets of memory that dealing with it takes, about: what came, what it is made into, and what was attached
    /// before.
    pub(super) fn weight(&self, message: usize) -> usize {
        let came = usize::try_from(self.spool.len()).unwrap_or(usize::MAX);
        let refers = if self.refers { message } else { 0 };
        came.max(refers).saturating_mul(4)
    }

    /// All that came, in memory.
    pub(super) async fn open(self) -> Result<Sent, Error> {
        let octets = self.spool.read().await;
        let octets = octets.map_err(|error| Error::File("an upload".into(), error))?;
        let octets = Bytes::from(octets);
        let part = |range: &Range<u64>| {
            let at =
                |end: u64| usize::try_from(end).map_or(octets.len(), |end| end.min(octets.len()));
            octets.slice(at(range.start)..at(range.end))
        };
        let mut sent = Sent {
            too_large: self.too_large,
            broken: self.broken,
            ..Sent::default()
        };
        for (name, range) in self.fields {
            let value = String::from_utf8_lossy(&part(&range)).into_owned();
            let place = match name.as_str() {
                "csrf" => &mut sent.csrf,
                "action" => &mut sent.action,
                "remove" => &mut sent.remove,
                "q" => &mut sent.query,
                name => {
                    sent.written.set(name, &value);
                    continue;
                }
            };
            *place = value;
        }
        let files = self.files.into_iter();
        sent.files = files
            .map(|(name, kind, range)| (name, kind, part(&range)))
            .collect();
        Ok(sent)
    }
}

/// Why reading ended early.
enum End {
    TooLong,
    NoRoom,
    Broken,
}

impl From<MultipartError> for End {
    fn from(_: MultipartError) -> Self {
        Self::Broken
    }
}

/// How much was read so far.
struct Reading {
    text: usize,
    files: usize,
    whole: u64,
    unread: Arc<AtomicUsize>,
    received: Received,
}

/// The beginning of a name.
fn cut(name: &str) -> &str {
    let end = (0..=NAME).rev().find(|end| name.is_char_boundary(*end));
    name.get(..end.unwrap_or(0)).unwrap_or(name)
}

impl Reading {
    async fn piece(
        &mut self,
        field: &mut Field<'_>,
        bounds: &Bounds,
    ) -> Result<Option<Bytes>, End> {
        let Some(piece) = field.chunk().await? else {
            return Ok(None);
        };
        self.unread.store(0, Ordering::Relaxed);
        self.whole = self.whole.saturating_add(piece.len() as u64);
        match self.whole > bounds.whole {
            true => Err(End::Broken),
            false => Ok(Some(piece)),
        }
    }

    async fn field(&mut self, mut field: Field<'_>, bounds: &Bounds) -> Result<(), End> {
        let name = cut(field.name().unwrap_or("")).to_owned();
        let from = self.received.spool.len();
        let mut first = Vec::new();
        while let Some(piece) = self.piece(&mut field, bounds).await? {
            self.text += piece.len();
            if self.text > bounds.text {
                return Err(End::TooLong);
            }
            let spooled = self.received.spool.write(&piece).await;
            spooled.map_err(|_| End::NoRoom)?;
            first.extend(piece.iter().take(NAME - first.len()));
        }
        let first = String::from_utf8_lossy(&first);
        match name.as_str() {
            "csrf" => self.received.csrf = first.into_owned(),
            "attached" => self.received.refers |= first != "0",
            "draft" | "forward" => self.received.refers |= !first.is_empty(),
            _ => {}
        }
        let range = from..self.received.spool.len();
        self.received.fields.push((name, range));
        Ok(())
    }

    async fn file(&mut self, mut field: Field<'_>, bounds: &Bounds) -> Result<(), End> {
        // Without folders, and on one line.
        let name = field.file_name().unwrap_or("");
        let name = name.rsplit(['/', '\\']).next().unwrap_or("");
        let name: String = name.chars().filter(|c| !c.is_control()).collect();
        let name = cut(&name).to_owned();
        let kind = field.content_type().unwrap_or("application/octet-stream");
        let kind = cut(kind).to_owned();
        let left = bounds.files.saturating_sub(self.files);
        let from = self.received.spool.len();
        let (mut octets, mut fits) = (0, true);
        while let Some(piece) = self.piece(&mut field, bounds).await.inspect_err(|_| {
            if !name.is_empty() {
                self.received.too_large.push(name.clone());
            }
        })? {
            octets += piece.len();
            fits = fits && octets <= left && self.received.spool.write(&piece).await.is_ok();
        }
        if !fits || name.is_empty() {
            self.received.spool.truncate(from);
        }
        if name.is_empty() {
            return Ok(());
        }
        if fits {
            self.files += octets;
            let range = from..self.received.spool.len();
            self.received.files.push((name, kind, range));
        } else {
            self.received.too_large.push(name);
        }
        Ok(())
    }
}

/// Reads a small form as a whole, with no more than `most` octets.
///
/// # Errors
/// The status that says what is wrong.
pub(crate) async fn small(
    request: Request,
    spools: &Arc<Spools>,
    owner: Owner,
    most: usize,
) -> Result<Spool, StatusCode> {
    let kind = request.headers().get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or("");
    let kind = kind.split(';').next().unwrap_or("").trim();
    if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    let mut spool = Spool::new(spools, owner);
    let mut body = request.into_body().into_data_stream();
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|_| StatusCode::BAD_REQUEST)?;
        if spool.len() + piece.len() as u64 > most as u64 {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        let spooled = spool.write(&piece).await;
        spooled.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    }
    Ok(spool)
}

/// A body that hands out one piece at a time: who reads a multipart takes all that is there, and would hold in
/// memory what comes faster than it is read.
struct Paced {
    inner: BodyDataStream,
    rest: bool,
    unread: Arc<AtomicUsize>,
}

impl Stream for Paced {
    type Item = Result<Bytes, axum::BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.rest) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let next = std::task::ready!(self.inner.poll_next_unpin(cx));
        if let Some(Ok(piece)) = &next {
            self.rest = true;
            let unread = self.unread.fetch_add(piece.len(), Ordering::Relaxed);
            if unread > UNREAD {
                return Poll::Ready(Some(Err("a field without an end".into())));
            }
        }
        Poll::Ready(next.map(|piece| piece.map_err(Into::into)))
    }
}

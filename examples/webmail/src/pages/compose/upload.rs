//! What the browser sent: fields and files of a form, read with bounds and never as a whole.

use axum::body::{Body, BodyDataStream};
use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{FromRequest as _, Multipart, Request};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use hikyaku_client::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use super::draft::digest;
use super::form::Written;
use crate::session::Sessions;

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
}

impl Bounds {
    /// For somebody who is logged in and may attach so much.
    pub(super) fn of(message: usize) -> Self {
        Self {
            text: message.min(16 * 1024 * 1024),
            files: message,
            whole: 1024 * 1024 * 1024,
        }
    }

    /// For somebody of whom nothing is known: the text, and no file.
    pub(super) const STRANGER: Self = Self {
        text: 1024 * 1024,
        files: 0,
        whole: 1024 * 1024 + 64 * 1024,
    };
}

/// The most fields of a form.
const FIELDS: usize = 1000;
/// Octets that may come without completing a field's header or a piece of its value.
const UNREAD: usize = 256 * 1024;

/// A file: its name, media type, octets.
pub(super) type File = (String, String, Bytes);

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
    /// What tells one form from another.
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

/// Reads a form. Of somebody who is not logged in no file is read with `bounds` that have no room for any, unless
/// the form was made in one of those sessions: then as much as that.
pub(super) async fn read(
    request: Request,
    mut bounds: Bounds,
    more: (&Sessions, Bounds),
) -> Result<Sent, Error> {
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
    let mut sent = Sent::default();
    let mut reading = Reading {
        text: 0,
        files: 0,
        whole: 0,
        unread,
    };
    let mut asked = bounds.files > 0;
    for _ in 0..FIELDS {
        let field = match multipart.next_field().await {
            Ok(Some(field)) => field,
            Ok(None) => return Ok(sent),
            Err(_) => break,
        };
        reading.unread.store(0, Ordering::Relaxed);
        let is_file = field.name() == Some("files");
        if is_file && !asked {
            asked = true;
            if more.0.author(&sent.csrf).await.is_some() {
                bounds = more.1;
            }
        }
        let read = match is_file {
            true => reading.file(field, &bounds, &mut sent).await,
            false => reading.field(field, &bounds, &mut sent).await,
        };
        match read {
            Ok(()) => {}
            Err(End::TooLong) => return Err(Error::Usage("the text is too long".into())),
            Err(End::Broken) => break,
        }
    }
    sent.broken = true;
    Ok(sent)
}

/// Why reading ended early.
enum End {
    TooLong,
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

    async fn field(
        &mut self,
        mut field: Field<'_>,
        bounds: &Bounds,
        sent: &mut Sent,
    ) -> Result<(), End> {
        let name = field.name().unwrap_or("").to_owned();
        let mut octets = Vec::new();
        while let Some(piece) = self.piece(&mut field, bounds).await? {
            self.text += piece.len();
            if self.text > bounds.text {
                return Err(End::TooLong);
            }
            octets.extend_from_slice(&piece);
        }
        let value = String::from_utf8_lossy(&octets).into_owned();
        let place = match name.as_str() {
            "csrf" => &mut sent.csrf,
            "action" => &mut sent.action,
            "remove" => &mut sent.remove,
            "q" => &mut sent.query,
            name => {
                sent.written.set(name, &value);
                return Ok(());
            }
        };
        *place = value;
        Ok(())
    }

    async fn file(
        &mut self,
        mut field: Field<'_>,
        bounds: &Bounds,
        sent: &mut Sent,
    ) -> Result<(), End> {
        // Without folders, and on one line.
        let name = field.file_name().unwrap_or("");
        let name = name.rsplit(['/', '\\']).next().unwrap_or("");
        let name: String = name.chars().filter(|c| !c.is_control()).collect();
        let kind = field.content_type().unwrap_or("application/octet-stream");
        let kind = kind.to_owned();
        let left = bounds.files.saturating_sub(self.files);
        let mut octets = Some(Vec::new());
        while let Some(piece) = self.piece(&mut field, bounds).await.inspect_err(|_| {
            if !name.is_empty() {
                sent.too_large.push(name.clone());
            }
        })? {
            if let Some(kept) = &mut octets {
                if kept.len() + piece.len() <= left {
                    kept.extend_from_slice(&piece);
                } else {
                    octets = None;
                }
            }
        }
        if name.is_empty() {
            return Ok(());
        }
        match octets {
            Some(octets) => {
                self.files += octets.len();
                sent.files.push((name, kind, octets.into()));
            }
            None => sent.too_large.push(name),
        }
        Ok(())
    }
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

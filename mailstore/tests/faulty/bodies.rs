//! Faults of bodies: how they come in, are read, and go.

use bytes::Bytes;
use hikyaku_mailstore::*;
use std::ops::Range;
use std::sync::{Arc, Weak};

use super::fault::Fault;
use super::store::Faulty;

/// How many octets a body has where large ones are cut.
const CUT: usize = 64 * 1024;

/// A body on its way in.
struct Staging {
    store: Faulty,
    stage: Option<Box<dyn Stage>>,
    octets: Vec<u8>,
    ended: bool,
    alive: Weak<()>,
}

/// Takes the body away when the last of its staged ones is dropped.
struct Guard(Faulty, BodyId);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.memo().freed.insert(self.1);
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if self.stage.is_some() && self.store.has(Fault::StageDropTakesAway) {
            let mut memo = self.store.memo();
            if let Some(last) = memo.last_body {
                memo.freed.insert(last);
            }
        }
    }
}

impl Staging {
    fn look(&self) {
        let gone = self.alive.upgrade().is_none();
        assert!(
            !gone || !self.store.has(Fault::StagePanicsWithoutStore),
            "the store is gone"
        );
    }

    /// The octets as they are kept.
    fn kept(&mut self) -> Vec<u8> {
        let mut octets = std::mem::take(&mut self.octets);
        for fault in &*self.store.faults {
            match fault {
                Fault::StagesShareBuffer => {
                    octets = std::mem::take(&mut self.store.memo().buffer);
                }
                Fault::LineEndsChanged => {
                    let mut changed = Vec::new();
                    for octet in octets {
                        if octet == b'\n' && changed.last() != Some(&b'\r') {
                            changed.push(b'\r');
                        }
                        changed.push(octet);
                    }
                    octets = changed;
                }
                Fault::NulEndsBody => {
                    let end = octets.iter().position(|octet| *octet == 0);
                    octets.truncate(end.unwrap_or(octets.len()));
                }
                Fault::LargeBodiesCut => octets.truncate(CUT),
                _ => {}
            }
        }
        octets
    }
}

impl Stage for Staging {
    fn write(&mut self, octets: Bytes) -> BoxFuture<'_, Result<()>> {
        self.look();
        if self.store.has(Fault::LastPieceAlone) {
            self.octets.clear();
        }
        if self.store.has(Fault::EmptyPieceEnds) {
            self.ended |= octets.is_empty();
        }
        if self.store.has(Fault::StagesShareBuffer) {
            self.store.memo().buffer.extend_from_slice(&octets);
        } else if !self.ended {
            self.octets.extend_from_slice(&octets);
        }
        Box::pin(async { Ok(()) })
    }

    fn finish(mut self: Box<Self>) -> BoxFuture<'static, Result<Staged>> {
        self.look();
        let octets = Bytes::from(self.kept());
        let stage = self.stage.take();
        let store = self.store.clone();
        Box::pin(async move {
            let mut stage = stage.ok_or(Error::Closed)?;
            stage.write(octets).await?;
            let staged = stage.finish().await?;
            if !store.has(Fault::StagedDropTakesAway) {
                return Ok(staged);
            }
            let body = staged.body();
            store.memo().staged.insert(body.id, staged);
            Ok(Staged::elsewhere(body, Arc::new(Guard(store, body.id))))
        })
    }
}

impl Faulty {
    pub(super) async fn staging(&self) -> Result<Box<dyn Stage>> {
        Ok(Box::new(Staging {
            store: Self {
                // What is on its way does not keep the store itself.
                alive: Arc::new(()),
                ..self.clone()
            },
            stage: Some(self.inner.stage().await?),
            octets: Vec::new(),
            ended: false,
            alive: Arc::downgrade(&self.alive),
        }))
    }

    /// Puts in what `Memory` knows of a body.
    pub(super) fn with_bodies(&self, operation: &mut Operation) {
        let body = match operation {
            Operation::Append(append) => &mut append.body,
            Operation::Enqueue { body, .. } => body,
            _ => return,
        };
        if let Some(inner) = self.memo().staged.get(&body.body().id) {
            *body = inner.clone();
        }
    }

    pub(super) async fn octets(&self, body: &BodyRef, mut range: Range<u64>) -> Result<Bytes> {
        let first = self.memo().read.insert(body.id);
        if self.memo().freed.contains(&body.id) || self.lost(Fault::RestartLosesBodies) {
            return Err(Error::Damaged("the body is gone", About::Nothing));
        }
        for fault in &*self.faults {
            match fault {
                Fault::ReversedRangeHangs if range.start > range.end => {
                    std::future::pending::<()>().await;
                }
                Fault::RangeEndIncluded => range.end = range.end.saturating_add(1),
                Fault::RangeStartIgnored => range.start = 0,
                Fault::BeyondEndRefused if range.end > body.octets => {
                    return Err(Error::Limit("the range ends behind the body"));
                }
                Fault::FirstReadIsEmpty if first => return Ok(Bytes::new()),
                Fault::BodyGoesWithLastRow => {
                    let known = self.memo().committed.contains(&body.id);
                    if known && !self.named().await.contains(&body.id) {
                        return Err(Error::Damaged("the body is gone", About::Nothing));
                    }
                }
                _ => {}
            }
        }
        self.inner.read(body, range).await
    }
}

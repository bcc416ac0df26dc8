//! A body that is staged.

use bytes::Bytes;
use std::any::Any;
use std::sync::Arc;

use crate::{BodyId, BodyRef};

/// A body that was staged and not committed yet.
#[derive(Clone)]
pub struct Staged {
    pub(crate) body: BodyRef,
    /// The octets, when they are few enough to lie in the database.
    pub(crate) octets: Option<Bytes>,
    /// What removes the file again when nothing was committed.
    #[cfg_attr(
        not(feature = "disk"),
        allow(dead_code, reason = "it is held, and only the disk's is looked at")
    )]
    pub(crate) file: Option<Arc<dyn Any + Send + Sync>>,
}

impl std::fmt::Debug for Staged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Staged").field(&self.body).finish()
    }
}

impl Staged {
    /// Creates a body that the backend holds in memory until it is committed.
    #[must_use]
    pub fn in_memory(id: BodyId, octets: Bytes) -> Self {
        Self {
            body: BodyRef {
                id,
                octets: octets.len() as u64,
            },
            octets: Some(octets),
            file: None,
        }
    }

    /// Creates a body that lies elsewhere; `guard` is dropped with the last clone.
    #[must_use]
    pub fn elsewhere(body: BodyRef, guard: Arc<dyn Any + Send + Sync>) -> Self {
        Self {
            body,
            octets: None,
            file: Some(guard),
        }
    }

    /// Returns the reference that the body will have.
    #[must_use]
    pub fn body(&self) -> BodyRef {
        self.body
    }

    /// Returns the octets, when they are held in memory.
    #[must_use]
    pub fn octets(&self) -> Option<&Bytes> {
        self.octets.as_ref()
    }
}

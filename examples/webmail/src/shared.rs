//! What all requests share.

use std::sync::Arc;

use crate::backend::Backend;
use crate::fetches::Fetches;
use crate::image_key::ImageKey;
use crate::options::Options;
use crate::pages::compose::in_turn::InTurn;
use crate::room::Room;
use crate::session::Sessions;
use crate::spool::Spools;

/// What all requests share.
pub(crate) struct Shared {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) options: Options,
    pub(crate) sessions: Sessions,
    pub(crate) images: ImageKey,
    pub(crate) in_turn: InTurn,
    pub(crate) fetches: Fetches,
    pub(crate) spools: Arc<Spools>,
    pub(crate) room: Room,
}

pub(crate) type State = axum::extract::State<Arc<Shared>>;

impl Shared {
    pub(crate) fn new(backend: Arc<dyn Backend>, options: Options) -> Arc<Self> {
        Arc::new(Self {
            sessions: Sessions::new(options.idle, Arc::clone(&backend)),
            images: ImageKey::new(),
            in_turn: InTurn::default(),
            fetches: Fetches::new(),
            spools: Spools::new(options.uploads.clone(), options.message),
            room: Room::new(),
            backend,
            options,
        })
    }
}

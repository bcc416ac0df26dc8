//! A search whose client is notified when its results change.

use bytes::Bytes;
use hikyaku_imap_proto::{FetchAttribute, Numbers};
use hikyaku_mailstore::search::Key;
use hikyaku_mailstore::{Criterion, Uid};

/// A search whose client wants to know.
pub(super) struct Context {
    /// The search's.
    pub(super) tag: Bytes,
    /// What its results are sent as.
    pub(super) numbers: Numbers,
    pub(super) key: Key,
    /// Its order, when it is a SORT.
    pub(super) sort: Option<Vec<(Criterion, bool)>>,
    /// The UIDs that the client knows to be results, in their order.
    pub(super) members: Vec<Uid>,
    /// What to send of a new message before it is named as a result.
    pub(super) attributes: Vec<FetchAttribute>,
}

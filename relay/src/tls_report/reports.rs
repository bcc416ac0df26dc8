//! What is counted, and where it is sent from.

use std::sync::Arc;

use super::settings::TlsReports;
use super::tally::Tallies;
use crate::https::Https;

/// What is counted, and how it is sent.
pub(crate) struct Reports {
    pub(crate) settings: TlsReports,
    pub(crate) tallies: Arc<Tallies>,
    /// `None` without trusted roots: then reports go by mail alone.
    pub(crate) https: Option<Https>,
}

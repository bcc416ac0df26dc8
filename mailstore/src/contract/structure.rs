//! The structure of a message at rest.

use hikyaku_message::{Part, Scanner, Structure};

#[cfg(doc)]
use crate::Want;
use crate::contract::pieces::{Pieces, VisitedPieces};
use crate::{Bodies, Result, Row, Store};

/// Returns the structure of a message: the one that was kept with it, or, where there is none (of this
/// version), computed anew from its octets. The row has to be read with [`Want::SUMMARY`].
///
/// # Errors
/// What the store says.
pub async fn structure(store: &dyn Store, row: &Row) -> Result<Structure> {
    if let Some(structure) = Structure::decode(&row.summary) {
        return Ok(structure);
    }
    let mut scanner = Scanner::default();
    let mut pieces = Pieces::whole(store, &row.body);
    while let Some(piece) = pieces.next().await? {
        scanner.feed(&piece);
    }
    Ok(scanner.finish())
}

/// Returns the message itself, without its parts: as [`structure`], at a cost that does not depend on the number of
/// parts.
///
/// # Errors
/// What the store says.
pub async fn root_part(store: &dyn Store, row: &Row) -> Result<Part> {
    match Structure::decode_root(&row.summary) {
        Some(root) => Ok(root),
        None => Ok(structure(store, row).await?.root().clone()),
    }
}

/// As [`structure`], where rows are visited.
pub(crate) fn structure_of(bodies: &mut dyn Bodies, row: &Row) -> Result<Structure> {
    if let Some(structure) = Structure::decode(&row.summary) {
        return Ok(structure);
    }
    let mut scanner = Scanner::default();
    let mut pieces = VisitedPieces::of(bodies, &row.body, 0..row.body.octets);
    while let Some(piece) = pieces.next()? {
        scanner.feed(&piece);
    }
    Ok(scanner.finish())
}

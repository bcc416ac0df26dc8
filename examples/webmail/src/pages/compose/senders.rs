//! The addresses that a user can send as.

use hikyaku_client::Error;

use super::draft::Sender;
use crate::User;
use crate::outside::{self, Elsewhere};

/// Who something is from, as the form says.
pub(super) async fn sender(user: &User, from: &str) -> Result<Option<Elsewhere>, Error> {
    let local = &user.local;
    let all = outside::all(&**local.store(), local.account_id()).await?;
    Ok(all.into_iter().find(|one| one.address == from))
}

/// The address and the name of a sender.
pub(super) fn sender_of<'a>(user: &'a User, elsewhere: Option<&'a Elsewhere>) -> Sender<'a> {
    match elsewhere {
        Some(one) => Sender {
            address: &one.address,
            name: None,
        },
        None => Sender {
            address: &user.address,
            name: user.name.as_deref(),
        },
    }
}

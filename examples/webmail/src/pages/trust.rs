//! Senders whose images are always shown: chosen by each reader, kept with the account, and taken back on any of
//! their messages.
//!
//! A sender is the address in From, which anybody can write. Who writes it gets what an image gets: that this
//! message was read, from this server's address.

use axum::Form;
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Redirect, Response};
use bytes::Bytes;
use hikyaku_client::{Error, Message};
use hikyaku_mailstore::{Operation, Transaction};
use serde::Deserialize;

use super::{own, problem, words};
use crate::State;
use crate::session::{Session, Signed};

/// The most senders of one account.
const SENDERS: usize = 1000;
/// The most octets of an address (RFC 5321 §4.5.3.1).
const ADDRESS: usize = 320;

/// Where it is kept that a sender's images are shown.
fn key(message: &Message) -> Option<String> {
    let address = message.envelope.from.first()?.addr_spec()?;
    let address = String::from_utf8_lossy(&address).to_lowercase();
    (!address.is_empty() && address.len() <= ADDRESS).then(|| format!("{PREFIX}{address}"))
}

const PREFIX: &str = "webmail/images/";

/// Whether images of a message's sender are always shown; nothing, where it has none.
pub(super) async fn is_trusted(
    session: &Session,
    message: &Message,
) -> Result<Option<bool>, Error> {
    let Some(key) = key(message) else {
        return Ok(None);
    };
    let local = &session.user.local;
    let account = local.store().account_by_id(local.account_id()).await?;
    Ok(account.map(|account| account.properties.contains_key(&key)))
}

#[derive(Deserialize)]
pub(crate) struct Choice {
    csrf: String,
    id: String,
    #[serde(default)]
    always: u8,
}

/// Shows images of a message's sender from now on, or no more.
pub(crate) async fn choose(
    axum::extract::State(shared): State,
    Signed(session): Signed,
    headers: HeaderMap,
    Form(choice): Form<Choice>,
) -> Response {
    match chosen(&session, &choice).await {
        Ok(id) => {
            let id: String = id.bytes().map(|octet| format!("%{octet:02X}")).collect();
            Redirect::to(&format!("{}/message?id={id}", shared.options.base)).into_response()
        }
        Err(error) => problem(&shared, words(&session, &headers), &error),
    }
}

async fn chosen(session: &Session, choice: &Choice) -> Result<String, Error> {
    own(session, &choice.csrf)?;
    let local = &session.user.local;
    let message = local.find(&choice.id).await?;
    let account = local.store().account_by_id(local.account_id()).await?;
    let senders = account.iter().flat_map(|account| account.properties.keys());
    let many = senders.filter(|key| key.starts_with(PREFIX)).count();
    if let Some(key) = key(&message)
        && (choice.always == 0 || many < SENDERS)
    {
        let value = (choice.always > 0).then(|| Bytes::from_static(b"1"));
        let operation = Operation::SetProperty { key, value };
        let transaction = Transaction::new(local.account_id()).with(operation);
        local.store().commit(transaction).await?;
    }
    Ok(message.name)
}

//! A message for servers without 8BITMIME (RFC 6152 §3), which is encoded while it is sent.

use hikyaku_mailstore::{BodyRef, Pieces, Store};
use hikyaku_message::{NotSevenBit, SevenBit, SevenBitSurvey};
use hikyaku_smtp_proto::client::Survey;
use tokio::task::yield_now;

/// What becomes of a message, and what that asks of a server.
pub(crate) struct Encoded {
    /// Before the first octet.
    pub(crate) seven_bit: SevenBit,
    pub(crate) survey: Survey,
}

impl Encoded {
    /// Reads the message twice, piece by piece.
    pub(crate) async fn of(
        store: &dyn Store,
        body: &BodyRef,
    ) -> hikyaku_mailstore::Result<Result<Self, NotSevenBit>> {
        let mut parts = SevenBitSurvey::new();
        let mut pieces = Pieces::whole(store, body);
        while let Some(piece) = pieces.next().await? {
            parts.feed(&piece);
            // A store in memory never waits.
            yield_now().await;
        }
        let seven_bit = match parts.finish() {
            Ok(seven_bit) => seven_bit,
            Err(why) => return Ok(Err(why)),
        };
        let (mut encoder, mut survey) = (seven_bit.clone(), Survey::new());
        let mut pieces = Pieces::whole(store, body);
        while let Some(piece) = pieces.next().await? {
            survey.feed(&encoder.push(&piece));
            yield_now().await;
        }
        Ok(Ok(Self { seven_bit, survey }))
    }
}

//! What a server can, whatever it announces.

use hikyaku_imap_proto::client::Event;
use hikyaku_imap_proto::{Command, Response, Status};

use super::Session;
use crate::Result;

/// What the server turned out to know of what it announces.
pub(super) struct Able {
    /// QRESYNC, which was enabled.
    pub(super) qresync: bool,
    /// SELECT with CONDSTORE.
    pub(super) condstore: bool,
    /// FETCH with CHANGEDSINCE.
    pub(super) changed_since: bool,
}

impl Able {
    pub(super) async fn of(session: &mut Session) -> Result<Self> {
        Ok(Self {
            qresync: enable_qresync(session).await?,
            condstore: session.capabilities().has_condstore(),
            changed_since: true,
        })
    }
}

/// Whether the server says that QRESYNC is enabled: one that says OK and no more did not understand.
async fn enable_qresync(session: &mut Session) -> Result<bool> {
    let can = |name| session.capabilities().has(name);
    if !can("ENABLE") || !can("QRESYNC") {
        return Ok(false);
    }
    let mut enabled = false;
    let command = Command::Enable(["QRESYNC".into()].into());
    let end = session.ask(command, |event| {
        if let Event::Data(Response::Enabled(names)) = event {
            enabled |= names.iter().any(|one| one.eq_ignore_ascii_case(b"QRESYNC"));
        }
    });
    Ok(end.await?.status == Status::Ok && enabled)
}

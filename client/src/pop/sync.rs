//! The sync of a POP account: what is new is brought and put on the disk; only then is deleted, by the
//! account's rule, what lies there as the same octets. A connection that is cut deletes nothing (RFC 1939 §6).

use hikyaku_wire::Secret;

use super::maildrop::Run;
use super::state::{At, Flush, LAST, Trouble};
use super::{Manner, Session};
use crate::{Account, Dial, Error, Local, Progress, Report, Result};

/// How many connections one sync may take, when the server breaks them off.
const ROUNDS: usize = 9;

/// Downloads what is new, and deletes by the account's rule.
pub(crate) async fn sync(
    dial: &dyn Dial,
    local: &Local,
    account: &Account,
    password: &Secret,
    progress: &dyn Progress,
) -> Result<Report> {
    let mut report = Report::default();
    let mut trouble = Trouble::default();
    let mut manner = Manner::default();
    let mut before: Option<Error> = None;
    let properties = local.properties(local.account).await?;
    if let Some(value) = properties.get(LAST) {
        trouble.last = postcard::from_bytes(value).unwrap_or_default();
    }
    let outcome = loop {
        let server = &account.incoming;
        let session = Session::open_in(dial, server, account.login(), password, &mut manner).await;
        let session = match session {
            Ok(session) => session,
            // Why the last session ended says more.
            Err(error) => break Err(before.unwrap_or(error)),
        };
        let mut run = Run::begin(session, local, account, &mut report, &mut trouble).await?;
        let Err(error) = run.all(progress).await else {
            break Ok(());
        };
        progress.end();
        if !matches!(error, Error::Network(_) | Error::Protocol(_)) {
            break Err(error);
        }
        let last = run
            .waiting
            .last()
            .and_then(|one| run.listed.get(one.listed));
        let at = match (run.at, &error, last) {
            // What came instead of an answer may be the rest of the message before.
            (At::Message(_), Error::Protocol(_), Some(one)) => At::Message((one.number, one.id)),
            (at, ..) => at,
        };
        run.flush(Flush::BrokenOff).await?;
        let pipelining = run.session.capabilities.as_ref();
        let pipelining = pipelining.is_some_and(|all| all.pipelining);
        trouble.rounds += 1;
        let goes_on = match at {
            _ if trouble.rounds >= ROUNDS => false,
            At::Listing | At::Deleting => false,
            // It has been named.
            At::Message(name) if trouble.given_up.contains(&name) => true,
            // Servers announce PIPELINING and have it not.
            At::Header | At::Message(_) if pipelining && !manner.one_by_one => {
                manner.one_by_one = true;
                true
            }
            At::Ids => !std::mem::replace(&mut manner.no_uidl, true),
            At::Header => !std::mem::replace(&mut manner.no_top, true),
            At::Message(name) => {
                if trouble.once.insert(name) {
                    trouble.last.extend(name.1);
                } else {
                    trouble.given_up.insert(name);
                    report.warnings.push(format!(
                        "message {}: the server broke off ({error}); it is tried again at the next sync",
                        name.0
                    ));
                }
                true
            }
        };
        if !goes_on {
            break Err(error);
        }
        before = Some(error);
    };
    trouble.keep(local, properties.get(LAST)).await?;
    outcome.map(|()| report)
}

//! The message to the operator about an account that suddenly sends much.

use bytes::Bytes;
use hikyaku_mailstore::{AccountId, Error, Store, Transaction};
use hikyaku_relay::{Entry, HERE};
use hikyaku_smtp_proto::{MailParameters, RcptParameters, ReversePath};
use std::time::{SystemTime, UNIX_EPOCH};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

/// What the operator is to know.
#[derive(Debug)]
pub(super) struct Notice {
    pub(super) account: String,
    /// The limit, in words.
    pub(super) limit: String,
}

/// Puts it into the queue, from where it goes to whoever `postmaster` is.
pub(super) async fn post(
    store: &dyn Store,
    hostname: &str,
    domain: &str,
    notice: &Notice,
) -> Result<(), Error> {
    let now = SystemTime::now();
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let id = format!("{:x}.slowed", since.as_micros());
    let postmaster = format!("postmaster@{domain}");
    let mut stage = store.stage().await?;
    let text = text(hostname, &postmaster, &id, now, notice);
    stage.write(Bytes::from(text)).await?;
    let body = stage.finish().await?;
    let recipient = (postmaster, RcptParameters::default());
    let entry = Entry::asking(
        id,
        ReversePath(None),
        MailParameters::default(),
        [recipient],
    );
    let enqueue = entry.enqueue(HERE, body);
    store
        .commit(Transaction::new(AccountId::SYSTEM).with(enqueue))
        .await?;
    Ok(())
}

fn text(hostname: &str, postmaster: &str, id: &str, now: SystemTime, notice: &Notice) -> String {
    let Notice { account, limit } = notice;
    let date = OffsetDateTime::from(now)
        .format(&Rfc2822)
        .unwrap_or_default();
    format!(
        "Return-Path: <>\r\n\
         Date: {date}\r\n\
         From: Mail server <{postmaster}>\r\n\
         To: {postmaster}\r\n\
         Subject: {account} sends unusually much\r\n\
         Message-ID: <{id}@{hostname}>\r\n\
         Auto-Submitted: auto-generated\r\n\
         MIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\
         Content-Transfer-Encoding: 8bit\r\n\
         \r\n\
         The account {account} has sent more than it may:\r\n\
         {limit}.\r\n\
         \r\n\
         Further messages are deferred until some time has passed; what was accepted\r\n\
         is not lost.\r\n\
         \r\n\
         If somebody else knows the password, change it, and look at what waits:\r\n\
         \r\n\
         \x20   mailserver account passwd {account}\r\n\
         \x20   mailserver queue list --from {account}\r\n\
         \x20   mailserver trace {account}\r\n\
         \r\n\
         If the account is to send that much, set its recipients a day:\r\n\
         \r\n\
         \x20   mailserver account sending {account} 5000\r\n\
         \r\n\
         There is no further message about this account today.\r\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operator_reads_which_account_and_what_to_do() {
        let notice = Notice {
            account: "ann@a.test".into(),
            limit: "500 recipients a day".into(),
        };
        let text = text(
            "mx.a.test",
            "postmaster@a.test",
            "1.slowed",
            UNIX_EPOCH,
            &notice,
        );
        for part in [
            "Return-Path: <>\r\n",
            "Date: Thu, 01 Jan 1970 00:00:00 +0000\r\n",
            "Subject: ann@a.test sends unusually much\r\n",
            "more than it may:\r\n500 recipients a day.\r\n",
            "mailserver account sending ann@a.test 5000",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let is_ended = |line: &str| line.ends_with('\r') && line.len() < 80;
        assert!(text.split_terminator('\n').all(is_ended), "{text}");
    }
}

//! What to do next, when something was not done.

use std::borrow::Cow;

use crate::Error;

/// Returns a sentence that says what to type next, where that helps.
#[must_use]
pub fn advice(error: &Error) -> Option<Cow<'static, str>> {
    let is = |text: &str, of: &str| text.starts_with(of);
    if let Error::Untrusted { fingerprint, .. } = error {
        return Some(Cow::Owned(format!(
            "nothing was sent; if this is the server's own certificate, trust exactly it: `mailclient account trust \
             ADDRESS {fingerprint}`, or `account add --fingerprint {fingerprint}`; one of an authority of its own is \
             trusted with `account add --ca FILE`"
        )));
    }
    let said = match error {
        Error::NotFound(what) if is(what, "folder: ") => {
            Some("`mailclient folders` lists the folders")
        }
        Error::NotFound(what) if is(what, "message") && !what.contains('`') => Some(
            "`mailclient list FOLDER` names the messages, such as INBOX/7; one that was moved has another name after a sync",
        ),
        Error::NotFound(what) if is(what, "account: ") && !what.contains('`') => {
            Some("`mailclient account list` lists the accounts")
        }
        Error::Login(_) => Some(
            "`mailclient account password ADDRESS` takes another password; some providers want one that is made for programs",
        ),
        Error::Password(_) => Some(
            "`mailclient account password ADDRESS` takes it again; `account add` has --password-command and --password-in-clear",
        ),
        Error::Network(_) => Some(
            "nothing is lost: what waits is done with the next `mailclient sync` or `mailclient send`",
        ),
        Error::Tls { .. } => Some(
            "nothing was sent; a server with a certificate authority of its own is added with `account add --ca FILE`",
        ),
        Error::Protocol(_) => Some("nothing is lost: `mailclient sync` asks again"),
        _ => None,
    };
    said.map(Cow::Borrowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_what_to_type_next() {
        let found = |what: &str| advice(&Error::NotFound(what.into()));
        for (said, next) in [
            (found("folder: Arhcive"), Some("folders")),
            (found("message: INBOX/7"), Some("list FOLDER")),
            (found("account: me@a.test"), Some("account list")),
            // These say it themselves.
            (
                found("account: add one with `mailclient account add ADDRESS`"),
                None,
            ),
            (
                found("message in the outbox: 7 (`mailclient outbox` lists them)"),
                None,
            ),
            (
                advice(&Error::Login("535 no".into())),
                Some("account password"),
            ),
            (
                advice(&Error::Password("none".into())),
                Some("--password-command"),
            ),
            (
                advice(&Error::Network("refused".into())),
                Some("mailclient sync"),
            ),
            (advice(&Error::Usage("x".into())), None),
        ] {
            assert_eq!(said.is_some(), next.is_some(), "{said:?}");
            let text = said.clone().unwrap_or_default();
            assert!(text.contains(next.unwrap_or("")), "{said:?}");
        }
    }
}

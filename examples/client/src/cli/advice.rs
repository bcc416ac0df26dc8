//! Advice on what to type after an error.

use std::borrow::Cow;

use hikyaku_client::Error;

/// Returns a sentence that says what to type next, where that helps.
#[must_use]
pub fn advice(error: &Error) -> Option<Cow<'static, str>> {
    let is = |text: &str, of: &str| text.starts_with(of);
    if let Error::Untrusted { fingerprint, .. } = error {
        return Some(Cow::Owned(format!(
            "no password was sent; if this is the server's own certificate, trust it with `mailclient account trust \
             ADDRESS {fingerprint}`, or `mailclient account add .. --fingerprint {fingerprint}`; trust a private \
             certificate authority with `mailclient account add .. --ca FILE`"
        )));
    }
    let said = match error {
        Error::NotFound(what) if is(what, "folder: ") => {
            Some("`mailclient folders` lists the folders")
        }
        Error::NotFound(what) if is(what, "message") && !what.contains('`') => Some(
            "`mailclient list FOLDER` lists the messages by name, such as INBOX/7; a moved message has another name after a sync",
        ),
        Error::NotFound(what) if is(what, "account: ") && !what.contains('`') => {
            Some("`mailclient account list` lists the accounts")
        }
        Error::Login(_) => Some(
            "`mailclient account password ADDRESS` changes the password; some providers require an app password",
        ),
        Error::Password(_) => Some(
            "`mailclient account password ADDRESS` stores it again; without a keyring, use `mailclient account add` with \
             --password-command or --password-in-clear",
        ),
        Error::Network(_) => {
            Some("nothing is lost: the next `mailclient sync` or `mailclient send` tries again")
        }
        Error::Tls { .. } => Some(
            "no password was sent; for a private certificate authority, use `mailclient account add .. --ca FILE`",
        ),
        Error::Protocol(_) => Some("nothing is lost: the next `mailclient sync` tries again"),
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

//! The MTA-STS policy of the domains here (RFC 8461 §3.2): to which hosts mail goes, and only over checked TLS.

use std::fmt::Write as _;

use super::offers::Offers;
use crate::config::MtaStsMode;

/// The policy, if the request is for `mta-sts.` and a domain here, and a policy is configured.
pub(crate) fn policy(offers: &Offers, host: &str) -> Option<String> {
    offers.local(host.strip_prefix("mta-sts.")?)?;
    let settings = &offers.mta_sts;
    let mode = match settings.mode? {
        MtaStsMode::None => "none",
        MtaStsMode::Testing => "testing",
        MtaStsMode::Enforce => "enforce",
    };
    let mut policy = format!("version: STSv1\r\nmode: {mode}\r\n");
    match settings.mx.is_empty() {
        true => {
            let _ = write!(policy, "mx: {}\r\n", offers.hostname);
        }
        false => {
            for host in &settings.mx {
                let _ = write!(policy, "mx: {host}\r\n");
            }
        }
    }
    let _ = write!(policy, "max_age: {}\r\n", settings.max_age.0.as_secs());
    Some(policy)
}

#[cfg(test)]
mod tests {
    use super::super::offers::tests::offers;
    use super::*;

    #[test]
    fn a_policy_is_for_domains_here_and_where_it_is_configured() {
        let none = offers(&[], "");
        assert_eq!(policy(&none, "mta-sts.a.test"), None);
        let testing = offers(&[], "[mta_sts]\nmode = \"testing\"\n");
        assert_eq!(
            policy(&testing, "mta-sts.b.test").unwrap(),
            "version: STSv1\r\nmode: testing\r\nmx: mail.a.test\r\nmax_age: 604800\r\n"
        );
        for host in ["a.test", "mta-sts.c.test", "mta-sts.", "mail.a.test"] {
            assert_eq!(policy(&testing, host), None, "{host}");
        }
        let more = "[mta_sts]\nmode = \"enforce\"\nmx = [\"mx1.a.test\", \"*.mx.test\"]\nmax_age = \"1d\"\n";
        let said = policy(&offers(&[], more), "mta-sts.a.test").unwrap();
        assert!(
            said.contains("mx: mx1.a.test\r\nmx: *.mx.test\r\nmax_age: 86400\r\n"),
            "{said}"
        );
    }
}

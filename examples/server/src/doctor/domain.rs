//! A domain: its records, and what mail programs and other servers find through them.

use std::net::IpAddr;

use super::blocklists::{self, Listed};
use super::exchanges::{self, Exchangers};
use super::found::Found;
use super::patience::Patience;
use super::subject::Subject;
use super::{dkim, dmarc, files, mta_sts, services, spf, tls_reports};

/// Looks at a domain. What leads to the server waits until its addresses are right, SPF for the MX record as well: it names
/// that.
pub(super) async fn look(
    subject: &Subject<'_>,
    patience: Patience,
    domain: &str,
    are_right: bool,
    own: &[IpAddr],
) -> Found {
    let of = |what: &str| format!("{what} of {domain}");
    let (one, all) = (|late| late, |late| vec![late]);
    let dkim = Box::pin(dkim::look(subject, domain));
    let dmarc = Box::pin(dmarc::look(subject, domain));
    let reports = Box::pin(tls_reports::look(subject, domain));
    let listed = Box::pin(blocklists::look(subject, Listed::Domain(domain)));
    // Together they are too large for the stack of a thread.
    let (at_mx, dkim, dmarc, reports, lists) = tokio::join!(
        Box::pin(at_mx(subject, patience, domain, are_right, own)),
        patience.with(of("DKIM"), dkim, all),
        patience.with(of("DMARC"), dmarc, one),
        patience.with(of("TLS reports"), reports, one),
        patience.with(of("blocklists"), listed, all),
    );
    let (mut found, here) = at_mx;
    found.add(dkim, []);
    found.add([dmarc, reports], []);
    found.add(here.findings, here.shown);
    found.add(lists, []);
    found
}

/// Looks at the MX record, and then at what waits for it: SPF, and what leads to the server.
async fn at_mx(
    subject: &Subject<'_>,
    patience: Patience,
    domain: &str,
    are_right: bool,
    own: &[IpAddr],
) -> (Found, Found) {
    let of = |what: &str| format!("{what} of {domain}");
    let mx = Box::pin(exchanges::look(subject, domain));
    let mx = patience.with(of("MX"), mx, Exchangers::from).await;
    let hosts = mx.right().map(<[String]>::to_vec);
    let (mut found, mut here) = (Found::default(), Found::default());
    found.add([mx.finding], []);
    if !are_right {
        found.wait(of("SPF"), "the addresses are");
        here.wait(of("MTA-STS and mail programs"), "the addresses are");
        return (found, here);
    }
    let has_hosts = hosts.is_some();
    let spf = async {
        match has_hosts {
            true => {
                let spf = Box::pin(spf::look(subject, domain, own));
                found.add([patience.with(of("SPF"), spf, |late| late).await], []);
            }
            false => found.wait(of("SPF"), "the MX record is"),
        }
    };
    let hosts = hosts.as_deref();
    let leading = Box::pin(leading_here(subject, patience, domain, hosts, &mut here));
    tokio::join!(spf, leading);
    (found, here)
}

/// Looks at what leads to the server's ports and pages.
async fn leading_here(
    subject: &Subject<'_>,
    patience: Patience,
    domain: &str,
    hosts: Option<&[String]>,
    found: &mut Found,
) {
    let of = |what: &str| format!("{what} of {domain}");
    let policy = Box::pin(mta_sts::look(subject, domain, hosts));
    let services = Box::pin(services::look(subject, domain));
    let files = Box::pin(files::look(subject, domain));
    let all = |late| (vec![late], Vec::new());
    let (policy, services, files) = tokio::join!(
        patience.with(of("MTA-STS"), policy, |late| (Some(late), None)),
        patience.with(of("SRV"), services, all),
        patience.with(of("autoconfig and autodiscover"), files, all),
    );
    found.add(policy.0, policy.1);
    found.add(services.0, services.1);
    found.add(files.0, files.1);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use hikyaku_test_dns::{DnsServer, Fault, Zone};
    use rustls::RootCertStore;
    use std::sync::Arc;
    use std::time::Duration;

    #[tokio::test]
    async fn what_dns_is_silent_about_takes_nothing_else_with_it() {
        let zone = Zone::new("test")
            .mx_of("a", 10, "other")
            .mx_of("b", 10, "mail")
            .fault("_dmarc.a", Fault::Silent)
            .fault("_dmarc.b", Fault::Silent);
        let dns = DnsServer::start([zone]);
        let text = format!(
            "hostname = \"mail.test\"\ndomains = [\"a.test\"]\n[relay]\ndns = [\"{}\"]\n\
             [doctor]\ndomain_blocklists = []\n",
            dns.address()
        );
        let config = Config::parse(&text).unwrap();
        let roots = Arc::new(RootCertStore::empty());
        let subject = Subject::new(&config, None, &[], roots).unwrap();
        let patience = Patience::of(Duration::from_secs(2));
        let found = look(&subject, patience, "a.test", false, &[]).await;
        let found: String = found.findings.iter().map(ToString::to_string).collect();
        assert!(
            found.contains("FAULT    MX of a.test: other.test"),
            "{found}"
        );
        let late = "unknown  DMARC of a.test: looking at it takes too long";
        assert!(found.contains(late), "{found}");
        // What waits for something else does not wait for that.
        let patience = Patience::of(Duration::from_secs(2));
        let found = look(&subject, patience, "b.test", true, &[]).await;
        let found: String = found.findings.iter().map(ToString::to_string).collect();
        for (late, is_late) in [
            ("DMARC of b.test: looking", true),
            ("SPF of b.test: looking", false),
            ("MTA-STS of b.test: looking", false),
            ("SPF of b.test", true),
        ] {
            assert_eq!(found.contains(late), is_late, "{late}: {found}");
        }
    }
}

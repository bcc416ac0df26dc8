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
    let listed = blocklists::look(subject, Listed::Domain(domain));
    let (mx, dkim, dmarc, reports, lists) = tokio::join!(
        patience.with(of("MX"), exchanges::look(subject, domain), Exchangers::from),
        patience.with(of("DKIM"), dkim::look(subject, domain), all),
        patience.with(of("DMARC"), dmarc::look(subject, domain), one),
        patience.with(of("TLS reports"), tls_reports::look(subject, domain), one),
        patience.with(of("blocklists"), listed, all),
    );
    let mut found = Found::default();
    let hosts = mx.right().map(<[String]>::to_vec);
    found.add([mx.finding], []);
    match (are_right, hosts.is_some()) {
        (true, true) => {
            let spf = spf::look(subject, domain, own);
            found.add([patience.with(of("SPF"), spf, one).await], []);
        }
        (false, _) => found.wait(format!("SPF of {domain}"), "the addresses are"),
        (_, false) => found.wait(format!("SPF of {domain}"), "the MX record is"),
    }
    found.add(dkim, []);
    found.add([dmarc, reports], []);
    match are_right {
        true => leading_here(subject, patience, domain, hosts.as_deref(), &mut found).await,
        false => {
            let what = format!("MTA-STS and mail programs of {domain}");
            found.wait(what, "the addresses are");
        }
    }
    found.add(lists, []);
    found
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
    let policy = mta_sts::look(subject, domain, hosts);
    let services = services::look(subject, domain);
    let files = files::look(subject, domain);
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
        let zone = Zone::new("test").mx_of("a", 10, "other");
        let dns = DnsServer::start([zone.fault("_dmarc.a", Fault::Silent)]);
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
    }
}

//! A domain: its records, and what mail programs and other servers find through them.

use std::net::IpAddr;

use super::blocklists::{self, Listed};
use super::found::Found;
use super::subject::Subject;
use super::{dkim, dmarc, exchanges, files, mta_sts, services, spf, tls_reports};

/// Looks at a domain. What leads to the server waits until its addresses are right, SPF for the MX record as well: it names
/// that.
pub(super) async fn look(
    subject: &Subject<'_>,
    domain: &str,
    are_right: bool,
    own: &[IpAddr],
) -> Found {
    let (mx, dkim, dmarc, reports, lists) = tokio::join!(
        exchanges::look(subject, domain),
        dkim::look(subject, domain),
        dmarc::look(subject, domain),
        tls_reports::look(subject, domain),
        blocklists::look(subject, Listed::Domain(domain)),
    );
    let mut found = Found::default();
    let hosts = mx.right().map(<[String]>::to_vec);
    found.add([mx.finding], []);
    match (are_right, hosts.is_some()) {
        (true, true) => found.add([spf::look(subject, domain, own).await], []),
        (false, _) => found.wait(format!("SPF of {domain}"), "the addresses are"),
        (_, false) => found.wait(format!("SPF of {domain}"), "the MX record is"),
    }
    found.add(dkim, []);
    found.add([dmarc, reports], []);
    match are_right {
        true => leading_here(subject, domain, hosts.as_deref(), &mut found).await,
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
    domain: &str,
    hosts: Option<&[String]>,
    found: &mut Found,
) {
    let (policy, services, files) = tokio::join!(
        mta_sts::look(subject, domain, hosts),
        services::look(subject, domain),
        files::look(subject, domain),
    );
    found.add(policy.0, policy.1);
    found.add(services.0, services.1);
    found.add(files.0, files.1);
}

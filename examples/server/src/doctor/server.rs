//! The server: its names, its ports, and what is said of it.

use std::net::IpAddr;

use super::blocklists::{self, Listed};
use super::finding::Finding;
use super::found::Found;
use super::patience::Patience;
use super::subject::Subject;
use super::{caa, clock, reach, reverse, spf};

/// Looks at the server. Names and ports wait until its addresses are right.
pub(super) async fn look(
    subject: &Subject<'_>,
    patience: Patience,
    are_right: bool,
    own: &[IpAddr],
) -> Found {
    let all = |late| vec![late];
    let about = format!("port {} outward", subject.config.relay.port);
    let (of_addresses, outward, caa, clock, lists) = tokio::join!(
        addresses(subject, patience, are_right, own),
        patience.with(about, reach::outward(subject, own), all),
        patience.with("CAA", caa::look(subject), all),
        patience.with("clock", clock::look(subject), Some),
        listed(subject, patience, own),
    );
    let mut found = of_addresses;
    let rest = outward.into_iter().chain(caa).chain(clock).chain(lists);
    found.add(rest, []);
    found
}

async fn addresses(
    subject: &Subject<'_>,
    patience: Patience,
    are_right: bool,
    own: &[IpAddr],
) -> Found {
    let mut found = Found::default();
    if !are_right {
        found.wait("reverse names, port 25, SPF", "the addresses are");
        return found;
    }
    for address in own {
        let (about, port) = (
            format!("reverse name of {address}"),
            format!("ports of {address}"),
        );
        let reverse = reverse::look(subject, *address);
        let (name, (port, shown)) = tokio::join!(
            patience.with(about, reverse, |late| late),
            patience.with(port, reach::inward(subject, *address), |late| (late, None))
        );
        found.add([name, port], shown);
    }
    let about = format!("SPF of {}", subject.hostname);
    let spf = patience.with(about, spf::look_at_host(subject, own), |late| late);
    found.add([spf.await], []);
    found
}

async fn listed(subject: &Subject<'_>, patience: Patience, own: &[IpAddr]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for address in own {
        let about = format!("blocklists of {address}");
        let lists = blocklists::look(subject, Listed::Address(*address));
        findings.extend(patience.with(about, lists, |late| vec![late]).await);
    }
    findings
}

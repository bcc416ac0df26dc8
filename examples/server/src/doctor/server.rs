//! The server: its names, its ports, and what is said of it.

use std::net::IpAddr;

use super::blocklists::{self, Listed};
use super::finding::Finding;
use super::found::Found;
use super::subject::Subject;
use super::{caa, clock, reach, reverse, spf};

/// Looks at the server. Names and ports wait until its addresses are right.
pub(super) async fn look(subject: &Subject<'_>, are_right: bool, own: &[IpAddr]) -> Found {
    let (of_addresses, outward, caa, clock, lists) = tokio::join!(
        addresses(subject, are_right, own),
        reach::outward(subject, own),
        caa::look(subject),
        clock::look(subject),
        listed(subject, own),
    );
    let mut found = of_addresses;
    let rest = outward.into_iter().chain(caa).chain(clock).chain(lists);
    found.add(rest, []);
    found
}

async fn addresses(subject: &Subject<'_>, are_right: bool, own: &[IpAddr]) -> Found {
    let mut found = Found::default();
    if !are_right {
        found.wait("reverse names, port 25, SPF", "the addresses are");
        return found;
    }
    for address in own {
        let (name, (port, shown)) = tokio::join!(
            reverse::look(subject, *address),
            reach::inward(subject, *address)
        );
        found.add([name, port], shown);
    }
    found.add([spf::look_at_host(subject, own).await], []);
    found
}

async fn listed(subject: &Subject<'_>, own: &[IpAddr]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for address in own {
        findings.extend(blocklists::look(subject, Listed::Address(*address)).await);
    }
    findings
}

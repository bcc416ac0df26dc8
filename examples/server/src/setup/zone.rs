//! The records of a domain, in the form of zone files (RFC 1035 §5.1).

use std::net::IpAddr;

use crate::examine::MadeKey;

/// All records that a domain needs, with complete names.
pub(super) fn records(
    hostname: &str,
    domain: &str,
    addresses: &[IpAddr],
    keys: &[MadeKey],
) -> String {
    let mut all = String::new();
    let mut section = |why: &str, records: &[String]| {
        all += &format!("; {why}\n");
        records
            .iter()
            .for_each(|record| all += &format!("{record}\n"));
    };
    let address = |address: &IpAddr| match address {
        IpAddr::V4(address) => format!("{hostname}. IN A {address}"),
        IpAddr::V6(address) => format!("{hostname}. IN AAAA {address}"),
    };
    let addresses: Vec<_> = addresses.iter().map(address).collect();
    let place = match hostname.ends_with(&format!(".{domain}")) {
        true => "The server".to_owned(),
        false => format!("The server, in the zone of {hostname}"),
    };
    section(&place, &addresses);
    section(
        "Where mail goes",
        &[format!("{domain}. IN MX 10 {hostname}.")],
    );
    section(
        "Who sends it (SPF): the server, and nobody else",
        &[
            format!("{domain}. IN TXT \"v=spf1 mx -all\""),
            format!("{hostname}. IN TXT \"v=spf1 a -all\""),
        ],
    );
    let keys: Vec<_> = keys.iter().map(|key| key.record.clone()).collect();
    section("What signs it (DKIM)", &keys);
    section(
        "What others do with what fails both (DMARC): p=reject once the reports say that all is well",
        &[format!(
            "_dmarc.{domain}. IN TXT \"v=DMARC1; p=quarantine; rua=mailto:postmaster@{domain}\""
        )],
    );
    section(
        "That TLS is checked (MTA-STS), and reports of it: another id after each change of the policy",
        &[
            format!("mta-sts.{domain}. IN CNAME {hostname}."),
            format!("_mta-sts.{domain}. IN TXT \"v=STSv1; id=1\""),
            format!("_smtp._tls.{domain}. IN TXT \"v=TLSRPTv1; rua=mailto:postmaster@{domain}\""),
        ],
    );
    let service = |name: &str, priority: u16, port: u16| {
        format!("_{name}._tcp.{domain}. IN SRV {priority} 1 {port} {hostname}.")
    };
    section(
        "How mail programs find the server",
        &[
            format!("autoconfig.{domain}. IN CNAME {hostname}."),
            format!("autodiscover.{domain}. IN CNAME {hostname}."),
            service("submissions", 0, 465),
            service("submission", 10, 587),
            service("imaps", 0, 993),
            service("imap", 10, 143),
            service("pop3s", 20, 995),
        ],
    );
    section(
        "Who may issue certificates",
        &[format!("{domain}. IN CAA 0 issue \"letsencrypt.org\"")],
    );
    all
}

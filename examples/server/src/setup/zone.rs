//! The records of a domain, in the form of zone files (RFC 1035 §5.1): each is one line, with complete names.

use std::net::IpAddr;

/// The names that the records are about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Zone<'a> {
    /// The server's name.
    pub(crate) hostname: &'a str,
    /// The domain that has mail.
    pub(crate) domain: &'a str,
}

/// Services of mail programs (RFC 6186, RFC 8314): the label, the priority, and the usual port.
const SERVICES: [(&str, u16, u16); 6] = [
    ("autodiscover", 0, 443),
    ("submissions", 0, 465),
    ("submission", 10, 587),
    ("imaps", 0, 993),
    ("imap", 10, 143),
    ("pop3s", 20, 995),
];

impl Zone<'_> {
    /// Where the server is.
    pub(crate) fn address(self, address: IpAddr) -> String {
        let host = self.hostname;
        match address {
            IpAddr::V4(address) => format!("{host}. IN A {address}"),
            IpAddr::V6(address) => format!("{host}. IN AAAA {address}"),
        }
    }

    /// Where mail goes.
    pub(crate) fn mx(self) -> String {
        format!("{}. IN MX 10 {}.", self.domain, self.hostname)
    }

    /// Who sends in the name of the domain.
    pub(crate) fn spf(self) -> String {
        format!("{}. IN TXT \"v=spf1 mx -all\"", self.domain)
    }

    /// Who calls itself by the server's name.
    pub(crate) fn spf_of_host(self) -> String {
        format!("{}. IN TXT \"v=spf1 a -all\"", self.hostname)
    }

    /// What others do with mail that fails SPF and DKIM.
    pub(crate) fn dmarc(self) -> String {
        let domain = self.domain;
        format!(
            "_dmarc.{domain}. IN TXT \"v=DMARC1; p=quarantine; rua=mailto:postmaster@{domain}\""
        )
    }

    /// The host of the MTA-STS policy.
    pub(crate) fn policy_host(self) -> String {
        self.alias("mta-sts")
    }

    /// That there is an MTA-STS policy.
    pub(crate) fn mta_sts(self) -> String {
        format!("_mta-sts.{}. IN TXT \"v=STSv1; id=1\"", self.domain)
    }

    /// Where reports about TLS go.
    pub(crate) fn tls_reports(self) -> String {
        let domain = self.domain;
        format!("_smtp._tls.{domain}. IN TXT \"v=TLSRPTv1; rua=mailto:postmaster@{domain}\"")
    }

    /// A further name of the server below the domain.
    pub(crate) fn alias(self, label: &str) -> String {
        format!("{label}.{}. IN CNAME {}.", self.domain, self.hostname)
    }

    /// Where mail programs find a service.
    pub(crate) fn service(self, name: &str, port: u16) -> String {
        let usual = SERVICES.iter().find(|(other, ..)| *other == name);
        let priority = usual.map_or(30, |(_, priority, _)| *priority);
        let (domain, host) = (self.domain, self.hostname);
        format!("_{name}._tcp.{domain}. IN SRV {priority} 1 {port} {host}.")
    }

    /// Who may issue certificates.
    pub(crate) fn issuer(self, issuer: &str) -> String {
        format!("{}. IN CAA 0 issue \"{issuer}\"", self.domain)
    }

    /// The key of the server's certificate (RFC 7672 §3.1.1), as [`hikyaku_relay::dane::record::Tlsa`] writes it.
    pub(crate) fn tlsa(self, port: u16, association: &str) -> String {
        format!("_{port}._tcp.{}. IN TLSA {association}", self.hostname)
    }

    /// All records that a domain needs, with those of its keys and of the certificate's key.
    pub(super) fn all(self, addresses: &[IpAddr], keys: &[String], tlsa: Option<&str>) -> String {
        let mut all = String::new();
        let mut section = |why: &str, records: &[String]| {
            all += &format!("; {why}\n");
            records
                .iter()
                .for_each(|record| all += &format!("{record}\n"));
        };
        let addresses: Vec<_> = addresses.iter().map(|one| self.address(*one)).collect();
        let place = match self.hostname.ends_with(&format!(".{}", self.domain)) {
            true => "The server".to_owned(),
            false => format!("The server, in the zone of {}", self.hostname),
        };
        section(&place, &addresses);
        section("Where mail goes", &[self.mx()]);
        section(
            "Who sends it (SPF): the server, and nobody else",
            &[self.spf(), self.spf_of_host()],
        );
        section("What signs it (DKIM)", keys);
        section(
            "What others do with what fails both (DMARC): p=reject once the reports say that all is well",
            &[self.dmarc()],
        );
        section(
            "That TLS is checked (MTA-STS), and reports of it: another id after each change of the policy",
            &[self.policy_host(), self.mta_sts(), self.tls_reports()],
        );
        match tlsa {
            Some(association) => section(
                "The key of the certificate (DANE), if the zone is signed: keep the key when you renew the certificate",
                &[self.tlsa(25, association)],
            ),
            None => section(
                "No TLSA record (DANE): each certificate from the ACME server has a key of its own",
                &[],
            ),
        }
        let found = ["autoconfig", "autodiscover"].map(|label| self.alias(label));
        let services = SERVICES.map(|(name, _, port)| self.service(name, port));
        section(
            "How mail programs find the server",
            &[&found[..], &services[..]].concat(),
        );
        // Who has issued a certificate that is there is not known here.
        if tlsa.is_none() {
            section(
                "Who may issue certificates",
                &[self.issuer("letsencrypt.org")],
            );
        }
        all
    }
}

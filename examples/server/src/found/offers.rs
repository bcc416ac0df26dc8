//! What this server offers to mail programs: only what it listens for, and TLS at once before STARTTLS.

use std::net::SocketAddr;

use crate::config::{Config, MtaSts};
use crate::protocol::Protocol;

/// The longest address (RFC 5321 §4.5.3.1.3).
const ADDRESS: usize = 254;

/// A protocol that mail programs speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Imap,
    Pop3,
    Smtp,
}

/// A port for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Offer {
    pub(crate) kind: Kind,
    pub(crate) port: u16,
    /// Whether TLS begins at once; else by STARTTLS.
    pub(crate) is_tls: bool,
}

/// What this server offers to mail programs.
#[derive(Debug)]
pub(crate) struct Offers {
    /// The name of this server, under which it has its certificate.
    pub(crate) hostname: String,
    /// The port of HTTPS.
    pub(crate) https: Option<u16>,
    pub(crate) mta_sts: MtaSts,
    /// Those of one kind stand together, the best first; IMAP before POP3.
    pub(crate) all: Vec<Offer>,
    domains: Vec<String>,
}

impl Offers {
    /// Takes what there is from what the server listens on. Ports of this machine alone are offered where it has no others.
    pub(crate) fn new(config: &Config, listens: &[(Protocol, SocketAddr)]) -> Self {
        let is_public = |at: &SocketAddr| !at.ip().is_loopback();
        let any_public = listens.iter().any(|(_, at)| is_public(at));
        let port = |protocol| {
            let mut listens = listens.iter();
            let found = listens.find(|(one, at)| *one == protocol && is_public(at) == any_public);
            found.map(|(_, at)| at.port())
        };
        let all = [
            (Kind::Imap, Protocol::Imaps, true),
            (Kind::Imap, Protocol::Imap, false),
            (Kind::Pop3, Protocol::Pop3s, true),
            (Kind::Pop3, Protocol::Pop3, false),
            (Kind::Smtp, Protocol::Submissions, true),
            (Kind::Smtp, Protocol::Submission, false),
        ];
        let all = all.into_iter().filter_map(|(kind, protocol, is_tls)| {
            let port = port(protocol)?;
            Some(Offer { kind, port, is_tls })
        });
        let domains = config.domains.iter();
        Self {
            hostname: config.hostname.to_ascii_lowercase(),
            https: port(Protocol::Https),
            mta_sts: config.mta_sts.clone(),
            all: all.collect(),
            domains: domains.map(|domain| domain.to_ascii_lowercase()).collect(),
        }
    }

    /// Returns the best offer of a kind.
    pub(crate) fn best(&self, kind: Kind) -> Option<Offer> {
        self.all.iter().copied().find(|offer| offer.kind == kind)
    }

    /// Returns the domain, if mail to it is delivered here.
    pub(crate) fn local(&self, domain: &str) -> Option<&str> {
        let mut domains = self.domains.iter();
        let found = domains.find(|local| local.eq_ignore_ascii_case(domain));
        found.map(String::as_str)
    }

    /// Reads an address of a domain here; whether there is such an account is not looked at.
    pub(crate) fn address<'a>(&self, text: &'a str) -> Option<(&'a str, &str)> {
        let address = text.trim();
        let is_address = hikyaku_smtp_proto::Mailbox::parse(address.as_bytes()).is_ok();
        let (_, domain) = address.rsplit_once('@')?;
        let domain = self.local(domain)?;
        (is_address && address.len() <= ADDRESS).then_some((address, domain))
    }

    /// Returns the domain that a request is about: by the host that it is sent to, else by the address that it names.
    pub(crate) fn domain(&self, host: &str, address: Option<&str>) -> Option<&str> {
        let prefixes = ["autoconfig.", "autodiscover."];
        let mut stripped = prefixes.iter().filter_map(|one| host.strip_prefix(one));
        let by_host = stripped.find_map(|domain| self.local(domain));
        if let Some(domain) = by_host.or_else(|| self.local(host)) {
            return Some(domain);
        }
        let is_own = host == self.hostname || host == "localhost";
        let is_address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
        if !is_own && is_address.is_err() {
            return None;
        }
        match address {
            Some(address) => self.address(address).map(|(_, domain)| domain),
            None => self.domains.first().map(String::as_str),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn offers(listens: &[(Protocol, &str)], more: &str) -> Offers {
        let text =
            format!("hostname = \"Mail.a.test\"\ndomains = [\"a.test\", \"B.test\"]\n{more}");
        let config = Config::parse(&text).unwrap();
        let listens: Vec<_> = listens
            .iter()
            .map(|(protocol, at)| (*protocol, at.parse().unwrap()))
            .collect();
        Offers::new(&config, &listens)
    }

    pub(crate) const ALL: [(Protocol, &str); 7] = [
        (Protocol::Imap, "0.0.0.0:143"),
        (Protocol::Submission, "0.0.0.0:587"),
        (Protocol::Pop3s, "0.0.0.0:995"),
        (Protocol::Imaps, "0.0.0.0:993"),
        (Protocol::Submissions, "0.0.0.0:465"),
        (Protocol::Smtp, "0.0.0.0:25"),
        (Protocol::Https, "0.0.0.0:443"),
    ];

    #[test]
    fn only_what_there_is_is_offered_and_tls_comes_first() {
        let ports = |offers: &Offers| offers.all.iter().map(|one| one.port).collect::<Vec<_>>();
        assert_eq!(ports(&offers(&ALL, "")), [993, 143, 995, 465, 587]);
        let mixed = [
            (Protocol::Imap, "127.0.0.1:143"),
            (Protocol::Imaps, "127.0.0.1:1993"),
            (Protocol::Imaps, "[::]:993"),
        ];
        assert_eq!(ports(&offers(&mixed, "")), [993]);
        let inner = [(Protocol::Imap, "127.0.0.1:143")];
        assert_eq!(ports(&offers(&inner, "")), [143]);
        assert!(offers(&[], "").all.is_empty());
    }

    #[test]
    fn the_host_says_which_domain_it_is_and_then_the_address() {
        let offers = offers(&ALL, "");
        for (host, address, expected) in [
            ("autoconfig.a.test", None, Some("a.test")),
            ("autoconfig.b.test", Some("x@a.test"), Some("b.test")),
            ("autodiscover.b.test", None, Some("b.test")),
            ("b.test", None, Some("b.test")),
            ("mail.a.test", None, Some("a.test")),
            ("mail.a.test", Some("x@B.TEST"), Some("b.test")),
            ("mail.a.test", Some("x@c.test"), None),
            ("127.0.0.1", Some("x@b.test"), Some("b.test")),
            ("[::1]", None, Some("a.test")),
            ("autoconfig.c.test", Some("x@a.test"), None),
            ("autoconfig.autoconfig.a.test", None, None),
        ] {
            assert_eq!(offers.domain(host, address), expected, "{host} {address:?}");
        }
        for bad in [
            "",
            "@a.test",
            "x@",
            "x y@a.test",
            "x@c.test",
            "<x@a.test>",
            &"x".repeat(300),
        ] {
            assert!(offers.address(bad).is_none(), "{bad}");
        }
        assert_eq!(offers.address(" x@B.test "), Some(("x@B.test", "b.test")));
    }
}

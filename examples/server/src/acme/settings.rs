//! `[acme]` of the configuration.

use serde::Deserialize;
use std::path::PathBuf;

/// `[acme]`: certificates from an ACME server (RFC 8555), such as Let's Encrypt.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Acme {
    /// The URL of the server's directory; without it there is no ACME.
    pub directory: Option<String>,
    /// The address that the server's operator may write to.
    pub contact: Option<String>,
    /// The host names of the certificate; by default the server's own, and `autoconfig.` and `mta-sts.` of each domain.
    pub names: Vec<String>,
    /// How control of the names is shown; by default HTTP-01 where `[listen] http` is, else TLS-ALPN-01.
    pub challenge: Option<AcmeChallenge>,
    /// A certificate authority to trust for the connection to the ACME server, besides the system's: a PEM file.
    pub root: Option<PathBuf>,
}

/// How control of a name is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AcmeChallenge {
    /// By a file on port 80 (RFC 8555 §8.3).
    #[serde(rename = "http-01")]
    Http01,
    /// By a certificate on port 443 (RFC 8737).
    #[serde(rename = "tls-alpn-01")]
    TlsAlpn01,
}

impl Acme {
    /// Returns how control of the names is shown, where there is ACME.
    pub(crate) fn challenge(&self, has_http: bool) -> AcmeChallenge {
        self.challenge.unwrap_or(match has_http {
            true => AcmeChallenge::Http01,
            false => AcmeChallenge::TlsAlpn01,
        })
    }

    /// Returns the host names of the certificate, in small letters.
    pub(crate) fn names(&self, hostname: &str, domains: &[String]) -> Vec<String> {
        let mut names = self.names.clone();
        if names.is_empty() {
            names.push(hostname.to_owned());
            for domain in domains {
                names.extend([format!("autoconfig.{domain}"), format!("mta-sts.{domain}")]);
            }
        }
        let mut all = Vec::new();
        for name in names.iter().map(|name| name.to_ascii_lowercase()) {
            if !all.contains(&name) {
                all.push(name);
            }
        }
        all
    }

    /// What can be wrong with values that are well-formed: a key, and what to do.
    pub(crate) fn check(
        &self,
        names: &[String],
        has_http: bool,
        has_tls: bool,
    ) -> Result<(), (&'static str, String)> {
        let Some(directory) = &self.directory else {
            return Ok(());
        };
        if !directory.starts_with("https://") {
            return Err((
                "directory",
                format!("\"{directory}\" is not an https:// URL"),
            ));
        }
        if self.contact.as_ref().is_some_and(|one| {
            !one.is_ascii() || hikyaku_smtp_proto::Mailbox::parse(one.as_bytes()).is_err()
        }) {
            return Err((
                "contact",
                "contact is not an address: write, for example, \"postmaster@example.org\"".into(),
            ));
        }
        // CA/Browser Forum: public authorities take no more than this many at once.
        if names.len() > 100 {
            return Err((
                "[acme]",
                format!(
                    "{} names are more than the 100 of one certificate: list those that matter in names",
                    names.len()
                ),
            ));
        }
        if let Some(bad) = names.iter().find(|name| !is_host(name)) {
            return Err((
                "[acme]",
                format!(
                    "\"{bad}\" is not a host name that a certificate can be had for: list those that are in names"
                ),
            ));
        }
        match self.challenge(has_http) {
            AcmeChallenge::Http01 if !has_http => Err((
                "challenge",
                "\"http-01\" needs [listen] http, reachable on port 80".into(),
            )),
            AcmeChallenge::TlsAlpn01 if !has_tls => Err((
                "[acme]",
                "ACME needs [listen] http, reachable on port 80, or https on port 443".into(),
            )),
            _ => Ok(()),
        }
    }
}

/// Whether a text is a host name with at least two labels, of letters, digits and hyphens. Wildcards need a DNS challenge.
fn is_host(name: &str) -> bool {
    let is_label = |label: &str| {
        let octets = label.as_bytes();
        let inner = octets
            .iter()
            .all(|&octet| octet.is_ascii_alphanumeric() || octet == b'-');
        let ends = octets.first() != Some(&b'-') && octets.last() != Some(&b'-');
        inner && ends && (1..=63).contains(&octets.len())
    };
    name.len() <= 253 && name.contains('.') && name.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_servers_and_those_of_its_domains() {
        let acme = Acme::default();
        let domains = [
            "a.test".to_owned(),
            "B.test".to_owned(),
            "a.test".to_owned(),
        ];
        assert_eq!(
            acme.names("Mail.a.test", &domains),
            [
                "mail.a.test",
                "autoconfig.a.test",
                "mta-sts.a.test",
                "autoconfig.b.test",
                "mta-sts.b.test"
            ]
        );
        let acme = Acme {
            names: vec!["X.test".into(), "x.test".into()],
            ..acme
        };
        assert_eq!(acme.names("mail.a.test", &domains), ["x.test"]);
    }

    #[test]
    fn what_cannot_work_is_said_before_anything_is_asked() {
        let acme = Acme {
            directory: Some("https://ca.test/dir".into()),
            ..Acme::default()
        };
        let names = ["mail.a.test".to_owned()];
        assert!(acme.check(&names, true, false).is_ok());
        assert!(acme.check(&names, false, true).is_ok());
        assert!(
            acme.check(&names, false, false)
                .unwrap_err()
                .1
                .contains("port 443")
        );
        for bad in [
            "localhost",
            "*.a.test",
            "-a.test",
            "a..test",
            "a_b.test",
            "192.0.2.1/x",
            "",
        ] {
            assert!(acme.check(&[bad.to_owned()], true, true).is_err(), "{bad}");
        }
        let many: Vec<_> = (0..101).map(|n| format!("n{n}.test")).collect();
        assert!(acme.check(&many, true, true).is_err());
        let http = Acme {
            challenge: Some(AcmeChallenge::Http01),
            ..acme.clone()
        };
        assert!(http.check(&names, false, true).is_err());
        let bad = Acme {
            directory: Some("http://ca.test/dir".into()),
            ..acme.clone()
        };
        assert!(bad.check(&names, true, true).is_err());
        let bad = Acme {
            contact: Some("me".into()),
            ..acme
        };
        assert!(bad.check(&names, true, true).is_err());
    }
}

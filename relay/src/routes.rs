//! Where mail goes that does not go where DNS says.

use hikyaku_wire::Secret;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// A rule for some mail. The first rule that fits holds; mail without one goes to the exchangers of its domain, over TLS
/// where they have it.
///
/// ```
/// use hikyaku_relay::{HostTls, NextHost, Route, Via};
/// let mut provider = NextHost::new("smtp.example.net", 465);
/// provider.tls = HostTls::Implicit;
/// let mut route = Route::new(Via::Hosts(vec![provider]));
/// route.domains = vec!["*".into()];
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Route {
    /// Domains of recipients: `example.org`, `*.example.org` for all below it, `*` for all. None is all.
    pub domains: Vec<String>,
    /// Reverse-paths: `alice@example.org`, `@example.org` for its domain, `<>` for notifications. None is all.
    pub senders: Vec<String>,
    /// Where it goes.
    pub via: Via,
    /// Exchangers must present a certificate that leads to a trusted root and names them or the domain. For
    /// [`Via::Exchangers`] alone; [`NextHost::tls`] says it of others.
    pub must_verify: bool,
}

impl Route {
    /// Creates a rule for all mail.
    pub fn new(via: Via) -> Self {
        Self {
            domains: Vec::new(),
            senders: Vec::new(),
            via,
            must_verify: false,
        }
    }

    pub(crate) fn fits(&self, domain: &str, sender: Option<&str>) -> bool {
        let is_domain = |pattern: &String| is_of(pattern, domain);
        let is_sender = |pattern: &String| match sender {
            None => pattern == "<>",
            Some(sender) => match pattern.strip_prefix('@') {
                Some(of) => sender
                    .rsplit_once('@')
                    .is_some_and(|(_, domain)| is_of(of, domain)),
                None => pattern.eq_ignore_ascii_case(sender),
            },
        };
        (self.domains.is_empty() || self.domains.iter().any(is_domain))
            && (self.senders.is_empty() || self.senders.iter().any(is_sender))
    }
}

fn is_of(pattern: &str, domain: &str) -> bool {
    match pattern.strip_prefix("*.") {
        _ if pattern == "*" => true,
        None => pattern.eq_ignore_ascii_case(domain),
        Some(above) => domain
            .len()
            .checked_sub(above.len() + 1)
            .and_then(|at| domain.get(at..))
            .and_then(|end| end.strip_prefix('.'))
            .is_some_and(|end| end.eq_ignore_ascii_case(above)),
    }
}

/// Where mail goes.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Via {
    /// The exchangers of the domain, as DNS says.
    Exchangers,
    /// These hosts, one after the other until one takes it: smarthosts, or servers of one's own by LMTP.
    Hosts(Vec<NextHost>),
}

/// A host that is named in a rule.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct NextHost {
    /// Where it is.
    pub place: Place,
    /// How TLS is used.
    pub tls: HostTls,
    /// Who to log in as.
    pub login: Option<Login>,
    /// LMTP instead of SMTP (RFC 2033).
    pub lmtp: bool,
}

impl NextHost {
    /// Creates a host at that port, with STARTTLS and a checked certificate, without a login.
    pub fn new(name: impl Into<String>, port: u16) -> Self {
        let name = name.into();
        Self {
            place: Place::Host { name, port },
            tls: HostTls::StartTls,
            login: None,
            lmtp: false,
        }
    }

    /// Creates a server on this machine that takes mail by LMTP on a socket.
    pub fn lmtp_socket(path: impl Into<PathBuf>) -> Self {
        Self {
            place: Place::Socket(path.into()),
            tls: HostTls::Never,
            login: None,
            lmtp: true,
        }
    }
}

impl FromStr for NextHost {
    type Err = NotAHost;

    /// Reads a host as configurations write it.
    ///
    /// | Text | Meaning |
    /// |---|---|
    /// | `smtps://host` | TLS from the start, port 465; the certificate is checked |
    /// | `smtp://host` | STARTTLS, port 587; the certificate is checked |
    /// | `smtp+any://host` | STARTTLS where it can be had, port 25; with any certificate |
    /// | `smtp+clear://host` | without TLS, port 25 |
    /// | `lmtp://host` | LMTP without TLS, port 24 |
    /// | `lmtp:/path` | LMTP on a unix socket |
    ///
    /// Each may name another port: `smtps://host:10465`.
    fn from_str(text: &str) -> Result<Self, NotAHost> {
        if let Some(path) = text
            .strip_prefix("lmtp:")
            .filter(|path| !path.starts_with("//"))
        {
            return match path.starts_with('/') {
                true => Ok(Self::lmtp_socket(path)),
                false => Err(NotAHost(text.into())),
            };
        }
        let (scheme, place) = text
            .split_once("://")
            .ok_or_else(|| NotAHost(text.into()))?;
        let (tls, port, lmtp) = match scheme {
            "smtps" => (HostTls::Implicit, 465, false),
            "smtp" => (HostTls::StartTls, 587, false),
            "smtp+any" => (HostTls::Opportunistic, 25, false),
            "smtp+clear" => (HostTls::Never, 25, false),
            "lmtp" => (HostTls::Never, 24, true),
            _ => return Err(NotAHost(text.into())),
        };
        let (name, port) = match place.rsplit_once(':') {
            Some((name, digits)) if name.ends_with(']') || !name.contains(':') => {
                (name, digits.parse().map_err(|_| NotAHost(text.into()))?)
            }
            _ => (place, port),
        };
        let name = name.trim_matches(['[', ']']);
        if name.is_empty() || name.contains(['/', '@', ' ']) {
            return Err(NotAHost(text.into()));
        }
        let login = None;
        let place = Place::Host {
            name: name.into(),
            port,
        };
        Ok(Self {
            place,
            tls,
            login,
            lmtp,
        })
    }
}

/// Writes the host as [`FromStr`] reads it, always with its port and never with a login.
impl fmt::Display for NextHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match (self.lmtp, self.tls) {
            (true, _) => "lmtp",
            (false, HostTls::Never) => "smtp+clear",
            (false, HostTls::Opportunistic) => "smtp+any",
            (false, HostTls::StartTls) => "smtp",
            (false, HostTls::Implicit) => "smtps",
        };
        match &self.place {
            Place::Socket(path) => write!(f, "lmtp:{}", path.display()),
            Place::Host { name, port } if name.contains(':') => {
                write!(f, "{scheme}://[{name}]:{port}")
            }
            Place::Host { name, port } => write!(f, "{scheme}://{name}:{port}"),
        }
    }
}

/// A text that names no host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{0}\" is no host: write smtps://host, smtp://host, smtp+any://host, smtp+clear://host, lmtp://host or lmtp:/path"
)]
pub struct NotAHost(String);

/// Where a host is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// A name or an address, and a port.
    Host {
        /// A name or an address.
        name: String,
        /// The port.
        port: u16,
    },
    /// A unix socket.
    Socket(PathBuf),
}

/// How TLS is used with a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum HostTls {
    /// Not at all: for this machine, and lines that nobody listens on.
    Never,
    /// With any certificate, and without where it does not come about.
    Opportunistic,
    /// STARTTLS, with a certificate that leads to a trusted root and names the host.
    StartTls,
    /// TLS from the start (RFC 8314 §3.3), with such a certificate.
    Implicit,
}

/// The login at a smarthost.
///
/// It is used under TLS alone, unless the host is one for [`HostTls::Never`], by the best mechanism that the host and this
/// relay know.
///
/// ```
/// use hikyaku_relay::Login;
/// let login = Login::new("shop@example.org", b"a long password".to_vec());
/// // The password does not get into logs.
/// assert!(!format!("{login:?}").contains("long"));
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Login {
    /// The name, often a whole address.
    pub user: String,
    /// The password, which is not shown and is wiped when it goes.
    pub password: Secret,
}

impl Login {
    /// Creates a login.
    pub fn new(user: impl Into<String>, password: impl Into<Secret>) -> Self {
        Self {
            user: user.into(),
            password: password.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_written_as_urls() {
        let shown = |text: &str| {
            let host: NextHost = text.parse().ok()?;
            let place = match host.place {
                Place::Host { name, port } => format!("{name} {port}"),
                Place::Socket(path) => path.display().to_string(),
            };
            Some(format!("{place} {:?} {}", host.tls, host.lmtp))
        };
        for (text, expected) in [
            ("smtps://a.test", "a.test 465 Implicit false"),
            ("smtp://a.test", "a.test 587 StartTls false"),
            ("smtp://a.test:2525", "a.test 2525 StartTls false"),
            ("smtp+any://192.0.2.1", "192.0.2.1 25 Opportunistic false"),
            ("smtp+clear://[::1]:25", "::1 25 Never false"),
            ("smtp+clear://::1", "::1 25 Never false"),
            ("lmtp://127.0.0.1", "127.0.0.1 24 Never true"),
            ("lmtp:/run/lmtp", "/run/lmtp Never true"),
        ] {
            assert_eq!(shown(text).as_deref(), Some(expected), "{text}");
            let written = text.parse::<NextHost>().unwrap().to_string();
            assert_eq!(shown(&written).as_deref(), Some(expected), "{written}");
        }
        for bad in [
            "",
            "a.test",
            "http://a",
            "smtps://",
            "smtps://a:b",
            "lmtp:x",
            "smtp://u@a",
            "smtp://a/b",
        ] {
            assert_eq!(shown(bad), None, "{bad}");
        }
    }

    #[test]
    fn rules_are_for_domains_and_senders() {
        let mut route = Route::new(Via::Exchangers);
        assert!(route.fits("a.test", None));
        route.domains = vec!["a.test".into(), "*.b.test".into()];
        for (domain, fits) in [
            ("a.test", true),
            ("A.TEST", true),
            ("x.a.test", false),
            ("x.b.test", true),
            ("x.Y.b.test", true),
            ("b.test", false),
            ("xb.test", false),
            ("é.test", false),
        ] {
            assert_eq!(route.fits(domain, Some("x@c.test")), fits, "{domain}");
        }
        route.senders = vec!["alice@c.test".into(), "@d.test".into()];
        for (sender, fits) in [
            (Some("alice@c.test"), true),
            (Some("bob@c.test"), false),
            (Some("\"@x\"@d.test"), true),
            (None, false),
        ] {
            assert_eq!(route.fits("a.test", sender), fits, "{sender:?}");
        }
        route.senders = vec!["<>".into()];
        assert!(route.fits("a.test", None) && !route.fits("a.test", Some("x@d.test")));
    }
}

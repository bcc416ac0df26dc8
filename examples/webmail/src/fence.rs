//! Requests that are refused whatever they ask for: those that another site's page sends, and those that do not say
//! clearly which host they are for.

use axum::extract::Request;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header};

/// Why a request is refused, if it is.
pub(crate) fn refused(request: &Request, secure: bool) -> Option<StatusCode> {
    let changes = !matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE
    );
    let Ok(host) = host(request) else {
        return Some(StatusCode::BAD_REQUEST);
    };
    match host {
        _ if !changes => None,
        None => Some(StatusCode::BAD_REQUEST),
        Some(host) if is_from_elsewhere(request.headers(), &host, secure) => {
            Some(StatusCode::FORBIDDEN)
        }
        Some(_) => None,
    }
}

/// The host and the port that a request is for; `None` when it does not say. What a proxy says in a field of its own,
/// such as X-Forwarded-Host, is not looked at.
fn host(request: &Request) -> Result<Option<Host>, Unclear> {
    let host = only(request.headers(), &header::HOST)?.map(Host::parse);
    // RFC 9112 §3.2.2: the absolute form has the host twice, and both have to be the same.
    let target = request
        .uri()
        .authority()
        .map(|authority| Host::parse(authority.as_str()));
    match (host.transpose()?, target.transpose()?) {
        (Some(host), Some(target)) if host != target => Err(Unclear),
        (host, _) => Ok(host),
    }
}

/// Something that can be read in more than one way.
#[derive(Debug, PartialEq, Eq)]
struct Unclear;

/// The one value of a field.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Unclear> {
    let mut all = headers.get_all(name).iter();
    let Some(value) = all.next() else {
        return Ok(None);
    };
    match all.next() {
        Some(_) => Err(Unclear),
        None => value.to_str().map(Some).map_err(|_| Unclear),
    }
}

/// A host and a port, in a form that can be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// In lower case, an IPv6 address in brackets.
    pub name: String,
    /// The port, if it is named.
    pub port: Option<u16>,
}

impl Host {
    /// Reads the value of a Host field: a name or an address, and perhaps a port, and nothing else.
    fn parse(text: &str) -> Result<Self, Unclear> {
        let authority: Authority = text.parse().map_err(|_| Unclear)?;
        let name = authority.host().to_ascii_lowercase();
        let is_address = name.starts_with('[');
        let part = |octet: u8| octet.is_ascii_alphanumeric() || b"-._".contains(&octet);
        if text.contains('@') || name.is_empty() || !(is_address || name.bytes().all(part)) {
            return Err(Unclear);
        }
        let rest = text.get(name.len()..).unwrap_or("");
        let port = match rest.strip_prefix(':') {
            None if rest.is_empty() => None,
            Some("") => None,
            Some(port) => Some(port.parse().map_err(|_| Unclear)?),
            None => return Err(Unclear),
        };
        Ok(Self { name, port })
    }

    /// Reads the host of a request.
    ///
    /// `None` when the request names none, more than one, or something that is not a host.
    #[must_use]
    pub fn of(request: &Request) -> Option<Self> {
        host(request).ok().flatten()
    }

    fn is_loopback(&self) -> bool {
        let address = self.name.trim_matches(['[', ']']).parse();
        self.name == "localhost"
            || address.is_ok_and(|address: std::net::IpAddr| address.is_loopback())
    }
}

/// Whether a page of another site sent it. With `SameSite` and the token in each form that is the third fence, for
/// browsers that know neither.
fn is_from_elsewhere(headers: &HeaderMap, host: &Host, secure: bool) -> bool {
    let (Ok(site), Ok(origin)) = (
        only(headers, &HeaderName::from_static("sec-fetch-site")),
        only(headers, &header::ORIGIN),
    ) else {
        return true;
    };
    if site.is_some_and(|site| !matches!(site, "same-origin" | "none")) {
        return true;
    }
    match origin {
        None => false,
        // No site at all: a page in a sandbox, or one whose browser does not say.
        Some("null") => site != Some("same-origin"),
        Some(origin) => !is_origin(origin, host, secure),
    }
}

/// Whether an origin is that of the pages here.
fn is_origin(origin: &str, host: &Host, secure: bool) -> bool {
    let Some((scheme, rest)) = origin.split_once("://") else {
        return false;
    };
    let default = match scheme {
        "https" => 443,
        // In clear somebody on the way may have written that page.
        "http" if !secure || host.is_loopback() => 80,
        _ => return false,
    };
    let Ok(origin) = Host::parse(rest) else {
        return false;
    };
    let port = |host: &Host| host.port.unwrap_or(default);
    origin.name == host.name && port(&origin) == port(host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    fn asked(target: &str, fields: &[(&str, &str)], method: Method) -> Option<u16> {
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let refused = refused(&request.body(Body::empty()).unwrap(), true);
        refused.map(|status| status.as_u16())
    }

    /// A target, fields, and the status of the refusal.
    type Row = (
        &'static str,
        &'static [(&'static str, &'static str)],
        Option<u16>,
    );

    #[test]
    fn a_form_says_one_host_and_comes_from_its_pages() {
        const fn https(host: &'static str) -> (&'static str, &'static str) {
            ("origin", host)
        }
        const fn host(host: &'static str) -> (&'static str, &'static str) {
            ("host", host)
        }
        const fn site(site: &'static str) -> (&'static str, &'static str) {
            ("sec-fetch-site", site)
        }
        const ROWS: &[Row] = &[
            ("/act", &[host("a.test")], None),
            ("/act", &[host("a.test"), https("https://a.test")], None),
            ("/act", &[host("A.test:443"), https("https://a.test")], None),
            ("/act", &[host("a.test"), https("https://A.TEST:443")], None),
            (
                "/act",
                &[
                    host("a.test:8443"),
                    https("https://a.test:8443"),
                    site("same-origin"),
                ],
                None,
            ),
            (
                "/act",
                &[host("[::1]:8443"), https("https://[::1]:8443")],
                None,
            ),
            (
                "/act",
                &[host("localhost:8080"), https("http://localhost:8080")],
                None,
            ),
            (
                "/act",
                &[host("127.0.0.1"), https("http://127.0.0.1")],
                None,
            ),
            (
                "/act",
                &[host("a.test"), https("null"), site("same-origin")],
                None,
            ),
            ("https://a.test/act", &[host("a.test")], None),
            // No host, two, or something else than one.
            ("/act", &[], Some(400)),
            ("/act", &[host("a.test"), host("a.test")], Some(400)),
            (
                "/act",
                &[host("a.test"), host("b.test"), https("https://a.test")],
                Some(400),
            ),
            ("/act", &[host(""), https("https://a.test")], Some(400)),
            (
                "/act",
                &[host("a.test, b.test"), https("https://a.test")],
                Some(400),
            ),
            (
                "/act",
                &[host("user@a.test"), https("https://a.test")],
                Some(400),
            ),
            (
                "/act",
                &[host("a.test@b.test"), https("https://a.test")],
                Some(400),
            ),
            (
                "/act",
                &[host("a.test:b"), https("https://a.test")],
                Some(400),
            ),
            (
                "/act",
                &[host("a.test:99999"), https("https://a.test")],
                Some(400),
            ),
            (
                "/act",
                &[host("a.test/b"), https("https://a.test")],
                Some(400),
            ),
            ("/act", &[host("a.test?b")], Some(400)),
            ("/act", &[host("ä.test")], Some(400)),
            ("/act", &[host("a%2etest")], Some(400)),
            (
                "https://b.test/act",
                &[host("a.test"), https("https://a.test")],
                Some(400),
            ),
            (
                "https://a.test:1/act",
                &[host("a.test"), https("https://a.test")],
                Some(400),
            ),
            // From elsewhere.
            ("/act", &[host("a.test"), https("null")], Some(403)),
            (
                "/act",
                &[host("a.test"), https("null"), site("none")],
                Some(403),
            ),
            (
                "/act",
                &[host("a.test"), https("null"), site("cross-site")],
                Some(403),
            ),
            ("/act", &[host("null"), https("null")], Some(403)),
            ("/act", &[host("a.test"), https("NULL")], Some(403)),
            ("/act", &[host("a.test"), https("")], Some(403)),
            ("/act", &[host("a.test"), https("a.test")], Some(403)),
            ("/act", &[host("a.test"), https("http://a.test")], Some(403)),
            (
                "/act",
                &[host("a.test"), https("https://b.test")],
                Some(403),
            ),
            (
                "/act",
                &[host("a.test"), https("https://a.test:8443")],
                Some(403),
            ),
            (
                "/act",
                &[host("a.test"), https("https://a.test.")],
                Some(403),
            ),
            (
                "/act",
                &[host("a.test."), https("https://a.test")],
                Some(403),
            ),
            (
                "/act",
                &[host("a.test"), https("https://a.test.b.test")],
                Some(403),
            ),
            (
                "/act",
                &[host("a.test"), https("https://b.test@a.test")],
                Some(403),
            ),
            (
                "/act",
                &[
                    host("a.test"),
                    https("https://a.test"),
                    https("https://b.test"),
                ],
                Some(403),
            ),
            (
                "/act",
                &[host("a.test"), https("https://a.test https://b.test")],
                Some(403),
            ),
            ("/act", &[host("a.test"), site("same-site")], Some(403)),
            (
                "/act",
                &[host("a.test"), site("same-origin"), site("cross-site")],
                Some(403),
            ),
            (
                "/act",
                &[host("a.test"), site("same-origin, cross-site")],
                Some(403),
            ),
            (
                "/act",
                &[
                    host("a.test"),
                    https("https://b.test"),
                    ("x-forwarded-host", "b.test"),
                ],
                Some(403),
            ),
            (
                "/act",
                &[
                    host("a.test"),
                    https("https://b.test"),
                    ("forwarded", "host=b.test"),
                ],
                Some(403),
            ),
        ];
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
            for (target, fields, expected) in ROWS {
                let said = asked(target, fields, method.clone());
                assert_eq!(said, *expected, "{method} {target} {fields:?}");
            }
        }
    }

    #[test]
    fn a_page_is_shown_to_whoever_follows_a_link() {
        let from = [("host", "a.test"), ("sec-fetch-site", "cross-site")];
        assert_eq!(asked("/folder", &from, Method::GET), None);
        assert_eq!(asked("/folder", &[], Method::GET), None);
        let two = [("host", "a.test"), ("host", "b.test")];
        assert_eq!(asked("/folder", &two, Method::GET), Some(400));
    }
}

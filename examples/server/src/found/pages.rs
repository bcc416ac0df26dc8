//! The pages that mail programs and mail servers ask for, before all others.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Query, Request};
use axum::http::{Method, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use std::collections::HashMap;
use std::sync::Arc;
use webmail::Host;

use super::offers::Offers;
use super::{apple, autoconfig, autodiscover, mta_sts};

/// The most octets of a request: Outlook's has a few hundred.
const REQUEST: usize = 16 * 1024;

const XML: &str = "text/xml; charset=utf-8";
const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";

/// A page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Page {
    Autoconfig,
    Autodiscover,
    AutodiscoverJson,
    Apple,
    MtaSts,
}

impl Page {
    /// The page of a path. Outlook writes its own in any case.
    fn of(path: &str) -> Option<Self> {
        let path = path.to_ascii_lowercase();
        Some(match path.as_str() {
            "/mail/config-v1.1.xml" | "/.well-known/autoconfig/mail/config-v1.1.xml" => {
                Self::Autoconfig
            }
            "/autodiscover/autodiscover.xml" => Self::Autodiscover,
            "/autodiscover/autodiscover.json" => Self::AutodiscoverJson,
            "/apple.mobileconfig" => Self::Apple,
            "/.well-known/mta-sts.txt" => Self::MtaSts,
            path if path.starts_with("/autodiscover/autodiscover.json/v1.0/") => {
                Self::AutodiscoverJson
            }
            _ => return None,
        })
    }
}

/// Answers these pages, and leaves all others to a router. In clear there is only what Thunderbird asks for that way.
pub(crate) fn before(router: Router, offers: &Arc<Offers>, is_secure: bool) -> Router {
    let offers = Arc::clone(offers);
    router.layer(from_fn(move |request: Request, next: Next| {
        let offers = Arc::clone(&offers);
        async move {
            match Page::of(request.uri().path()) {
                Some(page) if is_secure || page == Page::Autoconfig => {
                    answer(&offers, page, request).await
                }
                _ => next.run(request).await,
            }
        }
    }))
}

async fn answer(offers: &Offers, page: Page, request: Request) -> Response {
    let method = request.method();
    let fits = match page {
        Page::Autodiscover => method == Method::POST,
        _ => method == Method::GET || method == Method::HEAD,
    };
    if !fits {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let Some(host) = Host::of(&request) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let query = Query::<HashMap<String, String>>::try_from_uri(request.uri());
    let query = query.map(|Query(query)| query).unwrap_or_default();
    let value = |name: &str| {
        let mut all = query.iter();
        let found = all.find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    };
    let found = match page {
        Page::Autoconfig => offers
            .domain(&host.name, value("emailaddress"))
            .map(|domain| of(XML, autoconfig::file(offers, domain))),
        Page::Autodiscover => {
            return match to_bytes(request.into_body(), REQUEST).await {
                Ok(octets) => of(XML, autodiscover::xml(offers, &octets)),
                Err(_) => StatusCode::PAYLOAD_TOO_LARGE.into_response(),
            };
        }
        Page::AutodiscoverJson => {
            return match autodiscover::json(offers, value("Protocol").unwrap_or("")) {
                Ok(found) => of(JSON, found),
                Err(refused) => (StatusCode::BAD_REQUEST, of(JSON, refused)).into_response(),
            };
        }
        Page::Apple => value("email")
            .and_then(|address| offers.address(address))
            .and_then(|(address, _)| apple::profile(offers, address))
            .map(|file| {
                let name = "attachment; filename=\"mail.mobileconfig\"";
                let name = [(header::CONTENT_DISPOSITION, name)];
                (name, of("application/x-apple-aspen-config", file)).into_response()
            }),
        Page::MtaSts => mta_sts::policy(offers, &host.name).map(|policy| of(TEXT, policy)),
    };
    found.unwrap_or_else(|| StatusCode::NOT_FOUND.into_response())
}

fn of(kind: &'static str, text: String) -> Response {
    let fields = [
        (header::CONTENT_TYPE, kind),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (fields, Body::from(text)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        for (path, expected) in [
            ("/AutoDiscover/AutoDiscover.XML", Some(Page::Autodiscover)),
            ("/autodiscover/autodiscover.xml", Some(Page::Autodiscover)),
            (
                "/Autodiscover/Autodiscover.json/v1.0/a@b.test",
                Some(Page::AutodiscoverJson),
            ),
            ("/mail/config-v1.1.xml", Some(Page::Autoconfig)),
            (
                "/.well-known/autoconfig/mail/config-v1.1.xml",
                Some(Page::Autoconfig),
            ),
            ("/.well-known/mta-sts.txt", Some(Page::MtaSts)),
            ("/apple.mobileconfig", Some(Page::Apple)),
            ("/", None),
            ("/mail/config-v1.1.xml/", None),
        ] {
            assert_eq!(Page::of(path), expected, "{path}");
        }
    }
}

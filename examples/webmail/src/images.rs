//! Images elsewhere that a message names, shown when the reader asks for them. The browser never goes there:
//! they are fetched from here, small and of a few kinds, and not from within our own network.

use axum::extract::Query;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use std::time::Duration;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};

use crate::State;
use crate::outside::is_public;

/// The most octets of one.
const OCTETS: u64 = 4 * 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(15);
const KINDS: [&str; 4] = ["image/png", "image/jpeg", "image/gif", "image/webp"];

/// What says that an image's URL was written here, and not by who wants us to fetch something.
#[derive(Debug, Clone)]
pub(crate) struct Key([u8; 32]);

impl Key {
    /// A new one: what was written with another is not fetched any more.
    pub(crate) fn new() -> Self {
        let mut key = [0; 32];
        getrandom::fill(&mut key).expect("the system's randomness");
        Self(key)
    }

    /// HMAC (RFC 2104) with SHA-256, in hex.
    fn mark(&self, url: &str) -> String {
        use std::fmt::Write as _;
        let pad = |with: u8| -> Vec<u8> {
            let padded = self.0.iter().copied().chain([0; 32]);
            padded.map(|octet| octet ^ with).collect()
        };
        let inner = Sha256::new()
            .chain_update(pad(0x36))
            .chain_update(url)
            .finalize();
        let outer = Sha256::new()
            .chain_update(pad(0x5c))
            .chain_update(inner)
            .finalize();
        outer.iter().fold(String::new(), |mut hex, octet| {
            let _ = write!(hex, "{octet:02x}");
            hex
        })
    }

    /// Where the page finds an image.
    pub(crate) fn link(&self, base: &str, url: &str) -> String {
        let escaped: String = url.bytes().map(|octet| format!("%{octet:02X}")).collect();
        format!("{base}/image?u={escaped}&m={}", self.mark(url))
    }
}

#[derive(Deserialize)]
pub(crate) struct Asked {
    u: String,
    m: String,
}

/// Names within our own network have no address here.
#[derive(Debug)]
struct Public {
    inner: DefaultResolver,
    private: bool,
}

impl Resolver for Public {
    fn resolve(
        &self,
        uri: &ureq::http::Uri,
        config: &ureq::config::Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let found = self.inner.resolve(uri, config, timeout)?;
        match self.private || found.iter().all(|address| is_public(address.ip())) {
            true => Ok(found),
            false => Err(ureq::Error::HostNotFound),
        }
    }
}

/// An image elsewhere. The mark stands for the session: a sandboxed frame has no cookies.
pub(crate) async fn show(
    axum::extract::State(shared): State,
    Query(asked): Query<Asked>,
) -> Response {
    let mark = shared.images.mark(&asked.u);
    let same = mark.len() == asked.m.len()
        && mark
            .bytes()
            .zip(asked.m.bytes())
            .fold(0, |all, (a, b)| all | (a ^ b))
            == 0;
    if !same {
        return StatusCode::FORBIDDEN.into_response();
    }
    let outside = &shared.options.outside;
    let private = outside.private;
    let fetched = tokio::task::spawn_blocking(move || fetch(&asked.u, private)).await;
    match fetched {
        Ok(Some((kind, octets))) => {
            let mut response = octets.into_response();
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
            headers.insert(
                header::CONTENT_SECURITY_POLICY,
                HeaderValue::from_static("default-src 'none'; sandbox"),
            );
            headers.insert(
                "cross-origin-resource-policy",
                HeaderValue::from_static("cross-origin"),
            );
            response
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

fn fetch(url: &str, private: bool) -> Option<(&'static str, Vec<u8>)> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(PATIENCE))
        .max_redirects(3)
        .user_agent("")
        .build();
    let resolver = Public {
        inner: DefaultResolver::default(),
        private,
    };
    let agent = ureq::Agent::with_parts(config, DefaultConnector::default(), resolver);
    let mut response = agent.get(url).call().ok()?;
    let said = response
        .headers()
        .get(header::CONTENT_TYPE)?
        .to_str()
        .ok()?;
    let said = said
        .split(';')
        .next()
        .unwrap_or("")
        .trim()
        .to_ascii_lowercase();
    let kind = KINDS.into_iter().find(|kind| *kind == said)?;
    let octets = response
        .body_mut()
        .with_config()
        .limit(OCTETS)
        .read_to_vec()
        .ok()?;
    Some((kind, octets))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_of_one_url_and_one_key() {
        let key = Key::new();
        assert_eq!(key.mark("http://a.test/1"), key.mark("http://a.test/1"));
        assert_ne!(key.mark("http://a.test/1"), key.mark("http://a.test/2"));
        assert_ne!(
            key.mark("http://a.test/1"),
            Key::new().mark("http://a.test/1")
        );
        // RFC 4231 §4.2 has a key of 20 octets 0x0b, the rest of a block zero.
        let mut known = [0; 32];
        known[..20].fill(0x0b);
        assert_eq!(
            Key(known).mark("Hi There"),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        );
    }
}

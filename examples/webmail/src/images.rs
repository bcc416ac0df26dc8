//! Images elsewhere that a message names, shown when the reader asks for them. The browser never goes there:
//! they are fetched from here, small and of a few kinds, and not from within our own network.

use axum::extract::Query;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use hikyaku_wire::is_global;
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use ureq::tls::{RootCerts, TlsConfig};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};

use crate::State;
use crate::words::Language;

/// The most octets of one.
const OCTETS: u64 = 4 * 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(15);
const KINDS: [&str; 4] = ["image/png", "image/jpeg", "image/gif", "image/webp"];

#[derive(Deserialize)]
pub(crate) struct Asked {
    u: String,
    m: String,
    #[serde(default)]
    l: String,
}

/// Why there is no image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Missing {
    /// Nobody answers, or not with one, or not in time.
    Failed,
    /// What came is none, or is too large.
    Refused,
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
        match self.private || found.iter().all(|address| is_global(address.ip())) {
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
    let turn = Arc::clone(&shared.fetches.turns).acquire_owned();
    let fetched = match tokio::time::timeout(PATIENCE, turn).await {
        Ok(Ok(turn)) => {
            let fetching = tokio::task::spawn_blocking(move || {
                let _turn = turn;
                let outside = &shared.options.outside;
                let roots = shared.fetches.roots(outside.ca.as_deref());
                fetch(&asked.u, outside.private, roots)
            });
            fetching.await.unwrap_or(Err(Missing::Failed))
        }
        _ => Err(Missing::Failed),
    };
    let words = Language::named(&asked.l).words();
    let (kind, octets) = fetched.unwrap_or_else(|missing| {
        let said = match missing {
            Missing::Failed => words.image_failed,
            Missing::Refused => words.image_refused,
        };
        ("image/svg+xml", placeholder(said).into_bytes())
    });
    let mut response = octets.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; sandbox"),
    );
    response
}

/// An image that says why there is none.
fn placeholder(said: &str) -> String {
    let width = said
        .chars()
        .map(|c| if c.is_ascii() { 8 } else { 15 })
        .sum::<u32>()
        + 16;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"28\" viewBox=\"0 0 {width} 28\">\
         <rect x=\".5\" y=\".5\" width=\"{}\" height=\"27\" fill=\"#f4f4f4\" stroke=\"#888\" stroke-dasharray=\"3\"/>\
         <text x=\"8\" y=\"19\" font-family=\"sans-serif\" font-size=\"14\" fill=\"#555\">{said}</text></svg>",
        width - 1
    )
}

fn fetch(url: &str, private: bool, roots: RootCerts) -> Result<(&'static str, Vec<u8>), Missing> {
    let tls = TlsConfig::builder()
        .root_certs(roots)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build();
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(PATIENCE))
        .max_redirects(3)
        .user_agent("")
        .tls_config(tls)
        .build();
    let resolver = Public {
        inner: DefaultResolver::default(),
        private,
    };
    let agent = ureq::Agent::with_parts(config, DefaultConnector::default(), resolver);
    let mut response = agent.get(url).call().map_err(|_| Missing::Failed)?;
    let said = response.headers().get(header::CONTENT_TYPE);
    let said = said.and_then(|said| said.to_str().ok()).unwrap_or("");
    let said = said
        .split(';')
        .next()
        .unwrap_or("")
        .trim()
        .to_ascii_lowercase();
    let kind = KINDS.into_iter().find(|kind| *kind == said);
    let kind = kind.ok_or(Missing::Refused)?;
    let octets = response
        .body_mut()
        .with_config()
        .limit(OCTETS)
        .read_to_vec()
        .map_err(|_| Missing::Refused)?;
    Ok((kind, octets))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fetches::Fetches;
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    /// A web server that answers one request with a picture; its URL, and its certificate as a PEM file.
    fn picture() -> (String, tempfile::NamedTempFile) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let mut ca = tempfile::NamedTempFile::new().unwrap();
        ca.write_all(made.cert.pem().as_bytes()).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key.unwrap())
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!(
            "https://localhost:{}/a",
            listener.local_addr().unwrap().port()
        );
        std::thread::spawn(move || {
            // One is refused, and one served.
            for _ in 0..2 {
                let (stream, _) = listener.accept().unwrap();
                let connection = rustls::ServerConnection::new(Arc::new(config.clone())).unwrap();
                let mut stream = rustls::StreamOwned::new(connection, stream);
                let mut request = [0; 1024];
                if stream.read(&mut request).is_ok() {
                    let head = "HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 3\r\n\r\nPNG";
                    stream.write_all(head.as_bytes()).unwrap();
                }
            }
        });
        (url, ca)
    }

    #[test]
    fn an_image_behind_https_comes_when_its_certificate_is_trusted() {
        let (url, ca) = picture();
        let roots = |ca| Fetches::new().roots(ca);
        assert_eq!(fetch(&url, true, roots(None)), Err(Missing::Failed));
        let fetched = fetch(&url, true, roots(Some(ca.path())));
        assert_eq!(fetched, Ok(("image/png", b"PNG".to_vec())));
    }

    #[test]
    fn an_image_that_is_not_there_says_so() {
        let said = placeholder(Language::Japanese.words().image_failed);
        assert!(
            said.starts_with("<svg ") && said.contains("画像を取得できません"),
            "{said}"
        );
    }
}

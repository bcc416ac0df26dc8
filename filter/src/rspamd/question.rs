//! The question for rspamd: a message, and what SMTP knows of it as header fields of HTTP.

use bytes::Bytes;
use hikyaku_service::Arrival;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use hyper::{HeaderMap, Method, Request};

/// What a connection sends.
pub(super) type Question = Request<Full<Bytes>>;

pub(super) fn question(arrival: Arrival<'_>, mta_name: &str) -> Question {
    let mut fields = Fields::default();
    let client = arrival.client;
    if let Some(address) = client.address {
        // A client of a socket for both families is known by its IPv4 address.
        fields.add("ip", &address.to_canonical().to_string());
    }
    fields.add("helo", &client.hello);
    // `<>` names nobody, which rspamd knows.
    let from = arrival.reverse_path.to_string();
    fields.add("from", &from);
    for recipient in arrival.recipients {
        fields.add("rcpt", recipient);
    }
    if let Some(account) = &client.account {
        fields.add("user", account);
    }
    if let Some((version, cipher)) = client.tls.as_deref().and_then(|tls| tls.split_once(' ')) {
        fields.add("tls-version", version);
        fields.add("tls-cipher", cipher);
    }
    fields.add("queue-id", arrival.id);
    fields.add("mta-name", mta_name);
    // Every rule is asked, so that the score says the same wherever it passed the limit.
    fields.add("pass", "all");
    fields.0.insert(HOST, HeaderValue::from_static("rspamd"));
    let kind = HeaderValue::from_static("message/rfc822");
    fields.0.insert(CONTENT_TYPE, kind);

    let mut question = Request::new(Full::new(arrival.message.clone()));
    *question.method_mut() = Method::POST;
    *question.uri_mut() = hyper::Uri::from_static("/checkv2");
    *question.headers_mut() = fields.0;
    question
}

#[derive(Default)]
struct Fields(HeaderMap);

impl Fields {
    /// Adds one. What may not stand in a field of HTTP is a question mark there: a client chooses what it says with
    /// EHLO.
    fn add(&mut self, name: &'static str, value: &str) {
        let octet = |octet: u8| match octet.is_ascii_control() {
            true => b'?',
            false => octet,
        };
        let value: Vec<u8> = value.bytes().map(octet).collect();
        if let Ok(value) = HeaderValue::from_bytes(&value) {
            self.0.append(HeaderName::from_static(name), value);
        }
    }
}

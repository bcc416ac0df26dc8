//! Where a domain wants its reports (RFC 8460 §3).

use hikyaku_smtp_proto::Mailbox;
use hyper::Uri;

use crate::text_record::{fields, first, only};

const VERSION: &str = "v=TLSRPTv1";
/// Places that a report is sent to. A record could name hundreds, which would all get one from everybody.
const PLACES: usize = 4;

/// A place that takes reports.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// A mailbox.
    Mailbox(String),
    /// A web server.
    Web {
        /// Its host.
        host: String,
        /// Its port, where it is not that of HTTPS.
        port: Option<u16>,
        /// The path, with the query.
        path: String,
    },
}

/// Reads the TXT records of `_smtp._tls`, the strings of each joined. There are no places when the domain wants no
/// reports, or none in a way that is known here.
pub fn places(records: &[Vec<u8>]) -> Vec<Place> {
    let fields = only(records, VERSION).and_then(|text| fields(text, VERSION));
    let rua = fields.and_then(|fields| first(&fields, "rua"));
    let uris = rua.into_iter().flat_map(|rua| rua.split(','));
    let places = uris.filter_map(|uri| place(uri.trim_matches([' ', '\t'])));
    places.take(PLACES).collect()
}

/// Reads a URI. "!" must be encoded in it: DMARC's sizes behind one are not for this record.
fn place(uri: &str) -> Option<Place> {
    let (scheme, rest) = uri.split_once(':').filter(|_| !uri.contains('!'))?;
    if scheme.eq_ignore_ascii_case("mailto") {
        let address = decoded(rest.split('?').next()?)?;
        let mailbox = Mailbox::parse(address.as_bytes()).ok()?;
        // Where an address lies is not for a stranger to say: it may be within this network.
        let is_named = !mailbox.is_international() && !mailbox.domain().starts_with('[');
        return is_named.then_some(Place::Mailbox(address));
    }
    let uri: Uri = uri.parse().ok()?;
    let authority = uri.authority().filter(|one| !one.as_str().contains('@'))?;
    if uri.scheme_str() != Some("https") || authority.host().parse::<std::net::IpAddr>().is_ok() {
        return None;
    }
    Some(Place::Web {
        host: authority.host().to_owned(),
        port: authority.port_u16(),
        path: uri.path_and_query()?.as_str().to_owned(),
    })
}

/// Replaces what is percent-encoded.
fn decoded(text: &str) -> Option<String> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        octets.push(match octet {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(octets).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_name_mailboxes_and_servers() {
        let mailbox = |address: &str| Place::Mailbox(address.into());
        let web = |host: &str, port, path: &str| Place::Web {
            host: host.into(),
            port,
            path: path.into(),
        };
        for (record, expected) in [
            // The examples of §3.1.
            (
                "v=TLSRPTv1;rua=mailto:reports@example.com",
                vec![mailbox("reports@example.com")],
            ),
            (
                "v=TLSRPTv1; rua=https://reporting.example.com/v1/tlsrpt",
                vec![web("reporting.example.com", None, "/v1/tlsrpt")],
            ),
            (
                "v=TLSRPTv1; rua=mailto:a@b.test , https://b.test:8443/x?y=1;",
                vec![mailbox("a@b.test"), web("b.test", Some(8443), "/x?y=1")],
            ),
            (
                "v=TLSRPTv1; new=1; rua=MAILTO:a%2Bx@b.test?subject=hi",
                vec![mailbox("a+x@b.test")],
            ),
            (
                "v=TLSRPTv1; rua=mailto:a@b.test; rua=mailto:c@d.test",
                vec![mailbox("a@b.test")],
            ),
            (
                "v=TLSRPTv1; rua=https://b.test",
                vec![web("b.test", None, "/")],
            ),
            ("v=TLSRPTv1; rua=mailto:a@b.test!10m", vec![]),
            ("v=TLSRPTv1; rua=mailto:a%0d%0ax@b.test", vec![]),
            ("v=TLSRPTv1; rua=mailto:a%2", vec![]),
            ("v=TLSRPTv1; rua=mailto:", vec![]),
            ("v=TLSRPTv1; rua=mailto:a@[127.0.0.1]", vec![]),
            ("v=TLSRPTv1; rua=http://b.test/", vec![]),
            ("v=TLSRPTv1; rua=https://u@b.test/", vec![]),
            ("v=TLSRPTv1; rua=https://127.0.0.1/", vec![]),
            ("v=TLSRPTv1; rua=ftp://b.test/", vec![]),
            ("v=TLSRPTv1; rua=", vec![]),
            ("v=TLSRPTv1; rua", vec![]),
            ("v=TLSRPTv1", vec![]),
            ("v=TLSRPTv2; rua=mailto:a@b.test", vec![]),
            ("V=TLSRPTv1; rua=mailto:a@b.test", vec![]),
        ] {
            assert_eq!(places(&[record.into()]), expected, "{record}");
        }
        let two = [
            "v=TLSRPTv1; rua=mailto:a@b.test",
            "v=TLSRPTv1; rua=mailto:c@b.test",
        ];
        assert_eq!(places(&two.map(Vec::from)), []);
        let beside = ["v=spf1 -all", "v=TLSRPTv1; rua=mailto:c@b.test"];
        assert_eq!(places(&beside.map(Vec::from)), [mailbox("c@b.test")]);
        let many = format!("v=TLSRPTv1; rua={}", vec!["mailto:a@b.test"; 99].join(","));
        assert_eq!(places(&[many.into_bytes()]).len(), PLACES);
    }
}

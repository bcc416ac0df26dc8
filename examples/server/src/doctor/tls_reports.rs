//! Where others report how TLS with the server went (RFC 8460 §3).

use super::finding::Finding;
use super::subject::{Subject, unanswered};

/// Looks at the record of a domain.
pub(super) async fn look(subject: &Subject<'_>, domain: &str) -> Finding {
    let about = format!("TLS reports of {domain}");
    let name = format!("_smtp._tls.{domain}");
    let texts = match subject.dns.txt(&name).await {
        Ok(found) => found.records,
        Err(error) => return unanswered(about, &error),
    };
    let line = subject.zone(domain).tls_reports();
    let places = hikyaku_relay::tls_report::places(&texts).len();
    let begun = texts.iter().filter(|text| is_meant(text));
    let begun: Vec<_> = begun.map(|text| String::from_utf8_lossy(text)).collect();
    match (places, begun.as_slice()) {
        (0, []) => Finding::advice(about, "no record")
            .wanted("reports, which say when others cannot send")
            .record(line),
        (0, texts) => Finding::fault(
            about,
            format!("{}: nobody can report by it", texts.join(", ")),
        )
        .wanted("one record, with rua=")
        .record(line),
        _ => Finding::well(about, "wanted"),
    }
}

/// Whether a text is to be a record, well-formed or not.
fn is_meant(text: &[u8]) -> bool {
    let begin = text.trim_ascii_start().get(..8).unwrap_or_default();
    begin.eq_ignore_ascii_case(b"v=TLSRPT")
}

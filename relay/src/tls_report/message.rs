//! A report as a message (RFC 8460 §5.3).

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hikyaku_message::DateTime;
use std::fmt::Write as _;

use super::json::{range, report_id};
use super::settings::TlsReports;
use super::tally::Key;

/// Characters of a line of base64 (RFC 2045 §6.8).
const LINE: usize = 76;

/// Writes the message that carries a compressed report to a mailbox.
pub(super) fn write(
    key: &Key,
    compressed: &[u8],
    to: &str,
    reports: &TlsReports,
    now: i64,
) -> Vec<u8> {
    let (domain, submitter) = (&key.domain, reports.submitter());
    let (begin, end) = range(key);
    let id = report_id(key, reports);
    let boundary = format!("=_{}_{begin}_{now}", fastrand::u64(..));
    let mut text = String::new();
    let _ = write!(
        text,
        "Date: {date}\r\nFrom: <{contact}>\r\nTo: <{to}>\r\n\
         Subject: Report Domain: {domain}\r\n Submitter: {submitter}\r\n Report-ID: <{id}>\r\n\
         Message-ID: <{id}>\r\nTLS-Report-Domain: {domain}\r\nTLS-Report-Submitter: {submitter}\r\n\
         Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=\"tlsrpt\";\r\n\tboundary=\"{boundary}\"\r\n\r\n\
         --{boundary}\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n\
         This is a report of {submitter} about TLS with the mail servers of\r\n{domain}, as {domain} asks for\r\n\
         in the TXT record of _smtp._tls.\r\n\
         \r\n--{boundary}\r\nContent-Type: application/tlsrpt+gzip\r\nContent-Transfer-Encoding: base64\r\n\
         Content-Disposition: attachment;\r\n\tfilename=\"{submitter}!{domain}!{begin}!{end}.json.gz\"\r\n\r\n",
        date = DateTime::utc(now),
        contact = reports.contact,
    );
    let encoded = BASE64_STANDARD.encode(compressed);
    let mut rest = encoded.as_str();
    while let Some((line, after)) = rest.split_at_checked(LINE) {
        let _ = write!(text, "{line}\r\n");
        rest = after;
    }
    if !rest.is_empty() {
        let _ = write!(text, "{rest}\r\n");
    }
    let _ = write!(text, "\r\n--{boundary}--\r\n");
    text.into_bytes()
}

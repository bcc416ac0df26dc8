//! A report as a message (RFC 7489 §7.2.1.1).

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hikyaku_message::DateTime;
use mail_auth::flate2::{Compression, write::GzEncoder};
use std::fmt::Write as _;
use std::io::{self, Write as _};

use super::tally::{Collected, Reporter};

/// Characters of a line of base64 (RFC 2045 §6.8).
const LINE: usize = 76;

impl Collected {
    /// Returns the report as a message to an address, in gzip, about the time from `begin` to `end`; all times are in seconds
    /// since 1970. It should be signed, and sent with a reverse-path of the reporter's, so that DMARC passes for it.
    ///
    /// # Errors
    /// Compressing failed.
    pub fn message(
        &self,
        reporter: Reporter<'_>,
        to: &str,
        (begin, end): (u64, u64),
        now: i64,
    ) -> io::Result<String> {
        let mut packed = GzEncoder::new(Vec::new(), Compression::default());
        packed.write_all(self.xml(reporter, begin, end).as_bytes())?;
        let encoded = BASE64_STANDARD.encode(packed.finish()?);
        let (domain, submitter) = (&self.domain, reporter.domain);
        let id = self.id(reporter, begin);
        let boundary = format!("=_{begin}_{now}_{}", encoded.len());
        let mut text = format!(
            "Date: {date}\r\nFrom: <{from}>\r\nTo: <{to}>\r\n\
             Subject: Report Domain: {domain}\r\n Submitter: {submitter}\r\n Report-ID: <{id}>\r\n\
             Message-ID: <{now}.{id}>\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n\
             Content-Type: multipart/mixed;\r\n\tboundary=\"{boundary}\"\r\n\r\n\
             --{boundary}\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n\
             This is a report of {submitter} about mail in the name of\r\n{domain}, as its DMARC record asks for.\r\n\
             \r\n--{boundary}\r\nContent-Type: application/gzip\r\nContent-Transfer-Encoding: base64\r\n\
             Content-Disposition: attachment;\r\n\tfilename=\"{submitter}!{domain}!{begin}!{end}.xml.gz\"\r\n\r\n",
            date = DateTime::utc(now),
            from = reporter.address,
        );
        let mut rest = encoded.as_str();
        while !rest.is_empty() {
            let (line, after) = rest.split_at(LINE.min(rest.len()));
            let _ = write!(text, "{line}\r\n");
            rest = after;
        }
        let _ = write!(text, "\r\n--{boundary}--\r\n");
        Ok(text)
    }
}

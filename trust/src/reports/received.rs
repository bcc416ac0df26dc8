//! Reports of others (RFC 7489 §7.2.1): XML, mostly compressed, in a message.

use mail_auth::flate2::read::GzDecoder;
use mail_auth::report::{ActionDisposition, DmarcResult, Record, Report};
use mail_auth::zip::ZipArchive;
use mail_parser::{MessageParser, PartType};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::net::IpAddr;

/// What reading a report may cost: anybody can send one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReportLimits {
    /// Octets of the message.
    pub message: usize,
    /// Octets of the report, unpacked: a few kilobytes unpack to gigabytes.
    pub unpacked: usize,
    /// Parts of the message that are looked at: each may be as large as that.
    pub parts: usize,
    /// Records in the report: each takes more memory than it has octets.
    pub records: usize,
    /// Sources that a summary lists. The others are counted together.
    pub sources: usize,
}

impl Default for ReportLimits {
    fn default() -> Self {
        Self {
            message: 10 << 20,
            unpacked: 20 << 20,
            parts: 3,
            records: 50_000,
            sources: 1000,
        }
    }
}

/// What a report says.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Summary {
    /// The organisation that reports, as it names itself.
    pub organization: String,
    /// The report's identifier, which is unique for the organization.
    pub id: String,
    /// The domain that it is about.
    pub domain: String,
    /// The first second that it is about, since 1970.
    pub begin: u64,
    /// The last one.
    pub end: u64,
    /// Messages that passed DMARC.
    pub passed: u64,
    /// Messages that failed.
    pub failed: u64,
    /// Messages that were quarantined.
    pub quarantined: u64,
    /// Messages that were refused.
    pub rejected: u64,
    /// Where they came from, those with most failures first.
    pub sources: Vec<Source>,
    /// Messages from sources beyond the limit.
    pub unlisted: u64,
}

/// Messages from one address.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Source {
    /// The address. `None` when it could not be read.
    pub address: Option<IpAddr>,
    /// Messages that passed.
    pub passed: u64,
    /// Messages that failed.
    pub failed: u64,
    /// Messages for which SPF passed with a domain that is aligned.
    pub spf_aligned: u64,
    /// Messages for which DKIM did.
    pub dkim_aligned: u64,
    /// Messages that were quarantined.
    pub quarantined: u64,
    /// Messages that were refused.
    pub rejected: u64,
}

/// A message is no report.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// It has no part that can be a report.
    #[error("no report in the message")]
    None,
    /// It is too large, packed or unpacked.
    #[error("the report is too large")]
    TooLarge,
    /// It cannot be unpacked.
    #[error("the report cannot be unpacked: {0}")]
    Packed(String),
    /// It is no XML of a report.
    #[error("the report cannot be read: {0}")]
    Wrong(String),
}

/// Reads the report in a message: XML, bare or in gzip or zip, as the first octets say.
///
/// # Errors
/// [`ReportError`]: that of the part that came closest to a report.
pub fn read_report(message: &[u8], limits: &ReportLimits) -> Result<Summary, ReportError> {
    if message.len() > limits.message {
        return Err(ReportError::TooLarge);
    }
    let parsed = MessageParser::new()
        .parse(message)
        .ok_or(ReportError::None)?;
    let bodies = parsed.parts.iter().filter_map(|part| match &part.body {
        PartType::Binary(body) | PartType::InlineBinary(body) => Some(&**body),
        PartType::Text(body) => Some(body.as_bytes()),
        _ => None,
    });
    let mut failure = ReportError::None;
    let candidates = bodies.filter(|body| Packing::of(body).is_some());
    for body in candidates.take(limits.parts) {
        match unpack(body, limits.unpacked).and_then(|xml| summary(&xml, limits)) {
            Ok(summary) => return Ok(summary),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// The beginning of a record.
const RECORD: &[u8] = b"<record";

enum Packing {
    Gzip,
    Zip,
    Bare,
}

impl Packing {
    /// Names and types of attachments are often wrong.
    fn of(body: &[u8]) -> Option<Self> {
        match body {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            [b'P', b'K', 3, 4, ..] => Some(Self::Zip),
            _ if bare(body).starts_with(b"<") => Some(Self::Bare),
            _ => None,
        }
    }
}

/// Without the mark of UTF-8.
fn bare(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xef\xbb\xbf")
        .unwrap_or(body)
        .trim_ascii_start()
}

fn unpack(body: &[u8], most: usize) -> Result<Vec<u8>, ReportError> {
    let packed = |error: &dyn std::fmt::Display| ReportError::Packed(error.to_string());
    match Packing::of(body).ok_or(ReportError::None)? {
        Packing::Bare if body.len() > most => Err(ReportError::TooLarge),
        Packing::Bare => Ok(bare(body).to_vec()),
        Packing::Gzip => bounded(GzDecoder::new(body), most),
        Packing::Zip => {
            let mut archive = ZipArchive::new(Cursor::new(body)).map_err(|error| packed(&error))?;
            // §7.2.1.1: there is one file. Others would be unpacked in vain.
            let file = archive.by_index(0).map_err(|error| packed(&error))?;
            bounded(file, most)
        }
    }
}

fn bounded(reader: impl Read, most: usize) -> Result<Vec<u8>, ReportError> {
    let mut unpacked = Vec::new();
    let one_more = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    let read = reader.take(one_more).read_to_end(&mut unpacked);
    read.map_err(|error| ReportError::Packed(error.to_string()))?;
    match unpacked.len() > most {
        true => Err(ReportError::TooLarge),
        false => Ok(unpacked),
    }
}

fn summary(xml: &[u8], limits: &ReportLimits) -> Result<Summary, ReportError> {
    // Those that begin, whatever they end with.
    let records = xml.windows(RECORD.len()).filter(|octets| *octets == RECORD);
    if records.take(limits.records + 1).count() > limits.records {
        return Err(ReportError::TooLarge);
    }
    let report = Report::parse_xml(xml).map_err(|error| ReportError::Wrong(short(&error)))?;
    let mut summary = Summary {
        organization: short(report.org_name()),
        id: short(report.report_id()),
        domain: short(report.domain()),
        begin: report.date_range_begin(),
        end: report.date_range_end(),
        ..Summary::default()
    };
    let mut sources: BTreeMap<Option<IpAddr>, Source> = BTreeMap::new();
    for record in report.records() {
        let count = u64::from(record.count());
        let one = counted(record, count);
        let source = sources.entry(one.address).or_insert_with(|| Source {
            address: one.address,
            ..Source::default()
        });
        source.add(&one);
        summary.passed += one.passed;
        summary.failed += one.failed;
        summary.quarantined += one.quarantined;
        summary.rejected += one.rejected;
    }
    let mut all: Vec<Source> = sources.into_values().collect();
    all.sort_by_key(|source| std::cmp::Reverse((source.failed, source.passed)));
    let rest = all.split_off(limits.sources.min(all.len()));
    summary.unlisted = rest
        .iter()
        .map(|source| source.passed + source.failed)
        .sum();
    summary.sources = all;
    Ok(summary)
}

/// What a row says of its messages.
fn counted(record: &Record, count: u64) -> Source {
    let if_it = |is_it: bool| if is_it { count } else { 0 };
    let is_dkim = record.dmarc_dkim_result() == DmarcResult::Pass;
    let is_spf = record.dmarc_spf_result() == DmarcResult::Pass;
    let disposition = record.action_disposition();
    Source {
        address: record.source_ip(),
        passed: if_it(is_dkim || is_spf),
        failed: if_it(!is_dkim && !is_spf),
        spf_aligned: if_it(is_spf),
        dkim_aligned: if_it(is_dkim),
        quarantined: if_it(disposition == ActionDisposition::Quarantine),
        rejected: if_it(disposition == ActionDisposition::Reject),
    }
}

impl Source {
    /// Adds the messages of another one, of the same address.
    pub fn add(&mut self, other: &Self) {
        self.passed = self.passed.saturating_add(other.passed);
        self.failed = self.failed.saturating_add(other.failed);
        self.spf_aligned = self.spf_aligned.saturating_add(other.spf_aligned);
        self.dkim_aligned = self.dkim_aligned.saturating_add(other.dkim_aligned);
        self.quarantined = self.quarantined.saturating_add(other.quarantined);
        self.rejected = self.rejected.saturating_add(other.rejected);
    }
}

/// A stranger's text, cut and without what would be more than one line.
fn short(text: &str) -> String {
    let letters = text.chars().take(200);
    letters
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use mail_auth::flate2::{Compression, write::GzEncoder};
    use mail_auth::zip::{ZipWriter, write::SimpleFileOptions};
    use std::io::Write as _;

    fn xml(rows: &str) -> String {
        format!(
            "<?xml version=\"1.0\"?>\n<feedback><report_metadata><org_name>Other</org_name>\
             <email>a@other.test</email><report_id>17</report_id><date_range><begin>1000</begin>\
             <end>2000</end></date_range></report_metadata><policy_published><domain>one.test</domain>\
             <p>reject</p></policy_published>{rows}</feedback>"
        )
    }

    fn row(address: &str, count: u32, disposition: &str, dkim: &str, spf: &str) -> String {
        format!(
            "<record><row><source_ip>{address}</source_ip><count>{count}</count><policy_evaluated>\
             <disposition>{disposition}</disposition><dkim>{dkim}</dkim><spf>{spf}</spf>\
             </policy_evaluated></row><identifiers><header_from>one.test</header_from></identifiers>\
             <auth_results><spf><domain>one.test</domain><result>{spf}</result></spf></auth_results></record>"
        )
    }

    #[test]
    fn a_report_of_empty_records_is_too_large() {
        let limits = ReportLimits::default();
        let packed = |count: usize| {
            let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
            let rows = "<record></record>".repeat(count);
            packer.write_all(xml(&rows).as_bytes()).unwrap();
            message("application/gzip", &packer.finish().unwrap())
        };
        assert!(read_report(&packed(limits.records), &limits).is_ok());
        let refused = read_report(&packed(limits.records + 1), &limits);
        assert_eq!(refused, Err(ReportError::TooLarge));
    }

    fn message(kind: &str, body: &[u8]) -> Vec<u8> {
        let body = base64::engine::general_purpose::STANDARD.encode(body);
        let lines: Vec<String> = body
            .as_bytes()
            .chunks(76)
            .map(|line| String::from_utf8_lossy(line).into_owned())
            .collect();
        format!(
            "From: a@other.test\r\nTo: b@one.test\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
             --b\r\nContent-Type: text/plain\r\n\r\nA report.\r\n--b\r\nContent-Type: {kind}\r\n\
             Content-Disposition: attachment; filename=r\r\nContent-Transfer-Encoding: base64\r\n\r\n{}\r\n--b--\r\n",
            lines.join("\r\n")
        )
        .into_bytes()
    }

    fn gzip(body: &[u8]) -> Vec<u8> {
        let mut packed = GzEncoder::new(Vec::new(), Compression::best());
        packed.write_all(body).unwrap();
        packed.finish().unwrap()
    }

    fn zip(body: &[u8]) -> Vec<u8> {
        let mut packed = ZipWriter::new(Cursor::new(Vec::new()));
        packed
            .start_file("r.xml", SimpleFileOptions::default())
            .unwrap();
        packed.write_all(body).unwrap();
        packed.finish().unwrap().into_inner()
    }

    #[test]
    fn reports_are_read_in_each_packing() {
        let rows = [
            row("192.0.2.1", 3, "none", "pass", "fail"),
            row("192.0.2.1", 2, "reject", "fail", "fail"),
            row("2001:db8::1", 5, "quarantine", "fail", "fail"),
        ];
        let xml = xml(&rows.concat());
        let marked = [b"\xef\xbb\xbf".as_slice(), xml.as_bytes()].concat();
        for (kind, body) in [
            ("application/gzip", gzip(xml.as_bytes())),
            ("application/zip", zip(xml.as_bytes())),
            ("application/octet-stream", gzip(xml.as_bytes())),
            ("application/zip", gzip(xml.as_bytes())),
            ("text/xml", xml.clone().into_bytes()),
            ("application/xml", marked),
        ] {
            let summary = read_report(&message(kind, &body), &ReportLimits::default()).unwrap();
            assert_eq!(
                (summary.organization.as_str(), summary.id.as_str()),
                ("Other", "17")
            );
            assert_eq!(
                (summary.domain.as_str(), summary.begin, summary.end),
                ("one.test", 1000, 2000)
            );
            assert_eq!(
                [
                    summary.passed,
                    summary.failed,
                    summary.quarantined,
                    summary.rejected
                ],
                [3, 7, 5, 2]
            );
            let sources: Vec<_> = summary
                .sources
                .iter()
                .map(|one| (one.passed, one.failed))
                .collect();
            assert_eq!(sources, [(0, 5), (3, 2)], "{kind}");
            let second = &summary.sources[1];
            assert_eq!(
                [
                    second.dkim_aligned,
                    second.spf_aligned,
                    second.quarantined,
                    second.rejected
                ],
                [3, 0, 0, 2]
            );
        }
    }

    #[test]
    fn what_unpacks_to_too_much_is_refused() {
        let bomb = vec![b' '; 2 << 20];
        let mut limits = ReportLimits {
            unpacked: 1 << 20,
            ..ReportLimits::default()
        };
        for body in [gzip(&bomb), zip(&bomb)] {
            assert!(body.len() < 10_000);
            let refused = read_report(&message("application/gzip", &body), &limits);
            assert_eq!(refused, Err(ReportError::TooLarge));
        }
        limits.message = 10;
        assert_eq!(
            read_report(&message("text/xml", b"<"), &limits),
            Err(ReportError::TooLarge)
        );
    }

    #[test]
    fn sources_beyond_the_limit_are_counted_together() {
        let rows: Vec<String> = (0..9)
            .map(|one| row(&format!("192.0.2.{one}"), one + 1, "none", "pass", "pass"))
            .collect();
        let limits = ReportLimits {
            sources: 2,
            ..ReportLimits::default()
        };
        let summary = read_report(
            &message("text/xml", xml(&rows.concat()).as_bytes()),
            &limits,
        )
        .unwrap();
        assert_eq!(
            (summary.sources.len(), summary.unlisted, summary.passed),
            (2, 28, 45)
        );
    }

    #[test]
    fn what_is_no_report_is_no_report() {
        let limits = ReportLimits::default();
        let read = |kind: &str, body: &[u8]| read_report(&message(kind, body), &limits);
        assert_eq!(read("application/gzip", b"x"), Err(ReportError::None));
        assert!(matches!(
            read("application/gzip", b"\x1f\x8bxx"),
            Err(ReportError::Packed(_))
        ));
        assert!(matches!(
            read("application/zip", b"PK\x03\x04xx"),
            Err(ReportError::Packed(_))
        ));
        assert!(matches!(
            read("text/xml", b"<html></html>"),
            Err(ReportError::Wrong(_))
        ));
        assert!(matches!(
            read("text/xml", b"<feedback>"),
            Err(ReportError::Wrong(_))
        ));
        assert!(read("text/xml", b"<feedback><record>").is_err());
        assert_eq!(read_report(b"", &limits), Err(ReportError::None));
    }
}

//! The dialogues that the RFCs show, line by line: `tests/rfc`, a file for each RFC.
//!
//! `C: ` is what the client says, `S: ` the server, as one line with the literals in it; where an RFC
//! counts a literal's octets wrongly they are counted rightly, and where it says `...` the line is left out.
//! `C! reason: ` and `S! reason: ` are lines that are not as the grammar has it: they must not be understood.

use hikyaku_wire::testkit::unescape;
use std::format;
use std::string::String;
use std::vec::Vec;

/// A line.
pub(crate) struct Example {
    /// RFC and section.
    pub(crate) place: String,
    pub(crate) client: bool,
    /// It is wrong in the RFC itself.
    pub(crate) wrong: bool,
    /// With its CRLF.
    pub(crate) octets: Vec<u8>,
    pub(crate) text: String,
}

pub(crate) fn examples() -> Vec<Example> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rfc");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let mut all = Vec::new();
    for file in files {
        let rfc = String::from(file.file_stem().unwrap().to_string_lossy());
        let mut section = String::new();
        for line in std::fs::read_to_string(&file).unwrap().lines() {
            if let Some(text) = line.strip_prefix("# ") {
                section = text.into();
                continue;
            }
            let (head, text) = line
                .split_once(": ")
                .unwrap_or((line.trim_end_matches(':'), ""));
            let mut octets = unescape(text);
            octets.extend(b"\r\n");
            all.push(Example {
                place: format!("RFC {rfc} {section}"),
                client: head.starts_with('C'),
                wrong: head.contains('!'),
                octets,
                text: line.into(),
            });
        }
    }
    all
}

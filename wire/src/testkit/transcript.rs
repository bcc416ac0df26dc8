//! Reading a transcript file.

use alloc::borrow::ToOwned as _;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt::Write as _;

/// Which end of the wire a machine is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Role {
    /// It reads the `C:` lines.
    Server,
    /// It reads the `S:` lines.
    Client,
}

/// One line of a transcript.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Item {
    /// Octets for the machine.
    In(Vec<u8>),
    /// Octets the machine must send.
    Out(Vec<u8>),
    /// An event that the machine must report.
    Event(String),
    /// What the application does.
    Act(String),
    /// The peer waits.
    Wait,
}

/// Input that may come in any chunking, after the application has acted.
#[derive(Debug, Default)]
pub(super) struct Segment {
    pub(super) acts: Vec<String>,
    pub(super) input: Vec<u8>,
    /// All that must have been sent at its end, from the beginning of the transcript.
    pub(super) output_so_far: Vec<u8>,
}

/// A transcript, ready to be played.
#[derive(Debug, Default)]
pub struct Transcript {
    /// The words of the `%` lines.
    pub options: Vec<String>,
    pub(super) segments: Vec<Segment>,
    pub(super) events: Vec<String>,
    pub(super) acts_after_events: Vec<Vec<String>>,
    pub(super) leaves_input: bool,
}

impl Transcript {
    /// Reads a transcript.
    ///
    /// # Panics
    /// On a line of no known kind.
    #[must_use]
    pub fn parse(text: &str, role: Role) -> Self {
        let mut this = Self::default();
        let mut segment = Segment::default();
        let mut sent = Vec::new();
        let mut after_event = false;
        for line in text.lines() {
            if let Some(options) = line.strip_prefix('%') {
                this.options
                    .extend(options.split_whitespace().map(str::to_string));
                this.leaves_input |= options.contains("leaves-input");
                continue;
            }
            let Some(item) = Item::parse(line, role) else {
                continue;
            };
            match item {
                Item::In(octets) => {
                    segment.input.extend_from_slice(&octets);
                    after_event = false;
                }
                Item::Out(octets) => {
                    sent.extend_from_slice(&octets);
                }
                Item::Event(event) => {
                    let parenthesis = event.starts_with('(');
                    this.events.push(event);
                    if !parenthesis {
                        this.acts_after_events.push(Vec::new());
                        after_event = true;
                    }
                }
                Item::Act(act) if after_event => {
                    if let Some(acts) = this.acts_after_events.last_mut() {
                        acts.push(act);
                    }
                    if role == Role::Client && !segment.is_empty() {
                        this.close(&mut segment, &sent);
                        after_event = true;
                    }
                }
                Item::Act(act) => {
                    if !segment.input.is_empty() {
                        this.close(&mut segment, &sent);
                    }
                    segment.acts.push(act);
                }
                Item::Wait => {
                    this.close(&mut segment, &sent);
                    after_event = false;
                }
            }
            // What is sent because of the last act belongs to the segment that act closed.
            if let (Some(last), true) = (this.segments.last_mut(), segment.is_empty()) {
                last.output_so_far.clone_from(&sent);
            }
        }
        this.close(&mut segment, &sent);
        this
    }

    fn close(&mut self, segment: &mut Segment, sent: &[u8]) {
        let mut closed = core::mem::take(segment);
        closed.output_so_far = sent.to_owned();
        self.segments.push(closed);
    }
}

impl Segment {
    fn is_empty(&self) -> bool {
        self.acts.is_empty() && self.input.is_empty()
    }
}

impl Item {
    fn parse(line: &str, role: Role) -> Option<Self> {
        if line.is_empty() || line.starts_with('#') {
            return None;
        }
        if line == "--" {
            return Some(Self::Wait);
        }
        let (kind, rest) = line.split_at(line.len().min(2));
        let rest = rest.strip_prefix(' ').unwrap_or(rest);
        match kind {
            "! " => Some(Self::Event(rest.to_string())),
            "> " => Some(Self::Act(rest.to_string())),
            "C:" | "S:" => {
                let mut octets = match rest.strip_suffix('\\').filter(|r| !r.ends_with('\\')) {
                    Some(open) => return Some(Self::wire(kind, role, unescape(open))),
                    None => unescape(rest),
                };
                octets.extend_from_slice(b"\r\n");
                Some(Self::wire(kind, role, octets))
            }
            _ => panic!("not a line of a transcript: {line:?}"),
        }
    }

    fn wire(kind: &str, role: Role, octets: Vec<u8>) -> Self {
        if (kind == "C:") == (role == Role::Server) {
            Self::In(octets)
        } else {
            Self::Out(octets)
        }
    }
}

/// Returns octets as a transcript shows them: visible ASCII as it is, `\\`, `\r`, `\n`, `\t`, and `\x` with two digits for the
/// rest. [`unescape`] reads it.
///
/// ```
/// use hikyaku_wire::testkit::escape;
/// assert_eq!(escape(b"caf\xe9\r\n"), r"caf\xe9\r\n");
/// ```
#[must_use]
pub fn escape(octets: &[u8]) -> String {
    let mut text = String::new();
    for &octet in octets {
        match octet {
            b'\\' => text.push_str("\\\\"),
            b'\r' => text.push_str("\\r"),
            b'\n' => text.push_str("\\n"),
            b'\t' => text.push_str("\\t"),
            b' '..=b'~' => text.push(char::from(octet)),
            _ => {
                let _ = write!(text, "\\x{octet:02x}");
            }
        }
    }
    text
}

/// Returns the octets that a transcript shows, whatever a person wrote: text beyond ASCII stands for its UTF-8, and what
/// follows a backslash and has no meaning there stands for itself.
///
/// ```
/// use hikyaku_wire::testkit::unescape;
/// assert_eq!(unescape(r"NOOP\r\n"), b"NOOP\r\n");
/// assert_eq!(unescape(r"caf\xe9"), b"caf\xe9");
/// assert_eq!(unescape("caf\u{e9}"), b"caf\xc3\xa9");
/// ```
#[must_use]
pub fn unescape(text: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        if octet != b'\\' {
            octets.push(octet);
            continue;
        }
        match rest.next() {
            Some(b'r') => octets.push(b'\r'),
            Some(b'n') => octets.push(b'\n'),
            Some(b't') => octets.push(b'\t'),
            Some(b'x') => {
                let digits: String = rest.by_ref().take(2).map(char::from).collect();
                octets.push(u8::from_str_radix(&digits, 16).unwrap_or(b'?'));
            }
            Some(other) => octets.push(other),
            None => {}
        }
    }
    octets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_read_as_they_are_written() {
        let octets: Vec<u8> = (0..=255).collect();
        assert_eq!(unescape(&escape(&octets)), octets);
    }
}

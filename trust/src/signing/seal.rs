//! ARC sets (RFC 8617 §4.1, §5.1): how the three fields are written and signed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mail_auth::common::headers::Writable as _;
use mail_auth::dkim::Canonicalization;
use std::fmt::Write as _;

use super::key::Algorithm;
use super::signer::{NotSigned, SigningKey, signed_once_more};
use crate::section::{Field, fields};

/// Characters of base64 in a line.
const LINE: usize = 72;

/// The status of a chain that a set is added to (RFC 8617 §4.1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Validation {
    /// There is none.
    None,
    Pass,
    Fail,
}

/// A set to be added.
pub(crate) struct Set<'a> {
    pub(crate) key: &'a SigningKey,
    /// The whole message.
    pub(crate) message: &'a [u8],
    /// What Authentication-Results has behind its name, with the end of its line.
    pub(crate) results: &'a str,
    /// `i=`.
    pub(crate) instance: usize,
    /// `cv=`.
    pub(crate) validation: Validation,
    /// When it is sealed, in seconds since 1970.
    pub(crate) time: u64,
}

impl Set<'_> {
    /// Returns the three fields, each with the end of its line. `earlier` are those of the chain, in the order of
    /// RFC 8617 §5.1.1.
    pub(crate) fn write(&self, earlier: &[Field<'_>]) -> Result<String, NotSigned> {
        let instance = self.instance;
        let results = format!(" i={instance}; {}", self.results.trim());
        let signature = self.signature()?;
        let mut signed = Vec::new();
        // §5.1.2: of a broken chain, only the newest set is signed.
        let earlier = earlier
            .iter()
            .filter(|_| self.validation != Validation::Fail);
        for field in earlier {
            relaxed(field.name, field.value, &mut signed);
        }
        relaxed(
            b"ARC-Authentication-Results",
            results.as_bytes(),
            &mut signed,
        );
        relaxed(b"ARC-Message-Signature", signature.as_bytes(), &mut signed);
        let validation = match self.validation {
            Validation::None => "none",
            Validation::Pass => "pass",
            Validation::Fail => "fail",
        };
        let seal = format!(
            " i={instance}; a={}; cv={validation}; d={}; s={};\r\n\tt={}; b=",
            self.algorithm(),
            self.key.domain,
            self.key.selector,
            self.time
        );
        let seal = self.signed(signed, b"ARC-Seal", seal)?;
        Ok(format!(
            "ARC-Seal:{seal}\r\nARC-Message-Signature:{signature}\r\nARC-Authentication-Results:{results}\r\n"
        ))
    }

    /// The value of ARC-Message-Signature: a DKIM signature of the message (§4.1.2), never of a field of ARC's.
    fn signature(&self) -> Result<String, NotSigned> {
        let mut names = signed_once_more(self.message);
        let signatures = fields(self.message).filter(|field| field.is("DKIM-Signature"));
        names.extend(signatures.map(|_| "DKIM-Signature"));
        let mut signed = Vec::new();
        let all: Vec<_> = fields(self.message).collect();
        for (position, name) in names.iter().enumerate() {
            let before = names.iter().take(position);
            let nth = before.filter(|other| *other == name).count();
            // RFC 6376 §5.4.2: from the bottom.
            let mut of_name = all.iter().rev().filter(|field| field.is(name));
            if let Some(field) = of_name.nth(nth) {
                relaxed(field.name, field.value, &mut signed);
            }
        }
        let end = all.last().map_or(0, |last| last.place.end);
        let body = self.message.get(end..).unwrap_or_default();
        let body = body.strip_prefix(b"\r\n").unwrap_or(body);
        let mut canonical = Vec::with_capacity(body.len());
        Canonicalization::Relaxed
            .canonical_body(body, u64::MAX)
            .write(&mut canonical);
        let digest = ring::digest::digest(&ring::digest::SHA256, &canonical);
        let mut value = format!(
            " i={}; a={}; c=relaxed/relaxed; d={}; s={};\r\n\tt={}; h=",
            self.instance,
            self.algorithm(),
            self.key.domain,
            self.key.selector,
            self.time
        );
        for (position, name) in names.iter().enumerate() {
            let separator = match position {
                0 => "",
                _ if position % 5 == 0 => ":\r\n\t",
                _ => ":",
            };
            let _ = write!(value, "{separator}{name}");
        }
        let _ = write!(value, ";\r\n\tbh={}; b=", STANDARD.encode(digest));
        self.signed(signed, b"ARC-Message-Signature", value)
    }

    /// The value with the signature of what is given and of itself, which ends in an empty `b=`.
    fn signed(
        &self,
        mut input: Vec<u8>,
        name: &[u8],
        mut value: String,
    ) -> Result<String, NotSigned> {
        relaxed(name, value.as_bytes(), &mut input);
        // RFC 6376 §3.7: without the end of its line.
        input.truncate(input.len().saturating_sub(2));
        let signature = self.key.key.sign(&input);
        let signature = signature.map_err(|error| NotSigned::Failed(error.to_string()))?;
        let encoded = STANDARD.encode(signature);
        let mut rest = encoded.as_str();
        while !rest.is_empty() {
            let (line, after) = rest.split_at(LINE.min(rest.len()));
            let _ = write!(value, "\r\n\t{line}");
            rest = after;
        }
        Ok(value)
    }

    fn algorithm(&self) -> &'static str {
        match self.key.key.algorithm() {
            Algorithm::Rsa => "rsa-sha256",
            Algorithm::Ed25519 => "ed25519-sha256",
        }
    }
}

/// Adds a field in the form of RFC 6376 §3.4.2.
fn relaxed(name: &[u8], value: &[u8], output: &mut Vec<u8>) {
    output.extend(name.trim_ascii().to_ascii_lowercase());
    output.push(b':');
    let is_space = |octet: &u8| matches!(octet, b' ' | b'\t');
    let unfolded: Vec<u8> = value
        .iter()
        .copied()
        .filter(|octet| !matches!(octet, b'\r' | b'\n'))
        .collect();
    let words = unfolded.split(is_space).filter(|word| !word.is_empty());
    for (position, word) in words.enumerate() {
        if position > 0 {
            output.push(b' ');
        }
        output.extend_from_slice(word);
    }
    output.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_relaxed() {
        for (name, value, canonical) in [
            ("Subject", " a  b\t c ", "subject:a b c\r\n"),
            ("SUBJect ", "\r\n\ta\r\n b\r\n", "subject:a b\r\n"),
            ("X", "", "x:\r\n"),
            ("X", " \t\r\n ", "x:\r\n"),
        ] {
            let mut output = Vec::new();
            relaxed(name.as_bytes(), value.as_bytes(), &mut output);
            assert_eq!(String::from_utf8(output).unwrap(), canonical);
        }
    }
}

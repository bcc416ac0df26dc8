//! Policies: what a domain demands of those who send to it (RFC 8461 §3.2), and for which hosts (§4.1).

use crate::text_record::is_name;

/// The largest policy that is read, in octets: the size that §3.3 suggests.
pub(crate) const SIZE: usize = 64 * 1024;
/// The longest time that a policy may hold, in seconds: a year.
const MAX_AGE: u32 = 31_557_600;
/// The longest name of a host.
const HOST: usize = 253;

/// What is done with a host that fails validation (§5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mode {
    /// It gets no mail.
    Enforce,
    /// It gets its mail, and the domain gets a report.
    Testing,
    /// Nothing: the domain wants to have no policy any more.
    None,
}

/// A policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    mode: Mode,
    max_age: u32,
    /// In small letters.
    patterns: Vec<String>,
    /// As it was served.
    text: String,
}

/// Why a text is no policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// It has more than 64 KiB.
    #[error("the policy is longer than 64 KiB")]
    TooLong,
    /// It is not UTF-8.
    #[error("the policy is not UTF-8")]
    NotText,
    /// A line is no field.
    #[error("line {0} of the policy is no field")]
    Line(usize),
    /// A field that must be there is not.
    #[error("the policy has no \"{0}\"")]
    Missing(&'static str),
    /// A field has a value that it cannot have.
    #[error("line {line} of the policy: \"{name}\" cannot be \"{value}\"")]
    Value {
        /// The line, counted from 1.
        line: usize,
        /// The field.
        name: &'static str,
        /// Its value, shortened.
        value: String,
    },
}

impl Policy {
    /// Reads a policy as it is served, its lines ended by LF or CRLF. Unknown fields are ignored, and empty lines, which
    /// some servers put at the end. A time of more than a year is a year.
    ///
    /// # Errors
    /// [`PolicyError`]. The domain has no policy then (§3.3).
    pub fn parse(octets: &[u8]) -> Result<Self, PolicyError> {
        if octets.len() > SIZE {
            return Err(PolicyError::TooLong);
        }
        let text = std::str::from_utf8(octets).map_err(|_| PolicyError::NotText)?;
        let (mut version, mut mode, mut max_age) = (None, None, None);
        let mut patterns = Vec::new();
        for (line, field) in (1..).zip(lines(text)) {
            if field.is_empty() {
                continue;
            }
            let (name, value) = field.split_once(':').ok_or(PolicyError::Line(line))?;
            let value = value.trim_start_matches([' ', '\t']);
            if !is_name(name) || value.is_empty() || value.chars().any(char::is_control) {
                return Err(PolicyError::Line(line));
            }
            let wrong = |name| PolicyError::Value {
                line,
                name,
                value: value.chars().take(80).collect(),
            };
            // §3.2: of a field that is there more than once, the first counts.
            match name {
                "version" if version.is_none() => {
                    version = Some((value == "STSv1").then_some(()).ok_or(wrong("version"))?);
                }
                "mode" if mode.is_none() => {
                    mode = Some(match value {
                        "enforce" => Mode::Enforce,
                        "testing" => Mode::Testing,
                        "none" => Mode::None,
                        _ => return Err(wrong("mode")),
                    });
                }
                "max_age" if max_age.is_none() => {
                    max_age = Some(seconds(value).ok_or(wrong("max_age"))?);
                }
                "mx" => patterns.push(pattern(value).ok_or(wrong("mx"))?),
                _ => {}
            }
        }
        version.ok_or(PolicyError::Missing("version"))?;
        let mode = mode.ok_or(PolicyError::Missing("mode"))?;
        let max_age = max_age.ok_or(PolicyError::Missing("max_age"))?;
        if patterns.is_empty() && mode != Mode::None {
            return Err(PolicyError::Missing("mx"));
        }
        Ok(Self {
            mode,
            max_age,
            patterns,
            text: text.to_owned(),
        })
    }

    /// Returns what is done with a host that fails validation.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Returns how long the policy holds after it was fetched, in seconds.
    pub fn max_age(&self) -> u32 {
        self.max_age
    }

    /// Returns the patterns of hosts' names, in small letters.
    pub fn patterns(&self) -> impl Iterator<Item = &str> {
        self.patterns.iter().map(String::as_str)
    }

    /// Returns the lines as they were served, without empty ones.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        lines(&self.text).filter(|line| !line.is_empty())
    }

    /// Returns whether a host may take the domain's mail, by the name that the MX record has (§4.1). `*` stands for one
    /// whole label, the first one.
    pub fn allows(&self, host: &str) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        let above = host.split_once('.').filter(|(label, _)| !label.is_empty());
        self.patterns
            .iter()
            .any(|one| match one.strip_prefix("*.") {
                Some(rest) => above.is_some_and(|(_, above)| above == rest),
                None => *one == host,
            })
    }

    /// Returns the text as it was served.
    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

/// The lines, without what ends them and without spaces before that.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split('\n').map(|line| {
        let line = line.strip_suffix('\r').unwrap_or(line);
        line.trim_end_matches([' ', '\t'])
    })
}

fn seconds(value: &str) -> Option<u32> {
    let is_number = (1..=10).contains(&value.len()) && value.bytes().all(|o| o.is_ascii_digit());
    let seconds = is_number.then(|| value.parse::<u64>().ok()).flatten()?;
    u32::try_from(seconds.min(MAX_AGE.into())).ok()
}

/// `["*."] Domain` (RFC 5321 §4.1.2).
fn pattern(value: &str) -> Option<String> {
    let domain = value.strip_prefix("*.").unwrap_or(value);
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_domain = domain.len() <= HOST && domain.split('.').all(is_label);
    is_domain.then(|| value.to_ascii_lowercase())
}

//! One thing that was looked at: what is seen, what is wanted, and what to type.

use std::fmt;

use crate::printable::printable;

/// The most characters of what others say that are shown.
const SHOWN: usize = 300;

/// How well one thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Grade {
    Well,
    /// It works, and could be better.
    Advice,
    /// It could not be looked at.
    Unknown,
    Fault,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) grade: Grade,
    /// What was looked at, such as "MX of example.org".
    about: String,
    seen: String,
    wanted: Option<String>,
    /// What to do, each in one line with the place in front.
    remedies: Vec<(&'static str, String)>,
}

impl Finding {
    fn new(grade: Grade, about: impl Into<String>, seen: impl fmt::Display) -> Self {
        Self {
            grade,
            about: about.into(),
            seen: shown(&seen.to_string()),
            wanted: None,
            remedies: Vec::new(),
        }
    }

    pub(crate) fn well(about: impl Into<String>, seen: impl fmt::Display) -> Self {
        Self::new(Grade::Well, about, seen)
    }

    pub(crate) fn advice(about: impl Into<String>, seen: impl fmt::Display) -> Self {
        Self::new(Grade::Advice, about, seen)
    }

    pub(crate) fn fault(about: impl Into<String>, seen: impl fmt::Display) -> Self {
        Self::new(Grade::Fault, about, seen)
    }

    pub(crate) fn unknown(about: impl Into<String>, seen: impl fmt::Display) -> Self {
        Self::new(Grade::Unknown, about, seen)
    }

    /// Adds what should be seen.
    pub(crate) fn wanted(mut self, wanted: impl Into<String>) -> Self {
        self.wanted = Some(wanted.into());
        self
    }

    /// Adds a line for the zone, in place of what is there.
    pub(crate) fn record(self, line: impl Into<String>) -> Self {
        self.remedy("zone", line)
    }

    /// Adds lines of the configuration file.
    pub(crate) fn setting(self, line: impl Into<String>) -> Self {
        self.remedy("configuration", line)
    }

    /// Adds a command.
    pub(crate) fn command(self, line: impl Into<String>) -> Self {
        self.remedy("type", line)
    }

    /// Adds what only people can do.
    pub(crate) fn deed(self, line: impl Into<String>) -> Self {
        self.remedy("do", line)
    }

    fn remedy(mut self, place: &'static str, line: impl Into<String>) -> Self {
        self.remedies.push((place, line.into()));
        self
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let grade = match self.grade {
            Grade::Well => "well",
            Grade::Advice => "advice",
            Grade::Unknown => "unknown",
            Grade::Fault => "FAULT",
        };
        writeln!(f, "{grade:<8} {}: {}", self.about, self.seen)?;
        if let Some(wanted) = &self.wanted {
            writeln!(f, "         wanted: {wanted}")?;
        }
        for (place, line) in &self.remedies {
            writeln!(f, "         {place}: {line}")?;
        }
        Ok(())
    }
}

/// What others say, in one line that is not long.
fn shown(text: &str) -> String {
    let mut shown: String = printable(text).chars().take(SHOWN).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_what_is_seen_what_is_wanted_and_what_to_type() {
        let finding = Finding::fault("MX of a.test", "none")
            .wanted("mail.a.test")
            .record("a.test. IN MX 10 mail.a.test.");
        assert_eq!(
            finding.to_string(),
            "FAULT    MX of a.test: none\n         wanted: mail.a.test\n         zone: a.test. IN MX 10 mail.a.test.\n"
        );
    }

    #[test]
    fn what_others_say_is_one_short_line_that_no_terminal_obeys() {
        let said = format!("220 a\u{1b}[2J\r\n{}", "x".repeat(1000));
        let finding = Finding::fault("port 25", said).to_string();
        assert_eq!(finding.lines().count(), 1);
        assert!(finding.contains("220 a?[2J??x") && finding.chars().count() < 330);
    }
}

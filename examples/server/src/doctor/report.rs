//! All findings, in words.

use std::fmt::{self, Write as _};

use super::finding::{Finding, Grade};

/// How all of it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing is wrong.
    Well,
    /// Something is wrong.
    Faults,
    /// Nothing is known to be wrong, and not everything could be looked at.
    Unknown,
}

/// What was found.
#[derive(Debug, Clone, Default)]
pub struct Report {
    sections: Vec<(String, Vec<Finding>)>,
}

impl Report {
    /// Adds findings about one thing, such as a domain.
    pub(super) fn add(&mut self, about: String, findings: Vec<Finding>) {
        self.sections.push((about, findings));
    }

    fn count(&self, grade: Grade) -> usize {
        let all = self.sections.iter().flat_map(|(_, findings)| findings);
        all.filter(|finding| finding.grade == grade).count()
    }

    /// Returns how all of it is.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match (self.count(Grade::Fault), self.count(Grade::Unknown)) {
            (0, 0) => Verdict::Well,
            (0, _) => Verdict::Unknown,
            _ => Verdict::Faults,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (about, findings) in &self.sections {
            writeln!(f, "{about}")?;
            for finding in findings {
                write!(f, "{finding}")?;
            }
            f.write_char('\n')?;
        }
        let some = |count: usize, one: &str, more: &str| match count {
            0 => String::new(),
            1 => format!(", 1 {one}"),
            count => format!(", {count} {more}"),
        };
        let faults = match self.count(Grade::Fault) {
            0 => "No faults".to_owned(),
            1 => "1 fault".to_owned(),
            count => format!("{count} faults"),
        };
        let advice = some(
            self.count(Grade::Advice),
            "piece of advice",
            "pieces of advice",
        );
        let unknown = some(
            self.count(Grade::Unknown),
            "thing unknown",
            "things unknown",
        );
        writeln!(f, "{faults}{advice}{unknown}.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_outdoes_what_is_unknown_and_advice_is_well() {
        let of = |findings: &[Finding]| {
            let mut report = Report::default();
            report.add("server".into(), findings.to_vec());
            (report.verdict(), report.to_string())
        };
        let (well, advice) = (Finding::well("a", "b"), Finding::advice("a", "b"));
        let (unknown, fault) = (Finding::unknown("a", "b"), Finding::fault("a", "b"));
        assert_eq!(of(&[well.clone(), advice.clone()]).0, Verdict::Well);
        assert_eq!(of(&[well.clone(), unknown.clone()]).0, Verdict::Unknown);
        let (verdict, text) = of(&[well, advice, unknown, fault.clone(), fault]);
        assert_eq!(verdict, Verdict::Faults);
        assert!(
            text.ends_with("2 faults, 1 piece of advice, 1 thing unknown.\n"),
            "{text}"
        );
    }
}

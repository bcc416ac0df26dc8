//! What a run of the suite found.

use std::fmt;

use crate::contract::Rule;

/// A rule that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// The rule.
    pub rule: Rule,
    /// The case that found it.
    pub case: &'static str,
    /// The operation whose answer was wrong.
    pub operation: String,
    /// What the rule expects.
    pub expected: String,
    /// What was found instead.
    pub found: String,
}

impl Failure {
    pub(super) fn new(
        rule: Rule,
        case: &'static str,
        operation: String,
        expected: String,
        found: String,
    ) -> Self {
        Self {
            rule,
            case,
            operation,
            expected,
            found,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.rule)?;
        writeln!(f, "  case      {}", self.case)?;
        writeln!(f, "  operation {}", self.operation)?;
        writeln!(f, "  expected  {}", self.expected)?;
        write!(f, "  found     {}", self.found)
    }
}

/// A case, or a part of one, that could not be tried on this backend.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Skipped {
    /// The case.
    pub case: &'static str,
    /// What this backend lacks for it.
    pub reason: &'static str,
}

/// What the suite found: all cases are run, whatever the ones before found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// How many cases were run.
    pub cases: usize,
    /// The rules that were broken, in the order of the cases.
    pub failures: Vec<Failure>,
    /// What could not be tried.
    pub skipped: Vec<Skipped>,
    /// The rules that were tried, each once, with the case: what a run covers.
    pub tried: Vec<(Rule, &'static str)>,
}

impl Report {
    /// Returns whether no rule was broken.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.failures.is_empty()
    }

    /// Returns whether that rule was broken.
    #[must_use]
    pub fn breaks(&self, rule: Rule) -> bool {
        self.failures.iter().any(|failure| failure.rule == rule)
    }

    pub(super) fn join(&mut self, other: Self) {
        self.cases += other.cases;
        self.failures.extend(other.failures);
        self.skipped.extend(other.skipped);
        self.tried.extend(other.tried);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let broken = self.failures.len();
        write!(f, "{} cases, {broken} broken rules", self.cases)?;
        for failure in &self.failures {
            write!(f, "\n{failure}")?;
        }
        for skipped in &self.skipped {
            write!(f, "\nnot tried: {}, {}", skipped.case, skipped.reason)?;
        }
        Ok(())
    }
}

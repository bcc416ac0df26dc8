//! Texts that are looked for in one that comes in pieces.

use memchr::memmem;

use super::plan::Plan;
use crate::caches::text_index::Collector;
use crate::questions::casemap::push_casemapped;

/// How much text, at least, is looked through at once.
const LOOK: usize = 4096;

/// Looks for all terms in a text that comes in pieces.
pub(super) struct Finder<'a> {
    pub(super) plan: &'a Plan,
    pub(super) found: Vec<bool>,
    /// What came and was not looked through, and the end of what was, as it compares: a needle may lie across
    /// pieces.
    pub(super) window: String,
    /// How much of it was looked through.
    pub(super) looked: usize,
    /// Whether what came is of the message's header section.
    pub(super) in_header: bool,
    pub(super) longest: usize,
    /// For the text index.
    pub(super) collector: Option<Collector>,
    /// Up to here the window was collected.
    pub(super) collected: usize,
}

impl Finder<'_> {
    pub(super) fn feed(&mut self, text: &str, in_header: bool) {
        push_casemapped(text, &mut self.window);
        self.in_header = in_header;
        // As much as is kept of what was looked through before: pieces may be small, and needles long.
        if self.window.len().saturating_sub(self.looked) >= self.longest.max(LOOK) {
            self.look();
        }
    }

    /// Looks through what came.
    pub(super) fn look(&mut self) {
        // The last character may still be composed with what comes.
        let last = self.window.char_indices().next_back();
        self.collect(last.map_or(0, |(at, _)| at));
        for (found, term) in self.found.iter_mut().zip(&self.plan.terms) {
            let looks = if self.in_header {
                term.in_header
            } else {
                term.in_body
            };
            if looks && !*found {
                *found = memmem::find(self.window.as_bytes(), term.needle.as_bytes()).is_some();
            }
        }
        let mut keep = self.window.len().saturating_sub(self.longest);
        if self.collector.is_some() {
            keep = keep.min(self.collected);
        }
        while !self.window.is_char_boundary(keep) {
            keep += 1;
        }
        self.window.drain(..keep);
        self.collected = self.collected.saturating_sub(keep);
        self.looked = self.window.len();
    }

    pub(super) fn collect(&mut self, end: usize) {
        if let Some(collector) = &mut self.collector {
            collector.add(self.window.get(self.collected..end).unwrap_or(""));
            self.collected = end;
        }
    }

    /// What comes next does not continue what came.
    pub(super) fn cut(&mut self) {
        self.look();
        self.collect(self.window.len());
        self.window.clear();
        (self.collected, self.looked) = (0, 0);
    }

    pub(super) fn is_done(&self) -> bool {
        if self.collector.is_some() {
            return false;
        }
        let mut pairs = self.found.iter().zip(&self.plan.terms);
        pairs.all(|(found, term)| *found || !(term.in_body || term.in_header))
    }
}

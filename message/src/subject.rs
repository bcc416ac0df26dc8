//! Base subjects: what SORT and THREAD compare (RFC 5256 §2.1).

use alloc::borrow::{Cow, ToOwned as _};
use alloc::string::String;

/// A subject without what replies and forwards add.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BaseSubject {
    /// What is left.
    pub text: String,
    /// Whether it was that of a reply or a forward.
    pub is_reply: bool,
}

impl BaseSubject {
    /// Returns the base subject of a decoded subject.
    ///
    /// ```
    /// use hikyaku_message::BaseSubject;
    /// let base = BaseSubject::of("[list] Re: Fwd: [x] tea  time (fwd)");
    /// assert_eq!((base.text.as_str(), base.is_reply), ("tea time", true));
    /// ```
    #[must_use]
    pub fn of(subject: &str) -> Self {
        // (1)
        let text = one_blank(subject);
        let (mut base, mut is_reply) = (&*text, false);
        loop {
            // (2)
            loop {
                base = base.trim_end_matches(' ');
                match strip_suffix(base, "(fwd)") {
                    Some(rest) => (base, is_reply) = (rest, true),
                    None => break,
                }
            }
            // (3), (4), (5)
            loop {
                base = base.trim_start_matches(' ');
                let (before_last, rest) = blobs(base);
                match refwd(rest) {
                    Some(rest) => (base, is_reply) = (rest, true),
                    // All of them at once: what is behind them is the same for each.
                    None => {
                        base = if rest.is_empty() { before_last } else { rest };
                        break;
                    }
                }
            }
            // (6)
            match strip_prefix(base, "[fwd:").and_then(|rest| rest.strip_suffix(']')) {
                Some(rest) => (base, is_reply) = (rest, true),
                None => break,
            }
        }
        let text = base.to_owned();
        Self { text, is_reply }
    }
}

/// White space becomes one blank. Most subjects are so already, and are not copied.
fn one_blank(subject: &str) -> Cow<'_, str> {
    let white = |octet: &u8| matches!(octet, b' ' | b'\t' | b'\r' | b'\n');
    let octets = subject.as_bytes();
    let is_so = octets.first().is_none_or(|first| !white(first))
        && octets.iter().all(|octet| !white(octet) || *octet == b' ')
        && octets.windows(2).all(|two| two != b"  ");
    if is_so {
        return Cow::Borrowed(subject);
    }
    let mut words = subject
        .split([' ', '\t', '\r', '\n'])
        .filter(|word| !word.is_empty());
    let mut text = words.next().unwrap_or("").to_owned();
    for word in words {
        text.push(' ');
        text.push_str(word);
    }
    Cow::Owned(text)
}

fn strip_prefix<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

fn strip_suffix<'a>(text: &'a str, suffix: &str) -> Option<&'a str> {
    let (rest, tail) = text.split_at_checked(text.len().checked_sub(suffix.len())?)?;
    tail.eq_ignore_ascii_case(suffix).then_some(rest)
}

/// `subj-blob = "[" *BLOBCHAR "]" *WSP`
fn blob(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('[')?;
    let end = inner.find(['[', ']'])?;
    let rest = inner.get(end..)?.strip_prefix(']')?;
    Some(rest.trim_start_matches(' '))
}

/// The text from its last blob on, and behind that.
fn blobs(text: &str) -> (&str, &str) {
    let (mut last, mut behind) = (text, text);
    while let Some(rest) = blob(behind) {
        (last, behind) = (behind, rest);
    }
    (last, behind)
}

/// `subj-refwd = ("re" / ("fw" ["d"])) *WSP [subj-blob] ":"`
fn refwd(text: &str) -> Option<&str> {
    ["re", "fwd", "fw"].iter().find_map(|word| {
        let rest = strip_prefix(text, word)?.trim_start_matches(' ');
        blob(rest).unwrap_or(rest).strip_prefix(':')
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_replies_add_is_taken_off() {
        for (subject, base, is_reply) in [
            ("tea", "tea", false),
            ("re: tea", "tea", true),
            ("RE [2] : Fw:tea (FWD) (fwd)", "tea", true),
            ("[fwd: [a] re: tea]", "tea", true),
            ("[only]", "[only]", false),
            ("[a][b] tea", "tea", false),
            ("Re: [a]", "[a]", true),
            ("return: tea", "return: tea", false),
            ("re:", "", true),
            ("", "", false),
            ("Re: お茶", "お茶", true),
            ("[a] [b]", "[b]", false),
            ("[a] re: [b] [c]", "[c]", true),
        ] {
            let expected = BaseSubject {
                text: base.into(),
                is_reply,
            };
            assert_eq!(BaseSubject::of(subject), expected, "{subject}");
        }
    }

    #[test]
    fn many_blobs_cost_no_more_than_their_octets() {
        // With each of them taken off alone, this did not end within a minute.
        let subject = "[a]".repeat(300_000) + "tea";
        assert_eq!(BaseSubject::of(&subject).text, "tea");
    }

    proptest! {
        #[test]
        fn it_is_its_own_base(subject in "(\\[|\\]|re|fwd?|:| |\\(fwd\\)|a|あ){0,12}") {
            let once = BaseSubject::of(&subject).text;
            prop_assert_eq!(BaseSubject::of(&once).text, once);
        }
    }
}

//! LIST and LSUB (RFC 9051 §6.3.9, RFC 5258, 5819, 6154, 3348, 8440, 9590).

use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;
use hikyaku_wire::Output;

use crate::command::metadata::entry;
use crate::plumbing::cursor::{Cursor, Result};
use crate::plumbing::text::{
    is_list_char, list_mailbox, to_bytes, write_astring, write_list, write_string, write_utf8,
};
use crate::plumbing::word::write_value;
use crate::value::list_attribute::list_attributes;
use crate::value::mailbox::mailbox;
use crate::value::status::{attributes, write_attributes};
use crate::{Leniency, Limits, ListAttribute, ListAttributes, MailboxName, StatusAttribute};

/// The LIST command.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "its parts are the grammar's")]
pub struct List {
    /// Which of all mailboxes.
    pub selection: SelectionOptions,
    /// What patterns are relative to.
    pub reference: MailboxName,
    /// At least one.
    pub patterns: Vec<Pattern>,
    /// What to send of them.
    pub returns: ReturnOptions,
    /// Whether it is in the form of RFC 5258: options or several patterns.
    pub extended: bool,
}

/// Selection options (RFC 5258 §3.1, RFC 6154).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SelectionOptions {
    /// Only subscribed names.
    pub subscribed: bool,
    /// Also mailboxes elsewhere.
    pub remote: bool,
    /// Also parents of what matches.
    pub recursive_match: bool,
    /// Only special-use mailboxes.
    pub special_use: bool,
}

/// Return options (RFC 5258 §3.2, RFC 5819, 6154).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReturnOptions {
    /// Whether they are subscribed.
    pub subscribed: bool,
    /// Whether they have children.
    pub children: bool,
    /// What they are used for.
    pub special_use: bool,
    /// A STATUS of each.
    pub status: Vec<StatusAttribute>,
    /// What the client may do with each (RFC 8440).
    pub my_rights: bool,
    /// Those annotations of each (RFC 9590).
    pub metadata: Vec<Bytes>,
}

/// A name with wildcards: `*` for anything, `%` for anything but the delimiter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(MailboxName);

impl List {
    /// The mailboxes that a pattern matches, in the old form of the command.
    #[must_use]
    pub fn new(pattern: Pattern) -> Self {
        Self {
            selection: SelectionOptions::default(),
            reference: MailboxName::new(""),
            patterns: [pattern].into(),
            returns: ReturnOptions::default(),
            extended: false,
        }
    }

    /// Appends what follows `LIST `; in the form of RFC 5258 when `extended` is set or needed.
    pub(crate) fn encode(&self, output: &mut Output) {
        let (s, r) = (&self.selection, &self.returns);
        let selected = [
            (s.subscribed, "SUBSCRIBED"),
            (s.remote, "REMOTE"),
            (s.recursive_match, "RECURSIVEMATCH"),
            (s.special_use, "SPECIAL-USE"),
        ];
        let selected: Vec<_> = selected.into_iter().filter(|(is, _)| *is).collect();
        let plain =
            selected.is_empty() && self.patterns.len() == 1 && *r == ReturnOptions::default();
        if !selected.is_empty() || (self.extended && plain) {
            write_list(selected, output, |(_, name), output| {
                output.write(name.as_bytes());
            });
            output.write(b" ");
        }
        self.reference.encode(output);
        output.write(b" ");
        match self.patterns.as_slice() {
            [one] => write_pattern(one, output),
            all => write_list(all, output, write_pattern),
        }
        if *r == ReturnOptions::default() {
            return;
        }
        let returned = [
            (r.subscribed, "SUBSCRIBED"),
            (r.children, "CHILDREN"),
            (r.special_use, "SPECIAL-USE"),
            (r.my_rights, "MYRIGHTS"),
            (!r.status.is_empty(), "STATUS"),
            (!r.metadata.is_empty(), "METADATA"),
        ];
        let returned = returned.into_iter().filter(|(is, _)| *is);
        output.write(b" RETURN ");
        write_list(returned, output, |(_, name), output| {
            output.write(name.as_bytes());
            if name == "STATUS" {
                output.write(b" ");
                write_attributes(&r.status, output);
            } else if name == "METADATA" {
                output.write(b" ");
                write_list(&r.metadata, output, |entry, output| {
                    write_astring(entry, output);
                });
            }
        });
    }
}

/// `list-mailbox`
pub(crate) fn write_pattern(pattern: &Pattern, output: &mut Output) {
    if pattern.0.is_in_utf8() {
        // A wildcard is one in quotes, too.
        return write_utf8(pattern.as_str(), output);
    }
    let wire = pattern.0.wire();
    if !wire.is_empty() && wire.bytes().all(is_list_char) {
        output.write(wire.as_bytes());
    } else {
        write_string(wire.as_bytes(), output);
    }
}

impl Pattern {
    /// A pattern in Unicode, with `*` and `%`.
    #[must_use]
    pub fn new(pattern: &str) -> Self {
        Self(MailboxName::new(pattern))
    }

    pub(crate) fn name_mut(&mut self) -> &mut MailboxName {
        &mut self.0
    }

    /// As it was sent, in Unicode.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether `name` matches, after `reference` was put before the pattern. Both in Unicode;
    /// `INBOX` matches in any case. Linear in the name for each wildcard.
    #[must_use]
    pub fn matches(&self, reference: &str, name: &str, delimiter: char) -> bool {
        let pattern: Vec<char> = reference.chars().chain(self.as_str().chars()).collect();
        let name: Vec<char> = name.chars().collect();
        let is_inbox = |text: &[char]| {
            let inbox = ['I', 'N', 'B', 'O', 'X'];
            text.get(..5).is_some_and(|head| {
                head.iter()
                    .zip(inbox)
                    .all(|(a, b)| a.eq_ignore_ascii_case(&b))
            }) && text.get(5).is_none_or(|&c| c == delimiter)
        };
        let wild = |c: char| matches!(c, '*' | '%');
        if pattern.iter().filter(|&&c| !wild(c)).count() > name.len() {
            return false;
        }
        let fold = is_inbox(&name) && is_inbox(&pattern);
        // The places in the pattern that the name so far may have led to. A wildcard may stand for
        // nothing, so a place before one is a place behind it, too.
        let mut at = alloc::vec![false; pattern.len() + 1];
        let mut reached = true;
        for (place, &p) in at.iter_mut().zip(&pattern) {
            *place = reached;
            reached &= wild(p);
        }
        if let Some(end) = at.last_mut() {
            *end = reached;
        }
        for (position, &c) in name.iter().enumerate() {
            let (mut before, mut reached) = (false, false);
            for (index, &p) in pattern.iter().enumerate() {
                let Some(place) = at.get_mut(index) else {
                    break;
                };
                let was = *place;
                let stays = was && (p == '*' || (p == '%' && c != delimiter));
                *place = before | stays | reached;
                reached = *place && wild(p);
                before = was
                    && !wild(p)
                    && (p == c || (fold && position < 5 && p.eq_ignore_ascii_case(&c)));
            }
            if let Some(end) = at.last_mut() {
                *end = before | reached;
            }
        }
        at.last() == Some(&true)
    }
}

/// One line of LIST or LSUB.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "its parts are the grammar's")]
pub struct ListResponse {
    /// What it is.
    pub attributes: ListAttributes,
    /// What separates levels.
    pub delimiter: Option<char>,
    /// Its name.
    pub name: MailboxName,
    /// CHILDINFO: it does not match itself, but a subscribed child does.
    pub child_info: bool,
    /// OLDNAME: what it was called before it was renamed (RFC 5465 §5.4, RFC 9051 §6.3.9.7).
    pub old_name: Option<Box<MailboxName>>,
    /// Other extended data: names, and values as they were sent.
    pub others: Vec<(Bytes, Bytes)>,
}

impl ListResponse {
    /// A name with those attributes, and nothing more.
    #[must_use]
    pub fn new(
        name: MailboxName,
        delimiter: Option<char>,
        attributes: impl IntoIterator<Item = ListAttribute>,
    ) -> Self {
        Self {
            attributes: attributes.into_iter().collect(),
            delimiter,
            name,
            child_info: false,
            old_name: None,
            others: Vec::new(),
        }
    }

    /// Appends what follows `* LIST ` or `* LSUB `.
    pub(crate) fn encode(&self, output: &mut Output) {
        self.attributes.encode(output);
        output.write(b" ");
        crate::value::namespace::write_delimiter(self.delimiter, output);
        output.write(b" ");
        self.name.encode(output);
        let mut before: &[u8] = b" (";
        if self.child_info {
            output.write(b" (\"CHILDINFO\" (\"SUBSCRIBED\")");
            before = b" ";
        }
        if let Some(name) = &self.old_name {
            output.write(before);
            output.write(b"\"OLDNAME\" (");
            name.encode(output);
            output.write(b")");
            before = b" ";
        }
        for (name, value) in &self.others {
            output.write(before);
            write_string(name, output);
            output.write(b" ");
            write_value(value, output);
            before = b" ";
        }
        output.write(if before == b" " { b")" } else { b"" });
    }
}

/// Behind `* LIST ` or `* LSUB `.
pub(crate) fn list_response(cursor: &mut Cursor<'_>) -> Result<ListResponse> {
    let attributes = list_attributes(cursor)?;
    cursor.sp()?;
    let delimiter = crate::value::namespace::delimiter(cursor)?;
    cursor.sp()?;
    // RFC 5819 §3 and RFC 9051 §6.3.9.8 have two.
    cursor.eat(b' ');
    let name = name(cursor)?;
    let mut response = ListResponse {
        attributes,
        ..ListResponse::new(name, delimiter, [])
    };
    if cursor.eat(b' ') {
        cursor.list(true, |cursor| {
            let name = cursor.astring()?;
            cursor.sp()?;
            if name.eq_ignore_ascii_case(b"OLDNAME") {
                let start = cursor.clone();
                match cursor.list(false, mailbox).as_deref() {
                    Ok([one]) => {
                        response.old_name = Some(Box::new(one.clone()));
                        return Ok(());
                    }
                    _ => *cursor = start,
                }
            }
            let value = cursor.value()?;
            if name.eq_ignore_ascii_case(b"CHILDINFO") {
                response.child_info = true;
            } else {
                response.others.push((name, value));
            }
            Ok(())
        })?;
    }
    Ok(response)
}

/// The name, behind which nothing follows but extended data.
fn name(cursor: &mut Cursor<'_>) -> Result<MailboxName> {
    let start = cursor.clone();
    let name = mailbox(cursor);
    if cursor.is_at_end() && name.is_ok() {
        return name;
    }
    let rest = cursor.rest();
    let ends = rest.starts_with(b" (") || rest.iter().all(|&octet| octet == b' ');
    let quoted = matches!(start.peek(), None | Some(b'"' | b'{'));
    if (name.is_ok() && ends) || quoted || !cursor.lets(Leniency::UnquotedName) {
        return name;
    }
    *cursor = start;
    let whole = cursor.unit().slice_ref(cursor.rest());
    cursor.pass(whole.len());
    Ok(crate::value::mailbox::read(cursor, whole))
}

fn pattern(cursor: &mut Cursor<'_>, limits: &Limits) -> Result<Pattern> {
    let start = cursor.clone();
    let text = cursor.take(list_mailbox)?;
    if text.len() > limits.pattern {
        return start.fail("a shorter pattern");
    }
    let wire = to_bytes(cursor.unit(), text);
    Ok(Pattern(crate::value::mailbox::read(cursor, wire)))
}

/// What patterns are relative to: as long as one, at most.
fn reference(cursor: &mut Cursor<'_>, limits: &Limits) -> Result<MailboxName> {
    let start = cursor.clone();
    let reference = mailbox(cursor)?;
    if reference.as_str().len() > limits.pattern {
        return start.fail("a shorter reference");
    }
    Ok(reference)
}

/// Behind `LIST `.
pub(crate) fn list(cursor: &mut Cursor<'_>, limits: &Limits) -> Result<List> {
    let mut list = List {
        selection: SelectionOptions::default(),
        reference: MailboxName::new(""),
        patterns: Vec::new(),
        returns: ReturnOptions::default(),
        extended: false,
    };
    if cursor.peek() == Some(b'(') {
        list.extended = true;
        list.selection = selection(cursor)?;
        cursor.sp()?;
    }
    list.reference = reference(cursor, limits)?;
    cursor.sp()?;
    if cursor.peek() == Some(b'(') {
        list.extended = true;
        list.patterns = cursor.list(false, |cursor| pattern(cursor, limits))?;
        if list.patterns.len() > limits.patterns {
            return cursor.fail("fewer patterns");
        }
    } else {
        list.patterns.push(pattern(cursor, limits)?);
    }
    if cursor.eat(b' ') {
        if !cursor.eat_word("RETURN") {
            return cursor.fail("RETURN");
        }
        cursor.sp()?;
        list.extended = true;
        list.returns = returns(cursor)?;
    }
    Ok(list)
}

fn selection(cursor: &mut Cursor<'_>) -> Result<SelectionOptions> {
    let mut options = SelectionOptions::default();
    cursor.list(true, |cursor| {
        match () {
            () if cursor.eat_word("SUBSCRIBED") => options.subscribed = true,
            () if cursor.eat_word("REMOTE") => options.remote = true,
            () if cursor.eat_word("RECURSIVEMATCH") => options.recursive_match = true,
            () if cursor.eat_word("SPECIAL-USE") => options.special_use = true,
            () => return cursor.fail("a selection option"),
        }
        Ok(())
    })?;
    // RFC 5258 §3.1: RECURSIVEMATCH alone means nothing.
    if options.recursive_match && !(options.subscribed || options.special_use) {
        return cursor.fail("another option beside RECURSIVEMATCH");
    }
    Ok(options)
}

fn returns(cursor: &mut Cursor<'_>) -> Result<ReturnOptions> {
    let mut options = ReturnOptions::default();
    cursor.list(true, |cursor| {
        match () {
            () if cursor.eat_word("SUBSCRIBED") => options.subscribed = true,
            () if cursor.eat_word("CHILDREN") => options.children = true,
            () if cursor.eat_word("SPECIAL-USE") => options.special_use = true,
            () if cursor.eat_word("STATUS") => {
                cursor.sp()?;
                options.status = attributes(cursor)?;
            }
            () if cursor.eat_word("MYRIGHTS") => options.my_rights = true,
            () if cursor.eat_word("METADATA") => {
                cursor.sp()?;
                options.metadata = cursor.list(false, entry)?;
            }
            () => return cursor.fail("a return option"),
        }
        Ok(())
    })?;
    Ok(options)
}

/// Behind `LSUB `.
pub(crate) fn lsub(cursor: &mut Cursor<'_>, limits: &Limits) -> Result<(MailboxName, Pattern)> {
    let reference = reference(cursor, limits)?;
    cursor.sp()?;
    Ok((reference, pattern(cursor, limits)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        Pattern(MailboxName::new(pattern)).matches("", name, '/')
    }

    #[test]
    fn wildcards() {
        for (pattern, name, expected) in [
            ("*", "a/b", true),
            ("%", "a", true),
            ("%", "a/b", false),
            ("%/%", "a/b", true),
            ("a*", "a", true),
            ("a%c*", "abcd/e", true),
            ("*b*", "aab/c", true),
            ("inbox", "INBOX", true),
            ("iNb%", "INBOX", false),
            ("inbox/x", "INBOX/x", true),
            ("inbox/x", "INBOX/X", false),
            ("", "a", false),
            ("受*", "受信箱", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn many_wildcards_cost_no_exponent() {
        let pattern = "*a".repeat(200);
        assert!(!matches(&pattern, &"a".repeat(150)));
    }
}

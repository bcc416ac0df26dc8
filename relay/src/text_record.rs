//! TXT records that announce something: a version, then fields (RFC 8461 §3.1, RFC 8460 §3).

/// The longest name of a field.
const NAME: usize = 32;

/// Finds the one record that begins with a version. `None` when there is none, or more than one: then nothing is
/// announced.
pub(crate) fn only<'a>(records: &'a [Vec<u8>], version: &str) -> Option<&'a str> {
    let mut all = records.iter().filter_map(|record| {
        let text = std::str::from_utf8(record).ok()?;
        let rest = text.strip_prefix(version)?;
        rest.trim_start_matches([' ', '\t'])
            .starts_with(';')
            .then_some(text)
    });
    let first = all.next()?;
    all.next().is_none().then_some(first)
}

/// Reads the fields behind the version: `name=value`, separated by semicolons. `None` when one of them is none.
///
/// Spaces at the end are accepted without the semicolon that the grammar wants before them: editors of zones leave them.
pub(crate) fn fields<'a>(text: &'a str, version: &str) -> Option<Vec<(&'a str, &'a str)>> {
    let rest = text.strip_prefix(version)?;
    let blank = [' ', '\t'];
    let mut parts = rest.split(';').map(|part| part.trim_matches(blank));
    if !parts.next()?.is_empty() {
        return None;
    }
    let mut parts: Vec<&str> = parts.collect();
    if parts.last().is_some_and(|last| last.is_empty()) {
        parts.pop();
    }
    let read = |part: &'a str| {
        let (name, value) = part.split_once('=')?;
        (is_name(name) && !value.is_empty()).then_some((name, value))
    };
    parts.into_iter().map(read).collect()
}

/// Finds the first field of that name: later ones are ignored.
pub(crate) fn first<'a>(fields: &[(&'a str, &'a str)], name: &str) -> Option<&'a str> {
    let mut all = fields.iter().filter(|(other, _)| *other == name);
    all.next().map(|(_, value)| *value)
}

/// Returns whether this is the value of a field that has no grammar of its own.
pub(crate) fn is_value(text: &str) -> bool {
    let is_allowed = |octet: &u8| matches!(octet, 0x21..=0x3a | 0x3c | 0x3e..=0x7e);
    !text.is_empty() && text.as_bytes().iter().all(is_allowed)
}

/// Returns whether this is the name of a field, in a record or in a policy.
pub(crate) fn is_name(text: &str) -> bool {
    let mut octets = text.bytes();
    let is_begun = octets
        .next()
        .is_some_and(|first| first.is_ascii_alphanumeric());
    let mut rest = octets;
    is_begun
        && text.len() <= NAME
        && rest.all(|octet| octet.is_ascii_alphanumeric() || b"_-.".contains(&octet))
}

//! Lists of tags in records (RFC 6376 §3.2): `name=value`, with semicolons between them.

/// The tags of a record, as they stand there.
pub(super) struct Tags<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Tags<'a> {
    /// Reads a text; parts that are no tags are left out.
    pub(super) fn of(text: &'a str) -> Self {
        let parts = text.split(';').filter_map(|part| part.split_once('='));
        let parts = parts.map(|(name, value)| (name.trim(), value.trim()));
        Self(parts.collect())
    }

    /// Returns the value of the first tag of that name.
    pub(super) fn value(&self, name: &str) -> Option<&'a str> {
        let mut all = self.0.iter();
        let found = all.find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map(|(_, value)| *value)
    }

    /// Returns all of them, name and value, in their order.
    pub(super) fn all(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_have_names_and_values() {
        let tags = Tags::of(" v=DMARC1 ; P = reject;x;pct=;p=none");
        assert_eq!(tags.value("p"), Some("reject"));
        assert_eq!((tags.value("pct"), tags.value("x")), (Some(""), None));
        assert_eq!(Tags::of("").value("v"), None);
    }
}

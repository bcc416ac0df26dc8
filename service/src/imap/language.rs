//! LANGUAGE: texts in English or Japanese (RFC 5255 §3).

use bytes::Bytes;
use hikyaku_imap_proto::{MailboxName, Response, ResponseCode};

use super::end::End;
use super::names::OTHERS;
use super::session::Session;
use super::text::{Text as T, japanese};

/// English comes first: it is what i-default and default mean.
const LANGUAGES: [&str; 3] = ["en", "ja", "i-default"];

impl Session<'_> {
    pub(super) fn language(&mut self, ranges: &[Bytes]) -> Result<End, End> {
        if ranges.is_empty() {
            let all = LANGUAGES.map(Into::into).into();
            self.respond(&Response::Language(all));
            return Ok(End::ok(T::TheseLanguagesThereAre));
        }
        let language = ranges.iter().find_map(|range| lookup(range));
        let Some(language) = language else {
            let text = T::NoneOfTheseLanguages;
            return Err(End::no(ResponseCode::Cannot, text));
        };
        self.respond(&Response::Language([language.into()].into()));
        self.japanese = language == "ja";
        let texts: Option<hikyaku_imap_proto::server::Translation> = match self.japanese {
            true => Some(japanese),
            false => None,
        };
        self.driver.machine.speak(texts);
        // RFC 5255 §3.4: what namespaces are called changes with it.
        self.send_namespaces();
        Ok(End::ok(T::ThisLanguageFromNow))
    }

    /// TRANSLATION of a namespace's prefix (RFC 5255 §3.4).
    pub(super) fn translations(&self, prefix: &str) -> Vec<(Bytes, Bytes)> {
        if !self.japanese || prefix != OTHERS {
            return Vec::new();
        }
        let name = MailboxName::new("ほかのユーザー/");
        let value = format!("(\"{}\")", name.wire());
        vec![("TRANSLATION".into(), value.into())]
    }
}

/// The language that a range means, if there is such a one: what is more special than what there is leads
/// to that (RFC 4647 §3.4).
fn lookup(range: &[u8]) -> Option<&'static str> {
    let range = std::str::from_utf8(range).ok()?.to_ascii_lowercase();
    if matches!(range.as_str(), "default" | "*") {
        return Some(LANGUAGES[0]);
    }
    let mut range = range.as_str();
    loop {
        if let Some(found) = LANGUAGES.into_iter().find(|one| *one == range) {
            return Some(found);
        }
        (range, _) = range.rsplit_once('-')?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_more_special_leads_to_what_there_is() {
        for (range, language) in [
            ("ja", Some("ja")),
            ("JA-jp", Some("ja")),
            ("en-US-x-twain", Some("en")),
            ("i-default", Some("i-default")),
            ("default", Some("en")),
            ("jap", None),
            ("de", None),
            ("", None),
        ] {
            assert_eq!(lookup(range.as_bytes()), language, "{range}");
        }
    }
}

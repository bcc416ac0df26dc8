//! The tokens of HTML that matter here: tags that are known, with the attributes that are known, and text.

use html5gum::emitters::callback::{Callback, CallbackEmitter, CallbackEvent};
use html5gum::{Span, Tokenizer};

/// The attributes that are read, in order.
const ATTRIBUTES: [&str; 29] = [
    "align",
    "alt",
    "background",
    "bgcolor",
    "border",
    "cellpadding",
    "cellspacing",
    "class",
    "color",
    "colspan",
    "dir",
    "face",
    "height",
    "hidden",
    "href",
    "id",
    "lang",
    "open",
    "reversed",
    "rowspan",
    "size",
    "src",
    "start",
    "style",
    "text",
    "title",
    "type",
    "valign",
    "width",
];

/// More octets than that in one attribute, other than the address of an image, are no attribute.
const ATTRIBUTE: usize = 16 * 1024;

/// Attributes by their names.
pub(super) type Attributes = Vec<(&'static str, String)>;

/// A token. Names are in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    Start {
        name: String,
        attributes: Attributes,
    },
    End {
        name: String,
    },
    Text(String),
}

/// Gathers a start tag: of attributes of one name the first counts (HTML §13.2.5.33), and looking for it costs
/// no more than there are known ones.
#[derive(Debug, Default)]
struct Gather {
    name: String,
    attributes: Attributes,
    /// The one whose value comes next.
    attribute: Option<&'static str>,
}

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

impl Callback<Token, ()> for Gather {
    fn handle_event(&mut self, event: CallbackEvent<'_>, _: Span<()>) -> Option<Token> {
        match event {
            CallbackEvent::OpenStartTag { name } => {
                self.name = text(name);
                self.attributes = Attributes::new();
                None
            }
            CallbackEvent::AttributeName { name } => {
                let known = ATTRIBUTES.binary_search_by(|known| known.as_bytes().cmp(name));
                let known = known.ok().and_then(|at| ATTRIBUTES.get(at).copied());
                let is_new = |name: &&str| !self.attributes.iter().any(|(had, _)| had == name);
                self.attribute = known.filter(is_new);
                if let Some(name) = self.attribute {
                    self.attributes.push((name, String::new()));
                }
                None
            }
            CallbackEvent::AttributeValue { value } => {
                if let (Some(name), Some((_, last))) =
                    (self.attribute.take(), self.attributes.last_mut())
                {
                    if value.len() <= ATTRIBUTE || name == "src" {
                        *last = text(value);
                    } else {
                        self.attributes.pop();
                    }
                }
                None
            }
            CallbackEvent::CloseStartTag { .. } => Some(Token::Start {
                name: std::mem::take(&mut self.name),
                attributes: std::mem::take(&mut self.attributes),
            }),
            CallbackEvent::EndTag { name } => Some(Token::End { name: text(name) }),
            CallbackEvent::String { value } => Some(Token::Text(text(value))),
            _ => None,
        }
    }
}

/// The tokens of HTML. Scripts, styles and the like are one text each.
pub(super) fn tokens(html: &str) -> impl Iterator<Item = Token> + '_ {
    let mut emitter = CallbackEmitter::<_, Token>::new(Gather::default());
    emitter.naively_switch_states(true);
    Tokenizer::new_with_emitter(html, emitter).map_while(Result::ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_order() {
        assert!(ATTRIBUTES.is_sorted());
    }

    #[test]
    fn what_is_unknown_is_left_out_and_the_first_of_a_name_counts() {
        let html = "<P onclick=x STYLE='a' style=b title>1 &amp; 2<script><b></script></p>";
        let name = |name: &str| name.to_owned();
        assert_eq!(
            tokens(html).collect::<Vec<_>>(),
            [
                Token::Start {
                    name: name("p"),
                    attributes: vec![("style", name("a")), ("title", String::new())]
                },
                Token::Text(name("1 & 2")),
                Token::Start {
                    name: name("script"),
                    attributes: vec![]
                },
                Token::Text(name("<b>")),
                Token::End {
                    name: name("script")
                },
                Token::End { name: name("p") },
            ]
        );
    }
}

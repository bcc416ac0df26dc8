//! Style sheets of a message: simple selectors, for the message alone, and the declarations of
//! [`Declarations`].

use cssparser::{
    AtRuleParser, CowRcStr, ParseError, Parser, ParserState, QualifiedRuleParser, StyleSheetParser,
    Token,
};
use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use super::css::Declarations;
use super::element::Tag;

/// The most octets of style sheets that are read.
const OCTETS: usize = 256 * 1024;
/// The most rules.
const RULES: usize = 1000;
/// The most selectors of one rule.
const SELECTORS: usize = 16;
/// The most compounds of one selector: a browser may try each ancestor for each of them.
const COMPOUNDS: usize = 4;
/// The most classes of one element that are looked at.
const CLASSES: usize = 32;

/// States of a link, and places among siblings that cost a browser nothing to find.
const PSEUDO: [&str; 6] = [
    "active",
    "first-child",
    "focus",
    "hover",
    "last-child",
    "link",
];

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    /// The condition, when there is one.
    media: Option<String>,
    /// What stands after the scope.
    selectors: Vec<String>,
    css: String,
}

/// What the rules say of whether an element is to be seen; the last one, or the important one, decides.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Hint {
    hidden: Option<(bool, usize, bool)>,
    tiny: Option<(bool, usize, bool)>,
    /// Whether a picture stood behind it that cannot be shown.
    pub(super) background_lost: bool,
    /// Whether a rule for some screens shows it.
    pub(super) revealed: bool,
}

impl Hint {
    fn add(&mut self, other: &Self) {
        self.hidden = self.hidden.max(other.hidden);
        self.tiny = self.tiny.max(other.tiny);
        self.background_lost |= other.background_lost;
        self.revealed |= other.revealed;
    }

    /// Whether an element whose `style` says that is hidden.
    pub(super) fn hides(&self, inline: Option<bool>) -> bool {
        match (self.hidden, inline) {
            (Some((true, _, hidden)), _) => hidden,
            (_, Some(hidden)) => hidden,
            (hidden, None) => hidden.is_some_and(|(.., hidden)| hidden),
        }
    }

    /// The same for the size of its text; nothing, where that is its parent's.
    pub(super) fn is_tiny(&self, inline: Option<bool>) -> Option<bool> {
        inline.or(self.tiny.map(|(.., tiny)| tiny))
    }
}

/// The style sheets of a message.
#[derive(Debug, Clone, Default)]
pub struct Sheet {
    rules: Vec<Rule>,
    /// What elements are known by in selectors: `.class`, `#id`, `tag`, `tag.class`, `tag#id`.
    hints: HashMap<String, Hint>,
    /// Classes and ids that selectors name.
    names: HashSet<String>,
    octets: usize,
}

impl Sheet {
    /// Adds a style sheet.
    pub(super) fn add(&mut self, css: &str) {
        let room = OCTETS.saturating_sub(self.octets);
        let css = super::beginning(css, room);
        self.octets += css.len();
        let mut input = Parser::new(css);
        let mut reader = Reader {
            sheet: self,
            media: None,
            is_nested: false,
        };
        for _ in StyleSheetParser::new(&mut input, &mut reader) {}
    }

    /// Writes the rules for the content of the element that `scope` selects.
    #[must_use]
    pub fn css(&self, scope: &str) -> String {
        let mut css = String::new();
        let mut media = &None;
        for rule in &self.rules {
            if *media != rule.media {
                css += if media.is_some() { "}" } else { "" };
                if let Some(condition) = &rule.media {
                    let _ = write!(css, "@media {condition}{{");
                }
                media = &rule.media;
            }
            for (number, selector) in rule.selectors.iter().enumerate() {
                let comma = if number > 0 { "," } else { "" };
                let _ = write!(css, "{comma}{scope}{selector}");
            }
            let _ = write!(css, "{{{}}}", rule.css);
        }
        css + if media.is_some() { "}" } else { "" }
    }

    /// Returns whether a rule sets a colour or a background.
    #[must_use]
    pub fn is_colored(&self) -> bool {
        self.rules.iter().any(|rule| rule.css.contains("color:"))
    }

    /// Of classes those that a rule names, as [`css`](Self::css) writes them.
    pub(super) fn classes(&self, value: &str) -> String {
        let all = value.split_ascii_whitespace().take(CLASSES);
        let known = all.filter(|class| self.names.contains(*class));
        known.fold(String::new(), |mut all, class| {
            let _ = write!(
                all,
                "{}{PREFIX}{class}",
                if all.is_empty() { "" } else { " " }
            );
            all
        })
    }

    /// What the rules say of an element.
    pub(super) fn hint(&self, tag: Tag, classes: &str, id: &str) -> Hint {
        let mut hint = Hint::default();
        if self.hints.is_empty() {
            return hint;
        }
        let mut add = |key: &str| {
            if let Some(found) = self.hints.get(key) {
                hint.add(found);
            }
        };
        add(tag.name);
        for class in classes.split_ascii_whitespace().take(CLASSES) {
            if self.names.contains(class) {
                add(&format!(".{class}"));
                add(&format!("{}.{class}", tag.name));
            }
        }
        if self.names.contains(id) {
            add(&format!("#{id}"));
            add(&format!("{}#{id}", tag.name));
        }
        hint
    }

    fn rule(&mut self, media: Option<&str>, selectors: Vec<Selector>, declarations: &Declarations) {
        let order = self.rules.len();
        if order >= RULES {
            return;
        }
        let important = |property| {
            let mut of_it = declarations.iter().filter(|one| one.property == property);
            of_it.any(|one| one.important)
        };
        let (hides, tiny) = (declarations.hides(), declarations.is_tiny());
        for selector in &selectors {
            self.names.extend(selector.names.iter().cloned());
            for key in &selector.keys {
                let hint = self.hints.entry(key.clone()).or_default();
                hint.background_lost |= declarations.background_lost;
                if media.is_some() {
                    hint.revealed |= hides == Some(false);
                    continue;
                }
                // What holds here and there only hides nothing, but may show something.
                if let Some(hides) = hides.filter(|hides| selector.is_simple || !hides) {
                    let new = (important("display"), order, hides);
                    hint.hidden = hint.hidden.max(Some(new));
                }
                if let Some(tiny) = tiny.filter(|tiny| selector.is_simple || !tiny) {
                    hint.tiny = hint.tiny.max(Some((important("font-size"), order, tiny)));
                }
            }
        }
        if !declarations.is_empty() {
            self.rules.push(Rule {
                media: media.map(ToOwned::to_owned),
                selectors: selectors.into_iter().map(|one| one.text).collect(),
                css: declarations.css(),
            });
        }
    }
}

/// What stands before the classes and ids of a message.
pub(super) const PREFIX: &str = "m-";

/// A selector.
#[derive(Debug, Default)]
struct Selector {
    /// What stands after the scope: nothing, where it is the body.
    text: String,
    /// What the elements are known by; see [`Sheet::hints`].
    keys: Vec<String>,
    /// Whether that is all that it asks for.
    is_simple: bool,
    names: Vec<String>,
}

/// Reads a selector up to the end of the input.
fn selector(input: &mut Parser<'_>) -> Option<Selector> {
    let mut all = Selector {
        is_simple: true,
        ..Selector::default()
    };
    let (mut compounds, mut combinator) = (0, " ");
    input.skip_whitespace();
    loop {
        let compound = compound(input)?;
        if compound.is_body {
            // Both are what is around the message.
            if !all.text.is_empty() {
                return None;
            }
            all.keys.clear();
        } else {
            compounds += 1;
            all.is_simple &= compounds == 1 && compound.is_simple;
            all.text += combinator;
            all.text += &compound.text;
            all.keys = compound.keys;
        }
        all.names.extend(compound.names);
        combinator = " ";
        match input.next_including_whitespace().cloned() {
            Err(_) => return (compounds <= COMPOUNDS).then_some(all),
            Ok(Token::WhiteSpace(_)) => {
                input.skip_whitespace();
                let before = input.state();
                match input.next() {
                    Err(_) => return (compounds <= COMPOUNDS).then_some(all),
                    Ok(Token::Delim('>')) => combinator = " > ",
                    Ok(_) => input.reset(&before),
                }
            }
            Ok(Token::Delim('>')) => combinator = " > ",
            Ok(_) => return None,
        }
        input.skip_whitespace();
    }
}

#[derive(Debug, Default)]
struct Compound {
    text: String,
    keys: Vec<String>,
    names: Vec<String>,
    is_simple: bool,
    is_body: bool,
}

fn is_plain(name: &str) -> bool {
    name.len() <= 100
        && name
            .bytes()
            .all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_'))
}

/// Reads what holds for one element, up to what stands between two of them.
fn compound(input: &mut Parser<'_>) -> Option<Compound> {
    let mut all = Compound::default();
    let (mut tag, mut marks, mut pseudo, mut any) = (None, Vec::new(), String::new(), false);
    loop {
        let before = input.state();
        let Ok(token) = input.next_including_whitespace().cloned() else {
            break;
        };
        match token {
            Token::Ident(name) if !any => {
                let name = name.to_ascii_lowercase();
                all.is_body = matches!(&name[..], "html" | "body");
                let known = Tag::named(&name).filter(|tag| tag.name == name);
                tag = Some(known.filter(|_| !all.is_body));
                // An element that is never shown.
                if !all.is_body && known.is_none() {
                    return None;
                }
            }
            Token::Delim('*') if !any => {}
            Token::Delim('.') => match input.next_including_whitespace().cloned() {
                Ok(Token::Ident(name)) if is_plain(&name) => marks.push(('.', name.to_string())),
                _ => return None,
            },
            Token::IDHash(name) if is_plain(&name) => marks.push(('#', name.to_string())),
            Token::Colon => match input.next_including_whitespace().cloned() {
                Ok(Token::Ident(name)) => {
                    let name = name.to_ascii_lowercase();
                    if name == "root" && !any {
                        all.is_body = true;
                    } else {
                        let known = PSEUDO.into_iter().find(|known| *known == name)?;
                        let _ = write!(pseudo, ":{known}");
                    }
                }
                _ => return None,
            },
            Token::WhiteSpace(_) | Token::Delim('>') => {
                input.reset(&before);
                break;
            }
            _ => return None,
        }
        any = true;
    }
    if !any {
        return None;
    }
    let name = tag.flatten().map_or("", |tag| tag.name);
    all.text = name.to_owned();
    if all.text.is_empty() && marks.is_empty() {
        // What the page itself puts into a message is none of the message's.
        all.text += ":not(output)";
    }
    for (mark, of) in &marks {
        let _ = write!(all.text, "{mark}{PREFIX}{of}");
        all.keys.push(format!("{name}{mark}{of}"));
    }
    all.text += &pseudo;
    all.is_simple = marks.len() <= 1 && pseudo.is_empty();
    if marks.is_empty() && !name.is_empty() {
        all.keys.push(name.to_owned());
    }
    all.names = marks.into_iter().map(|(_, of)| of).collect();
    Some(all)
}

/// A condition on the width of the screen, written anew: `Some(None)` where it always holds, nothing where it
/// asks for something else.
fn condition(input: &mut Parser<'_>) -> Option<Option<String>> {
    let (mut features, mut first) = (Vec::new(), true);
    while let Ok(token) = input.next().cloned() {
        match token {
            Token::Ident(word) => match &word.to_ascii_lowercase()[..] {
                "only" if first => {}
                "screen" | "all" if features.is_empty() => {}
                "and" if !first => {}
                _ => return None,
            },
            Token::ParenthesisBlock => {
                let feature = input.parse_nested_block(|input| {
                    let name = input.expect_ident()?.to_ascii_lowercase();
                    let known = [
                        "min-width",
                        "max-width",
                        "min-device-width",
                        "max-device-width",
                    ];
                    input.expect_colon()?;
                    let size = match input.next()? {
                        Token::Dimension { value, unit, .. } if known.contains(&&name[..]) => {
                            let unit = ["px", "em", "rem"]
                                .into_iter()
                                .find(|known| unit.eq_ignore_ascii_case(known));
                            unit.map(|unit| format!("({name}:{value}{unit})"))
                        }
                        Token::Number { value, .. }
                            if known.contains(&&name[..]) && *value == 0.0 =>
                        {
                            Some(format!("({name}:0)"))
                        }
                        _ => None,
                    };
                    size.ok_or(ParseError::<()>::unexpected_token())
                });
                features.push(feature.ok()?);
            }
            _ => return None,
        }
        first = false;
        if features.len() > 4 {
            return None;
        }
    }
    Some((!features.is_empty()).then(|| features.join(" and ")))
}

/// Reads rules, within a condition or not.
struct Reader<'a> {
    sheet: &'a mut Sheet,
    media: Option<String>,
    /// Whether it reads what stands in another rule.
    is_nested: bool,
}

impl<'i> QualifiedRuleParser<'i> for Reader<'_> {
    type Prelude = Vec<Selector>;
    type QualifiedRule = ();
    type Error = ();

    fn parse_prelude(&mut self, input: &mut Parser<'i>) -> Result<Self::Prelude, ParseError<()>> {
        let mut all = input.parse_comma_separated_ignoring_errors(|input| {
            selector(input).ok_or(ParseError::<()>::unexpected_token())
        });
        all.truncate(SELECTORS);
        match all.is_empty() {
            true => Err(ParseError::unexpected_token()),
            false => Ok(all),
        }
    }

    fn parse_block(
        &mut self,
        selectors: Self::Prelude,
        _: &ParserState,
        input: &mut Parser<'i>,
    ) -> Result<(), ParseError<()>> {
        let declarations = Declarations::read(input);
        self.sheet
            .rule(self.media.as_deref(), selectors, &declarations);
        Ok(())
    }
}

impl<'i> AtRuleParser<'i> for Reader<'_> {
    type Prelude = Option<String>;
    type AtRule = ();
    type Error = ();

    fn parse_prelude(
        &mut self,
        name: CowRcStr<'i>,
        input: &mut Parser<'i>,
    ) -> Result<Self::Prelude, ParseError<()>> {
        // One within the other is not read: every level would cost a call.
        if !name.eq_ignore_ascii_case("media") || self.is_nested {
            return Err(ParseError::unexpected_token());
        }
        condition(input).ok_or(ParseError::unexpected_token())
    }

    fn parse_block(
        &mut self,
        media: Self::Prelude,
        _: &ParserState,
        input: &mut Parser<'i>,
    ) -> Result<(), ParseError<()>> {
        let mut reader = Reader {
            sheet: self.sheet,
            media,
            is_nested: true,
        };
        for _ in StyleSheetParser::new(input, &mut reader) {}
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn css(sheet: &str) -> String {
        let mut all = Sheet::default();
        all.add(sheet);
        all.css("#s")
    }

    #[test]
    fn simple_selectors_are_kept_for_the_message_alone() {
        for (sheet, expected) in [
            (".a{color:red}", "#s .m-a{color:red}"),
            (
                "td.a , #b > p{COLOR:red}",
                "#s td.m-a,#s #m-b > p{color:red}",
            ),
            (
                "body{margin:0} html body .a{margin:1px}",
                "#s{margin:0}#s .m-a{margin:1px}",
            ),
            ("a:hover{color:red}", "#s a:hover{color:red}"),
            ("*{margin:0}", "#s :not(output){margin:0}"),
            (":root{color:red}", "#s{color:red}"),
            ("<!-- p{margin:0} -->", "#s p{margin:0}"),
            ("@media screen{p{margin:0}}", "#s p{margin:0}"),
            (
                "@media only screen and (max-width:600px){.a{width:100%!important}}p{margin:0}",
                "@media (max-width:600px){#s .m-a{width:100% !important}}#s p{margin:0}",
            ),
        ] {
            assert_eq!(css(sheet), expected, "{sheet}");
        }
    }

    #[test]
    fn nothing_else_is_kept() {
        for sheet in [
            "@import 'https://evil.test/a.css';",
            "@import url(https://evil.test/a.css);",
            "@font-face{font-family:x;src:url(https://evil.test/f)}",
            "@media print{p{color:red}}",
            "@media (prefers-color-scheme:dark){p{color:red}}",
            "@media screen and (max-width:expression(1)){p{color:red}}",
            "@supports (display:grid){p{color:red}}",
            "@keyframes x{from{color:red}}",
            "@namespace url(x);",
            "p{background:url(https://evil.test/1)}",
            "input[value^=a]{background:url(https://evil.test/a)}",
            "a[href*=token]{color:red}",
            "p:has(a){color:red}",
            "p:not(.a){color:red}",
            "p:nth-child(2n+1){color:red}",
            "p::before{content:'x';color:red}",
            "p ~ p{color:red}",
            "p + p{color:red}",
            "a b i u s p{color:red}",
            "output{display:none}",
            "script{color:red}",
            r".\3c/style{color:red}",
            r".a\,b{color:red}",
            "p{position:fixed}",
            "p{}",
            "p{color:red",
            "> p{color:red}",
        ] {
            let css = css(sheet);
            assert!(css.is_empty() || sheet == "p{color:red", "{sheet}: {css}");
        }
        // What follows is read.
        assert_eq!(
            css("@import 'x'; p:has(a),b{color:red} [x]{margin:0} i{margin:0}"),
            "#s b{color:red}#s i{margin:0}"
        );
        assert!(!css("p{font-family:'</style><script>'} </style>").contains('<'));
    }

    #[test]
    fn counts_are_limited() {
        let many = (0..100_000).fold(String::new(), |mut all, n| {
            let _ = write!(all, ".c{n}{{color:red}}");
            all
        });
        let mut sheet = Sheet::default();
        sheet.add(&many);
        assert_eq!(sheet.rules.len(), RULES);
        let listed = "p,".repeat(10_000) + "p{color:red}";
        assert!(css(&listed).len() < 1000);
        // Neither levels nor brackets cost a call each.
        for deep in ["@media screen{", "p{", "(", "[", "a{b{", "@x{"] {
            css(&deep.repeat(100_000));
            css(&format!("p{{color:{}", deep.repeat(100_000)));
        }
    }

    #[test]
    fn classes_hide_and_show() {
        let mut sheet = Sheet::default();
        sheet.add(
            ".pre,td.cell{display:none} .back{display:none} .back{display:block} .x .deep{display:none}\
             .won{display:block!important} .phone{display:none} @media (max-width:600px){.phone{display:block!important}}\
             #tiny{font-size:0}",
        );
        let div = Tag::named("div").unwrap();
        let hides = |class: &str, inline| sheet.hint(div, class, "").hides(inline);
        assert!(hides("pre", None) && hides("other pre", None));
        assert!(!hides("cell", None) && !hides("back", None) && !hides("deep", None));
        assert!(hides("", Some(true)) && !hides("pre", Some(false)));
        assert!(!hides("won", Some(true)));
        assert!(hides("phone", None) && sheet.hint(div, "phone", "").revealed);
        assert_eq!(sheet.hint(div, "", "tiny").is_tiny(None), Some(true));
        assert_eq!(sheet.classes("pre unknown phone"), "m-pre m-phone");
    }
}

//! Style declarations, each property and each token of its value from a list of harmless ones.
//!
//! Values are written anew from their tokens, so that what a browser reads is what was judged: an escape, a comment
//! or a bracket that does not close cannot make one thing of another.

use cssparser::{Delimiter, ParseError, Parser, ToCss as _, Token};
use std::fmt::Write as _;

/// The most declarations of one block.
const DECLARATIONS: usize = 64;
/// The most octets of a value.
const VALUE: usize = 256;

/// Properties that move nothing out of its place and name no other thing, in order.
const PROPERTIES: [&str; 67] = [
    "background-color",
    "border",
    "border-bottom",
    "border-bottom-color",
    "border-bottom-style",
    "border-bottom-width",
    "border-collapse",
    "border-color",
    "border-left",
    "border-left-color",
    "border-left-style",
    "border-left-width",
    "border-radius",
    "border-right",
    "border-right-color",
    "border-right-style",
    "border-right-width",
    "border-spacing",
    "border-style",
    "border-top",
    "border-top-color",
    "border-top-style",
    "border-top-width",
    "border-width",
    "box-sizing",
    "caption-side",
    "clear",
    "color",
    "direction",
    "display",
    "empty-cells",
    "float",
    "font",
    "font-family",
    "font-size",
    "font-style",
    "font-variant",
    "font-weight",
    "height",
    "letter-spacing",
    "line-height",
    "list-style",
    "list-style-position",
    "list-style-type",
    "margin",
    "margin-bottom",
    "margin-left",
    "margin-right",
    "margin-top",
    "max-height",
    "max-width",
    "min-width",
    "opacity",
    "overflow",
    "padding",
    "padding-bottom",
    "padding-left",
    "padding-right",
    "padding-top",
    "table-layout",
    "text-align",
    "text-decoration",
    "text-indent",
    "text-transform",
    "vertical-align",
    "visibility",
    "width",
];

/// Those beside them.
const MORE: [&str; 5] = [
    "white-space",
    "word-break",
    "word-spacing",
    "word-wrap",
    "overflow-wrap",
];

/// Units that do not depend on the frame's own height, which depends on its content.
const UNITS: [&str; 13] = [
    "px", "em", "rem", "ex", "ch", "pt", "pc", "cm", "mm", "in", "q", "vw", "deg",
];

/// Functions whose arguments are numbers.
const COLORS: [&str; 6] = ["rgb", "rgba", "hsl", "hsla", "hwb", "lab"];

/// One property and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Declaration {
    /// The property.
    pub property: &'static str,
    /// Its value, written anew from harmless tokens.
    pub value: String,
    /// Whether it is `!important`.
    pub important: bool,
}

/// The declarations of one block, in order: what is left of a `style` attribute or of a rule when everything
/// that is not known to be harmless is dropped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Declarations {
    all: Vec<Declaration>,
    /// Whether the text had a background that cannot be shown: a picture.
    pub(super) background_lost: bool,
}

/// Lists every property that may be in [`Declarations`].
pub fn properties() -> impl Iterator<Item = &'static str> {
    PROPERTIES.into_iter().chain(MORE)
}

impl Declarations {
    /// Reads what a `style` attribute or a rule says. Colour and background of one block go together: where one
    /// of them cannot be shown, the other is left out too, since it was chosen to be read with it.
    #[must_use]
    pub fn parse(css: &str) -> Self {
        Self::read(&mut Parser::new(css))
    }

    /// Reads up to the end of the input.
    pub(super) fn read(input: &mut Parser<'_>) -> Self {
        let mut found = Found::default();
        let mut all = Vec::new();
        while !input.is_exhausted() {
            let one = input.parse_until_after(Delimiter::Semicolon, |input| {
                let name = input.expect_ident()?.to_ascii_lowercase();
                input.expect_colon()?;
                Ok::<_, ParseError<()>>(declaration(&name, input, &mut found))
            });
            if let Ok(Some(one)) = one
                && all.len() < DECLARATIONS
            {
                all.push(one);
            }
        }
        found.settle(all)
    }

    /// Returns the declarations in their order.
    pub fn iter(&self) -> impl Iterator<Item = &Declaration> {
        self.all.iter()
    }

    /// Returns whether there are no declarations.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Returns the last value of a property.
    #[must_use]
    pub fn get(&self, property: &str) -> Option<&str> {
        let found = self.all.iter().rev().find(|one| one.property == property);
        found.map(|one| one.value.as_str())
    }

    /// Returns whether the block sets a colour or a background.
    #[must_use]
    pub fn is_colored(&self) -> bool {
        self.get("color").is_some() || self.get("background-color").is_some()
    }

    /// Without a colour of the text.
    pub(super) fn without_color(&mut self) {
        self.all.retain(|one| one.property != "color");
    }

    /// Adds one.
    pub(super) fn add(&mut self, property: &'static str, value: String) {
        self.all.push(Declaration {
            property,
            value,
            important: false,
        });
    }

    /// Whether what has it is not to be seen, if it says anything of that.
    pub(super) fn hides(&self) -> Option<bool> {
        let is = |property, value: &str| self.get(property) == Some(value);
        let nothing = |property| self.get(property).is_some_and(is_nothing);
        let clipped = is("overflow", "hidden") && (nothing("height") || nothing("width"));
        if is("display", "none")
            || is("visibility", "hidden")
            || is("visibility", "collapse")
            || nothing("opacity")
            || nothing("max-height")
            || clipped
        {
            return Some(true);
        }
        let says = self.get("display").is_some() || self.get("visibility").is_some();
        says.then_some(false)
    }

    /// Whether its text is too small to be meant for reading, if it says anything of that.
    pub(super) fn is_tiny(&self) -> Option<bool> {
        let shorthand = || {
            let words = self.get("font")?.split(' ');
            let mut sizes = words.filter(|word| word.starts_with(|c: char| c.is_ascii_digit()));
            sizes.find(|word| word.contains(|c: char| !c.is_ascii_digit()))
        };
        let size = self.get("font-size").or_else(shorthand)?;
        // Of what is nothing a part is nothing too.
        if size.ends_with('%') || size.ends_with("em") {
            return is_nothing(size).then_some(true);
        }
        Some(number(size).is_some_and(|size| size <= 1.0))
    }

    /// Writes the block as a `style` attribute or a rule has it.
    #[must_use]
    pub fn css(&self) -> String {
        self.all.iter().fold(String::new(), |mut css, one| {
            if !css.is_empty() {
                css.push(';');
            }
            let important = if one.important { " !important" } else { "" };
            let _ = write!(css, "{}:{}{important}", one.property, one.value);
            css
        })
    }
}

fn number(value: &str) -> Option<f32> {
    let end = value
        .find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '-' | '+')))
        .unwrap_or(value.len());
    value.get(..end)?.parse().ok()
}

fn is_nothing(value: &str) -> bool {
    number(value).is_some_and(|number| number <= 0.01)
}

/// What a block said of colour and background, whether it could be kept or not.
#[derive(Debug, Default)]
struct Found {
    /// A picture, or a colour that cannot be read.
    background_lost: bool,
    color_lost: bool,
}

impl Found {
    fn settle(self, mut all: Vec<Declaration>) -> Declarations {
        let has = |all: &[Declaration], property| all.iter().any(|one| one.property == property);
        let background_lost = self.background_lost && !has(&all, "background-color");
        if background_lost {
            all.retain(|one| one.property != "color");
        }
        if self.color_lost && !has(&all, "color") {
            all.retain(|one| one.property != "background-color");
        }
        Declarations {
            all,
            background_lost,
        }
    }
}

fn declaration(name: &str, input: &mut Parser<'_>, found: &mut Found) -> Option<Declaration> {
    if matches!(name, "background" | "background-image") {
        return background(input, found);
    }
    let mut known = properties();
    let property = known.find(|known| *known == name)?;
    let Some((value, important)) = value(input).filter(|(value, _)| is_allowed(property, value))
    else {
        found.color_lost |= property == "color";
        found.background_lost |= property == "background-color";
        return None;
    };
    Some(Declaration {
        property,
        value,
        important,
    })
}

/// Whether a property may have that value.
fn is_allowed(property: &str, value: &str) -> bool {
    match property {
        "display" => matches!(
            value,
            "none"
                | "block"
                | "inline"
                | "inline-block"
                | "list-item"
                | "table"
                | "inline-table"
                | "table-cell"
                | "table-row"
                | "table-row-group"
                | "table-header-group"
                | "table-footer-group"
                | "table-caption"
        ),
        "float" => matches!(value, "left" | "right" | "none"),
        // What lies beyond an edge on the left is lost, and a frame above what it follows would cover it.
        "margin" | "margin-top" | "margin-left" | "margin-right" | "margin-bottom"
        | "text-indent" => !value.split(' ').any(|one| one.starts_with('-')),
        "overflow" => matches!(value, "hidden" | "visible" | "auto"),
        _ => true,
    }
}

/// `background`: its colour, or the first colour of a gradient in it.
fn background(input: &mut Parser<'_>, found: &mut Found) -> Option<Declaration> {
    let (mut color, mut stop, mut important) = (None, None, false);
    while let Ok(token) = input.next().cloned() {
        match &token {
            Token::Function(name) if is_color_function(name) => {
                color = color.or(arguments(input, name));
            }
            Token::Function(name) if name.to_ascii_lowercase().contains("gradient") => {
                stop = stop.or(input
                    .parse_nested_block(|input| Ok::<_, ParseError<()>>(first_color(input)))
                    .ok()
                    .flatten());
                found.background_lost |= stop.is_none();
            }
            Token::Function(_) | Token::UnquotedUrl(_) | Token::BadUrl(_) => {
                found.background_lost = true;
            }
            Token::Delim('!') => important = input.expect_ident_matching("important").is_ok(),
            Token::Ident(name) if name.eq_ignore_ascii_case("none") => {
                color = color.or(Some("transparent".into()));
            }
            other => color = color.or(plain_color(other)),
        }
    }
    Some(Declaration {
        property: "background-color",
        value: color
            .filter(|color| color != "transparent" || stop.is_none())
            .or(stop)?,
        important,
    })
    .filter(|one| one.value != "transparent" || !found.background_lost)
}

/// The first colour of a gradient.
fn first_color(input: &mut Parser<'_>) -> Option<String> {
    let mut first = None;
    while let Ok(token) = input.next().cloned() {
        let color = match &token {
            Token::Function(name) if is_color_function(name) => arguments(input, name),
            other => plain_color(other),
        };
        first = first.or(color);
    }
    first
}

fn plain_color(token: &Token<'_>) -> Option<String> {
    match token {
        Token::Hash(hex) | Token::IDHash(hex) => {
            cssparser::color::parse_hash_color(hex.as_bytes()).ok()?;
            Some(format!("#{hex}"))
        }
        Token::Ident(name) => {
            let name = name.to_ascii_lowercase();
            let known = cssparser::color::parse_named_color(&name).is_ok();
            (known || matches!(&name[..], "transparent" | "inherit")).then_some(name)
        }
        _ => None,
    }
}

fn is_color_function(name: &str) -> bool {
    COLORS.iter().any(|color| color.eq_ignore_ascii_case(name))
}

/// The function whose name was read, with its arguments: numbers and nothing else.
fn arguments(input: &mut Parser<'_>, name: &str) -> Option<String> {
    let inner = input.parse_nested_block(|input| {
        let mut inner = String::new();
        while let Ok(token) = input.next_including_whitespace() {
            let fine = match token {
                Token::Number { .. }
                | Token::Percentage { .. }
                | Token::Comma
                | Token::WhiteSpace(_)
                | Token::Delim('/') => true,
                Token::Dimension { unit, .. } => unit.eq_ignore_ascii_case("deg"),
                Token::Ident(word) => word.eq_ignore_ascii_case("none"),
                _ => false,
            };
            if !fine || inner.len() > VALUE || token.to_css(&mut inner).is_err() {
                return Err(ParseError::unexpected_token());
            }
        }
        Ok::<_, ParseError<()>>(inner)
    });
    Some(format!(
        "{}({})",
        name.to_ascii_lowercase(),
        inner.ok()?.trim()
    ))
}

/// A value, written anew, and whether it is important; nothing, where something in it is not harmless.
fn value(input: &mut Parser<'_>) -> Option<(String, bool)> {
    let (mut value, mut important) = (String::new(), false);
    while let Ok(token) = input.next_including_whitespace() {
        let token = token.clone();
        if important && !matches!(token, Token::WhiteSpace(_)) {
            return None;
        }
        match &token {
            Token::WhiteSpace(_) => value.push(' '),
            Token::Ident(word) => {
                let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
                if !word.chars().all(plain) {
                    return None;
                }
                value += &word.to_ascii_lowercase();
            }
            Token::Hash(hex) | Token::IDHash(hex) => {
                cssparser::color::parse_hash_color(hex.as_bytes()).ok()?;
                let _ = write!(value, "#{hex}");
            }
            Token::QuotedString(name) => {
                let plain = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_' | '.');
                if !name.chars().all(plain) {
                    return None;
                }
                let _ = write!(value, "'{name}'");
            }
            Token::Dimension {
                unit, value: size, ..
            } => {
                let unit = UNITS
                    .iter()
                    .find(|known| known.eq_ignore_ascii_case(unit))?;
                let _ = write!(value, "{}{unit}", size.clamp(-4000.0, 4000.0));
            }
            Token::Number { value: number, .. } => {
                let _ = write!(value, "{}", number.clamp(-4000.0, 4000.0));
            }
            Token::Percentage { unit_value, .. } => {
                let _ = write!(value, "{}%", (unit_value * 100.0).clamp(-1000.0, 1000.0));
            }
            Token::Comma => value.push(','),
            Token::Delim('/') => value.push('/'),
            Token::Delim('!') => {
                input.expect_ident_matching("important").ok()?;
                important = true;
            }
            Token::Function(name) if is_color_function(name) => value += &arguments(input, name)?,
            _ => return None,
        }
        if value.len() > VALUE {
            return None;
        }
    }
    let value = value.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
    (!value.is_empty()).then_some((value, important))
}

/// The colour of a `bgcolor` or `text` attribute, where it is one: with or without its `#`.
pub(super) fn hex_color(value: &str) -> Option<String> {
    let value = value.trim();
    let hex = value.strip_prefix('#').unwrap_or(value);
    let is_hex = matches!(hex.len(), 3 | 6) && hex.bytes().all(|octet| octet.is_ascii_hexdigit());
    if is_hex {
        return Some(format!("#{hex}"));
    }
    let name = value.to_ascii_lowercase();
    cssparser::color::parse_named_color(&name)
        .is_ok()
        .then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_harmless_stays_and_nothing_else() {
        for (css, expected) in [
            ("color: RED; position: fixed", "color:red"),
            ("COLOR:#FFF!important", "color:#FFF !important"),
            ("color:red;;color:blue", "color:red;color:blue"),
            ("width:expression(alert(1))", ""),
            ("width:exp/**/ression(1);height:2px", "height:2px"),
            ("background-image:\\75rl(x);margin:0", "margin:0"),
            ("list-style:u\\72l(x)", ""),
            ("behavior:url(x)", ""),
            ("-moz-binding:url(x#y)", ""),
            ("c\\6flor:red", "color:red"),
            ("color:red;}</style><script>", "color:red"),
            ("font-family:'</style>'", ""),
            (
                "font-family:\"Segoe UI\",  Arial, sans-serif",
                "font-family:'Segoe UI', arial, sans-serif",
            ),
            ("font-family:a\\3c/style", ""),
            ("content:'x'", ""),
            ("height:100vh;width:50%", "width:50%"),
            ("width:calc(100vh + 1px);width:1px", "width:1px"),
            ("color:var(--x)", ""),
            ("width:9999999px", "width:4000px"),
            ("margin-top:-900px;margin:0 auto", "margin:0 auto"),
            ("display:flex;display:inline-block", "display:inline-block"),
            ("float:left;clear:both", "float:left;clear:both"),
            ("transform:scale(9);z-index:9;top:0", ""),
            ("@import 'x';color:red", "color:red"),
            ("color:rgb(1,2,3);color:rgb(url(x))", "color:rgb(1,2,3)"),
            ("/* a */color/* b */:/* c */red/* d */", "color:red"),
            ("color:red", "color:red"),
            ("color:\u{0}red", ""),
            ("unicode-range:U+26;direction:rtl", "direction:rtl"),
        ] {
            assert_eq!(Declarations::parse(css).css(), expected, "{css}");
        }
    }

    #[test]
    fn colour_and_background_go_or_stay_together() {
        for (css, expected) in [
            (
                "background:#1a2b3c;color:#fff",
                "background-color:#1a2b3c;color:#fff",
            ),
            (
                "background:url(x) no-repeat #000 0 0;color:white",
                "background-color:#000;color:white",
            ),
            (
                "background:rgb(0 0 0 / 50%) top;color:#fff",
                "background-color:rgb(0 0 0 / 50%);color:#fff",
            ),
            (
                "background:linear-gradient(to right, #123, #456);color:#fff",
                "background-color:#123;color:#fff",
            ),
            (
                "background-image:linear-gradient(90deg,rgba(1,2,3,1) 0%,red);color:#fff",
                "background-color:rgba(1,2,3,1);color:#fff",
            ),
            (
                "background:Navy !important;color:#fff",
                "background-color:navy !important;color:#fff",
            ),
            ("background:url(x);color:#fff;margin:0", "margin:0"),
            ("background-image:url('x');color:#fff", ""),
            (
                "background-image:url('x');background-color:#000;color:#fff",
                "background-color:#000;color:#fff",
            ),
            ("background:var(--dark);color:#fff", ""),
            ("background:#000;color:var(--light)", ""),
            (
                "background-color:color-mix(in srgb, red, blue);color:#fff",
                "",
            ),
            (
                "background:none;color:#333",
                "background-color:transparent;color:#333",
            ),
            ("background:0 0;color:#333", "color:#333"),
        ] {
            assert_eq!(Declarations::parse(css).css(), expected, "{css}");
        }
    }

    #[test]
    fn what_is_hidden_says_so() {
        for (css, hides) in [
            ("display:none", Some(true)),
            ("DISPLAY : NONE !important", Some(true)),
            ("display:none;mso-hide:all", Some(true)),
            ("visibility:hidden", Some(true)),
            ("opacity:0", Some(true)),
            ("opacity:0.0", Some(true)),
            ("max-height:0px;overflow:hidden", Some(true)),
            ("max-height:0;line-height:0", Some(true)),
            ("height:0;overflow:hidden", Some(true)),
            ("height:0", None),
            ("display:block", Some(false)),
            ("opacity:.5", None),
            ("max-height:0.5em", None),
            // Hidden from Outlook alone: the button that all others show.
            ("mso-hide:all;color:red", None),
        ] {
            assert_eq!(Declarations::parse(css).hides(), hides, "{css}");
        }
        for (css, tiny) in [
            ("font-size:0", Some(true)),
            ("font-size:1px", Some(true)),
            ("font-size:0em", Some(true)),
            ("font-size:80%", None),
            ("font-size:14px", Some(false)),
            ("font:bold 700 14px/1 arial", Some(false)),
            ("font:0/0 a", Some(true)),
            ("color:red", None),
        ] {
            assert_eq!(Declarations::parse(css).is_tiny(), tiny, "{css}");
        }
    }

    #[test]
    fn colours_of_attributes() {
        for (value, expected) in [
            ("#1a2b3c", Some("#1a2b3c")),
            ("fff", Some("#fff")),
            ("Navy", Some("navy")),
            ("url(x)", None),
            ("#12", None),
        ] {
            assert_eq!(hex_color(value).as_deref(), expected, "{value}");
        }
    }
}

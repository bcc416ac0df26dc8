//! HTML with nothing in it but text, its shape, links out, and images: written out of the balanced stream, and then
//! through ammonia, which knows nothing of what was decided before and lets nothing through that it should not.

use ammonia::{Builder, UrlRelative};
use hikyaku_client::html::{self, Element, Kind, Limits, Sink, Tag};
use hikyaku_client::visible;
use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt::Write as _;
use std::ops::RangeInclusive;

use super::links::{Target, escaped};
use super::pictures::Pictures;
use super::{Asked, Remote};

/// The most octets of a link's text that are looked at for another host.
const LINK: usize = 512;
/// The most images elsewhere that are asked for.
const REMOTE: usize = 300;
/// The most octets that are written: elements that go on in many blocks are written as often.
const OCTETS: usize = 4 * 1024 * 1024;
/// Characters that no text has (Unicode §23.7), each for one that would be markup. The tree builder joins a character
/// reference to a text by copying all of the text, so that many of them took seconds.
const MARKS: [(char, &str); 3] = [
    ('\u{fdd0}', "&amp;"),
    ('\u{fdd1}', "&lt;"),
    ('\u{fdd2}', "&gt;"),
];
/// Signs of Latin-1 (no-break space, guillemets and others), and as many characters that nobody has (at the end of the
/// last plane, Unicode §23.5) for them: the serialiser looks through all of a text again behind each octet that such
/// a sign begins with.
const SIGNS: RangeInclusive<char> = '\u{a0}'..='\u{bf}';
const PLACES: RangeInclusive<char> = '\u{10ff00}'..='\u{10ff1f}';

/// What stands for a character on its way through ammonia.
fn marked(c: char) -> char {
    match c {
        '&' => MARKS[0].0,
        '<' => MARKS[1].0,
        '>' => MARKS[2].0,
        c if SIGNS.contains(&c) => moved(c, &SIGNS, &PLACES),
        c if PLACES.contains(&c) || MARKS.iter().any(|(mark, _)| *mark == c) => {
            char::REPLACEMENT_CHARACTER
        }
        c => c,
    }
}

/// The character of one range that has the place of `c` in the other.
fn moved(c: char, from: &RangeInclusive<char>, to: &RangeInclusive<char>) -> char {
    let place = u32::from(c).saturating_sub(u32::from(*from.start()));
    char::from_u32(u32::from(*to.start()).saturating_add(place)).unwrap_or(c)
}

/// An image no larger than that counts who reads.
const PIXELS: f32 = 3.0;

/// What came of one part.
#[derive(Debug, Default)]
pub(super) struct Cleaned {
    pub(super) html: String,
    pub(super) css: String,
    /// Whether it chose colours, which are to be read on white.
    pub(super) is_colored: bool,
}

/// A part's HTML, for the document's element of that id.
pub(super) fn clean(
    source: &str,
    limits: &Limits,
    asked: &Asked,
    pictures: &Pictures<'_>,
    id: &str,
) -> Cleaned {
    let mut writer = Writer {
        html: String::with_capacity(source.len().min(OCTETS)),
        body: String::new(),
        link: None,
        remote: 0,
        is_colored: false,
        is_full: false,
        asked,
        pictures,
    };
    let read = html::read(source, limits, &mut writer);
    let inner = fenced(&writer.html, &asked.remote, pictures);
    let css = read.sheet.css(&format!("#{id}"));
    let direction = if writer.body.contains(" dir=\"") {
        ""
    } else {
        " dir=\"auto\""
    };
    Cleaned {
        html: format!("<div id=\"{id}\"{direction}{}>{inner}</div>", writer.body),
        // Nothing in a rule can be the end of a style sheet; were it, there would be none.
        css: if css.contains('<') {
            String::new()
        } else {
            css
        },
        is_colored: writer.is_colored || read.sheet.is_colored(),
    }
}

/// How many images elsewhere a part's HTML names, and whether it is longer than what is shown.
pub(super) fn remote_images(source: &str, limits: &Limits) -> (usize, bool) {
    struct Count(usize);
    impl Sink for Count {
        fn open(&mut self, element: &Element) {
            let is_remote =
                element.tag.name == "img" && element.get("src").is_some_and(is_elsewhere);
            self.0 += usize::from(is_remote && !is_pixel(element));
        }
        fn text(&mut self, _: &str) {}
        fn close(&mut self, _: Tag) {}
    }
    let mut count = Count(0);
    let read = html::read(source, limits, &mut count);
    (count.0, read.is_cut)
}

fn starts(value: &str, prefix: &str) -> bool {
    let head = value.as_bytes().get(..prefix.len());
    head.is_some_and(|head| head.eq_ignore_ascii_case(prefix.as_bytes()))
}

fn is_elsewhere(src: &str) -> bool {
    let src = src.trim();
    starts(src, "http://") || starts(src, "https://")
}

/// A size in pixels or in a part of what is around it.
fn size(value: &str) -> Option<&str> {
    let value = value.trim();
    let digits = value.trim_end_matches('%').trim_end_matches("px");
    let number: f32 = digits.parse().ok()?;
    (0.0..=4000.0).contains(&number).then_some(value)
}

/// Whether an image says that it is not for looking at.
fn is_pixel(element: &Element) -> bool {
    let small = |name: &str| {
        let value = element.get(name).or_else(|| element.style.get(name));
        let value = value.map(|value| value.trim().trim_end_matches("px"));
        value
            .and_then(|value| value.parse::<f32>().ok())
            .is_some_and(|size| size <= PIXELS)
    };
    small("width") && small("height")
}

/// A link that is not closed.
struct Link {
    target: Option<Target>,
    text: String,
}

struct Writer<'a> {
    html: String,
    /// The attributes of what stands for the body.
    body: String,
    link: Option<Link>,
    remote: usize,
    is_colored: bool,
    is_full: bool,
    asked: &'a Asked,
    pictures: &'a Pictures<'a>,
}

impl Writer<'_> {
    fn image(&mut self, element: &Element) {
        let src = element.get("src").unwrap_or("").trim();
        let shown = if let Some(index) = self.pictures.find(src) {
            format!("cid:{index}")
        } else if is_elsewhere(src) {
            self.remote += usize::from(!is_pixel(element));
            match &self.asked.remote {
                Some(link) if self.remote <= REMOTE => link(src),
                _ => return self.placeholder(element),
            }
        } else if is_data(src) {
            src.to_owned()
        } else {
            return self.placeholder(element);
        };
        let _ = write!(self.html, "<img src=\"{}\"", escaped(&shown));
        self.common(element);
        for name in ["alt", "border"] {
            if let Some(value) = element.get(name) {
                let _ = write!(self.html, " {name}=\"{}\"", escaped(&visible::line(value)));
            }
        }
        self.html.push('>');
    }

    /// What stands where an image is not shown; nothing, where its author says that it says nothing.
    fn placeholder(&mut self, element: &Element) {
        let alt = element
            .get("alt")
            .map(|alt| visible::line(alt).trim().to_owned());
        let alt = match alt {
            Some(alt) if alt.is_empty() => return,
            None if is_pixel(element) => return,
            alt => alt.unwrap_or_else(|| self.asked.words.image.to_owned()),
        };
        if let Some(link) = &mut self.link {
            link.text.push(' ');
        }
        let _ = write!(
            self.html,
            "<output class=\"image\" dir=\"auto\">{}</output>",
            escaped(&alt)
        );
    }

    /// The attributes that any element may have.
    fn common(&mut self, element: &Element) {
        if !element.style.is_empty() {
            self.is_colored |= element.style.is_colored();
            let _ = write!(self.html, " style=\"{}\"", escaped(&element.style.css()));
        }
        for (name, value) in [("class", &element.classes), ("id", &element.id)] {
            // What stands for the body has the document's id.
            if !value.is_empty() && (name != "id" || element.tag.kind != Kind::Body) {
                let _ = write!(self.html, " {name}=\"{}\"", escaped(value));
            }
        }
        let word = |value: &str| {
            value.len() < 40
                && value
                    .bytes()
                    .all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
        };
        for (name, value) in element.attributes() {
            let number = value.trim().parse::<u32>();
            let value: Cow<'_, str> = match (name, element.tag.kind) {
                ("align" | "valign" | "dir" | "lang", _) if word(value) => value.into(),
                ("width" | "height", _) => match size(value) {
                    Some(value) => value.into(),
                    None => continue,
                },
                ("title", _) => visible::line(value),
                ("face", Kind::Formatting) if value.len() < 200 => value.into(),
                ("size", Kind::Formatting) if value.len() < 4 => value.into(),
                ("border" | "cellpadding" | "cellspacing", Kind::Table)
                    if number.as_ref().is_ok_and(|number| *number <= 100) =>
                {
                    value.trim().into()
                }
                // A browser makes a grid of what they span.
                ("colspan" | "rowspan", Kind::Cell) => match number {
                    Ok(number) => number.clamp(1, 100).to_string().into(),
                    Err(_) => continue,
                },
                ("start", Kind::List) if number.is_ok() => value.trim().into(),
                ("type", Kind::List | Kind::Item) if word(value) => value.into(),
                ("reversed", Kind::List) | ("open", Kind::Block) => "".into(),
                _ => continue,
            };
            let _ = write!(self.html, " {name}=\"{}\"", escaped(&value));
        }
    }
}

impl Sink for Writer<'_> {
    fn open(&mut self, element: &Element) {
        if self.html.len() > OCTETS {
            self.is_full = true;
            return;
        }
        match element.tag.name {
            "img" => return self.image(element),
            "body" => {
                let outer = std::mem::take(&mut self.html);
                self.common(element);
                self.body = std::mem::replace(&mut self.html, outer);
                return;
            }
            "a" => {
                let target = element.get("href").and_then(Target::of);
                self.html += "<a";
                if let Some(target) = &target {
                    let _ = write!(self.html, " href=\"{}\"", escaped(&target.href));
                }
                let text = String::new();
                self.link = Some(Link { target, text });
            }
            name => {
                self.html.push('<');
                self.html += name;
            }
        }
        self.common(element);
        self.html.push('>');
    }

    fn text(&mut self, text: &str) {
        if self.is_full {
            return;
        }
        let text = visible::text(text);
        if let Some(link) = self.link.as_mut().filter(|link| link.text.len() < LINK) {
            link.text += html::beginning(&text, LINK);
        }
        self.html.extend(text.chars().map(marked));
    }

    fn close(&mut self, tag: Tag) {
        // What stays open where there is no room ends with the part.
        if self.is_full || tag.name == "body" {
            return;
        }
        let _ = write!(self.html, "</{}>", tag.name);
        if tag.name == "a"
            && let Some(link) = self.link.take()
            && let Some(place) = link
                .target
                .and_then(|target| target.contradicts(&link.text))
        {
            let title = escaped(self.asked.words.leads_to);
            let _ = write!(
                self.html,
                "<output class=\"host\" dir=\"ltr\" title=\"{title}\">{}</output>",
                escaped(&place)
            );
        }
    }
}

/// Whether an image is within its own address, of a kind that is nothing but a picture.
fn is_data(src: &str) -> bool {
    let kinds = ["png", "jpeg", "jpg", "gif", "webp", "avif", "bmp"];
    kinds
        .into_iter()
        .any(|kind| starts(src, &format!("data:image/{kind};base64,")))
}

/// Through ammonia.
fn fenced(html: &str, remote: &Remote, pictures: &Pictures<'_>) -> String {
    let mut builder = Builder::default();
    builder
        .add_tags(["font", "center", "big", "u", "output"])
        .rm_tags(["map", "area"])
        .add_generic_attributes([
            "style", "class", "id", "align", "valign", "width", "height", "dir",
        ])
        .add_tag_attributes("font", ["face", "size"])
        .add_tag_attributes("table", ["border", "cellpadding", "cellspacing"])
        .add_tag_attributes("img", ["border"])
        .add_tag_attributes("ol", ["reversed", "start", "type"])
        .add_tag_attributes("ul", ["type"])
        .add_tag_attributes("li", ["type"])
        .add_tag_attributes("details", ["open"])
        .filter_style_properties(HashSet::from_iter(html::properties()))
        .url_schemes(HashSet::from(["http", "https", "mailto", "cid", "data"]))
        // The filter below lets no URL through but what it names.
        .url_relative(UrlRelative::PassThrough)
        .link_rel(Some("noopener noreferrer nofollow"))
        .set_tag_attribute_value("a", "target", "_blank");
    let asks = remote.is_some();
    let urls = pictures.urls();
    builder.attribute_filter(
        move |element, attribute, value| match (element, attribute) {
            ("img", "src") => match value.strip_prefix("cid:") {
                Some(index) => urls.get(&index.parse().ok()?).cloned().map(Cow::Owned),
                None => (is_data(value) || (asks && is_own(value))).then_some(Cow::Borrowed(value)),
            },
            ("a", "href") => Target::of(value).map(|target| Cow::Owned(target.href)),
            (
                _,
                "href" | "src" | "cite" | "background" | "srcset" | "action" | "longdesc"
                | "usemap" | "data",
            ) => None,
            _ => Some(Cow::Borrowed(value)),
        },
    );
    restored(&builder.clean(html).to_string())
}

/// With the references that [`MARKS`] stand for: whatever is around one, it is text.
fn restored(html: &str) -> String {
    let mut all = String::with_capacity(html.len());
    for c in html.chars() {
        match MARKS.iter().find(|(mark, _)| *mark == c) {
            Some((_, reference)) => all += reference,
            None if PLACES.contains(&c) => all.push(moved(c, &PLACES, &SIGNS)),
            None => all.push(c),
        }
    }
    all
}

/// Whether an address is that of an image which this server fetches.
fn is_own(value: &str) -> bool {
    value.starts_with('/') && !value.starts_with("//") && value.contains("/image?u=")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::Language;
    use hikyaku_message::Structure;
    use std::sync::Arc;

    fn cleaned(html: &str, remote: bool) -> Cleaned {
        let link: Remote =
            remote.then(|| Arc::new(|url: &str| format!("/image?u={}", url.len())) as _);
        let asked = Asked {
            remote: link,
            words: Language::English.words(),
        };
        let structure = Structure::of(b"");
        clean(
            html,
            &Limits::default(),
            &asked,
            &Pictures::of(b"", &structure),
            "m",
        )
    }

    fn inner(html: &str) -> String {
        let all = cleaned(html, false).html;
        let inner = all
            .strip_prefix("<div id=\"m\" dir=\"auto\">")
            .and_then(|all| all.strip_suffix("</div>"));
        inner.map_or(all.clone(), ToOwned::to_owned)
    }

    const REL: &str = "target=\"_blank\" rel=\"noopener noreferrer nofollow\"";

    #[test]
    fn characters_arrive_as_they_left() {
        // All but the soft hyphen, which is not seen and is left out of every text.
        let signs: String = SIGNS.filter(|c| *c != '\u{ad}').collect();
        let shown = inner(&format!("<p>{signs} &lt;b&gt; &amp;amp; &nbsp;«x»</p>"));
        let expected = format!("{signs} &lt;b&gt; &amp;amp; \u{a0}«x»");
        assert!(shown.contains(&expected), "{shown}");
        // What is used on the way is nobody's text.
        let shown = inner("<p>a\u{10ff01}b\u{fdd1}c</p>");
        assert!(shown.contains("a\u{fffd}b\u{fffd}c"), "{shown}");
    }

    #[test]
    fn what_is_harmless_stays() {
        for (html, expected) in [
            ("<p style=\"color: red; position: fixed\">Hi <b>you</b>", "<p style=\"color:red\">Hi <b>you</b></p>".to_owned()),
            ("<a href='https://a.test'>there</a>", format!("<a href=\"https://a.test/\" {REL}>there</a>")),
            ("<a href='javascript:x'>there</a>", format!("<a {REL}>there</a>")),
            ("<table width=600px cellpadding=4 onclick=x><td colspan=9999 rowspan=x>a", "<table width=\"600px\" cellpadding=\"4\"><tbody><tr><td colspan=\"100\">a</td></tr></tbody></table>".to_owned()),
            ("<font color=red size=+1 face=Arial>a", "<font style=\"color:red\" size=\"+1\" face=\"Arial\">a</font>".to_owned()),
            ("<ol start=3 type=a><li>a", "<ol start=\"3\" type=\"a\"><li>a</li></ol>".to_owned()),
            ("a\u{202e}b", "ab".to_owned()),
            ("1 &lt; 2 &amp;amp; &lt;script&gt; &#xfdd1;b>", "1 &lt; 2 &amp;amp; &lt;script&gt; \u{fffd}b&gt;".to_owned()),
            ("<b title='&#xfdd1;script&#xfdd2;'>a", "<b title=\"&lt;script&gt;\">a</b>".to_owned()),
            ("<bdo dir=rtl>a</bdo>", "<bdi dir=\"rtl\">a</bdi>".to_owned()),
            ("<p style='font-family:\"A B\";color:#fff!important;background:#000'>a", "<p style=\"font-family:&quot;A B&quot;;color:#fff ! important;background-color:#000\">a</p>".to_owned()),
            ("<style>.a{color:red}</style><p class='a b' id=x>a", "<p class=\"m-a\">a</p>".to_owned()),
        ] {
            // Attributes are a set, whose order says nothing.
            let sorted = |text: &str| {
                let mut all: Vec<_> = text.split([' ', '>', '<']).map(ToOwned::to_owned).collect();
                all.sort();
                all
            };
            let got = inner(html);
            assert_eq!(sorted(&got), sorted(&expected), "{html}: {got}");
        }
    }

    #[test]
    fn images_elsewhere_say_that_they_are_not_shown() {
        for (html, expected) in [
            (
                "<img src=https://t.test/1 alt=Logo>",
                "<output class=\"image\" dir=\"auto\">Logo</output>",
            ),
            (
                "<img src=https://t.test/1>",
                "<output class=\"image\" dir=\"auto\">Image</output>",
            ),
            ("<img src=https://t.test/1 alt=''>", ""),
            ("<img src=https://t.test/1 width=1 height=1>", ""),
            (
                "<img src=https://t.test/1 style='width:1px;height:1px'>",
                "",
            ),
            (
                "<img src=//t.test/1 alt=x>",
                "<output class=\"image\" dir=\"auto\">x</output>",
            ),
            (
                "<img src='data:image/svg+xml,x' alt=x>",
                "<output class=\"image\" dir=\"auto\">x</output>",
            ),
            (
                "<img srcset='https://t.test/1 2x' alt=x>",
                "<output class=\"image\" dir=\"auto\">x</output>",
            ),
        ] {
            assert_eq!(inner(html), expected, "{html}");
        }
        let shown = cleaned("<img src=https://t.test/1 alt=x>", true);
        assert!(
            shown.html.contains("<img src=\"/image?u=16\" alt=\"x\">"),
            "{}",
            shown.html
        );
        assert!(!inner("<img src='/image?u=1'>").contains("src"));
        let many = cleaned(&"<img src=https://t.test/1>".repeat(400), true);
        assert_eq!(many.html.matches("<img").count(), REMOTE);
    }

    #[test]
    fn a_link_that_misleads_has_its_host_beside_it() {
        let html = inner("<a href=https://evil.test/>https://<b>bank</b>.test</a>");
        assert!(html.ends_with("</a><output class=\"host\" dir=\"ltr\" title=\"This link leads to:\">evil.test</output>"), "{html}");
        assert!(!inner("<a href=https://bank.test/>bank.test</a>").contains("output"));
        // A message cannot say so itself, nor hide it.
        assert_eq!(inner("<output class=host>bank.test</output>"), "bank.test");
        let styled = cleaned(
            "<style>output{display:none} *{display:none} .host{display:none}</style>x",
            false,
        );
        assert!(
            !styled.css.contains("output{") && styled.css.contains(":not(output)"),
            "{}",
            styled.css
        );
    }

    #[test]
    fn the_body_is_an_element_of_the_document() {
        let all = cleaned(
            "<style>body{margin:0}.x{color:red}</style><body bgcolor=#123456 text=white class=x>a",
            false,
        );
        assert!(all.html.starts_with("<div id=\"m\" dir=\"auto\" style=\"background-color:#123456;color:white\" class=\"m-x\">"), "{}", all.html);
        assert!(all.is_colored);
        assert_eq!(all.css, "#m{margin:0}#m .m-x{color:red}");
        assert!(!cleaned("<p>a", false).is_colored);
    }
}

//! HTML mail, without what could run or fetch anything. It is shown in a sandboxed frame from a document
//! of its own, whose policy forbids all of that once more.

use ammonia::{Builder, UrlRelative};
use base64::Engine as _;
use hikyaku_client::show;
use mailstore::message::Structure;
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// So many octets of images within a message are shown with it.
const IMAGES: usize = 4 * 1024 * 1024;

/// The policy of the frame. Styles are those that [`clean`] has let through.
pub(crate) const POLICY_WITH_IMAGES: &str = "default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox";

/// As [`POLICY_WITH_IMAGES`], where none of elsewhere are asked for.
pub(crate) const POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox";

/// What a message looks like without any style of its own, on the page of the frame.
const STYLE: &str = "html{font:16px/1.55 system-ui,sans-serif;color:#222;background:#fff}body{margin:1rem;overflow-wrap:anywhere}\
    img{max-width:100%;height:auto}table{max-width:100%}blockquote{margin:0 0 0 .5rem;padding-left:.75rem;border-left:3px solid #ccc}pre{white-space:pre-wrap}";

/// Styles that move nothing out of its place and name no other thing.
const STYLES: [&str; 40] = [
    "background-color",
    "border",
    "border-bottom",
    "border-bottom-color",
    "border-collapse",
    "border-color",
    "border-left",
    "border-radius",
    "border-right",
    "border-spacing",
    "border-style",
    "border-top",
    "border-width",
    "color",
    "direction",
    "font-family",
    "font-size",
    "font-style",
    "font-weight",
    "height",
    "letter-spacing",
    "line-height",
    "list-style-type",
    "margin",
    "margin-bottom",
    "margin-left",
    "margin-right",
    "margin-top",
    "max-width",
    "padding",
    "padding-bottom",
    "padding-left",
    "padding-right",
    "padding-top",
    "text-align",
    "text-decoration",
    "text-indent",
    "vertical-align",
    "white-space",
    "width",
];

/// How an image elsewhere is written, when it is asked for.
pub(crate) type Remote = Option<Arc<dyn Fn(&str) -> String + Send + Sync>>;

/// The document of the frame.
pub(crate) fn document(message: &[u8], remote: &Remote) -> String {
    let structure = Structure::of(message);
    let images = Arc::new(images(message, &structure));
    let mut body = String::new();
    for index in show::shown_parts(&structure, true) {
        let Some(part) = structure.get(index) else {
            continue;
        };
        let text = show::text_of(message, part);
        if part.content.is("text", "html") {
            body += &clean(&text, &images, remote);
        } else {
            body += "<pre>";
            body += &ammonia::clean_text(&text);
            body += "</pre>";
        }
    }
    format!(
        "<!doctype html><html><head><meta charset=\"utf-8\"><style>{STYLE}</style></head><body>{body}</body></html>"
    )
}

/// Whether there is HTML to be shown.
pub(crate) fn has_html(message: &[u8]) -> bool {
    let structure = Structure::of(message);
    let shown = show::shown_parts(&structure, true);
    shown.into_iter().any(|index| {
        structure
            .get(index)
            .is_some_and(|part| part.content.is("text", "html"))
    })
}

/// Whether it names images elsewhere.
pub(crate) fn has_remote_images(message: &[u8]) -> bool {
    let asked = Arc::new(AtomicBool::new(false));
    let noted = Arc::clone(&asked);
    let note = move |_: &str| {
        noted.store(true, Ordering::Relaxed);
        String::new()
    };
    document(message, &Some(Arc::new(note)));
    asked.load(Ordering::Relaxed)
}

/// Images in the message, by their Content-ID, as `data:` URLs.
fn images(message: &[u8], structure: &Structure) -> HashMap<String, String> {
    let (mut all, mut octets) = (HashMap::new(), 0);
    for part in structure.parts() {
        let kind = part.content.subtype.to_ascii_lowercase();
        let harmless = matches!(&kind[..], b"png" | b"jpeg" | b"gif" | b"webp");
        let (Some(id), true) = (
            &part.content.id,
            harmless && part.content.kind.eq_ignore_ascii_case(b"image"),
        ) else {
            continue;
        };
        let decoded = show::decoded(message, part);
        octets += decoded.len();
        if octets > IMAGES {
            break;
        }
        let id = String::from_utf8_lossy(id)
            .trim()
            .trim_start_matches('<')
            .trim_end_matches('>')
            .to_owned();
        let data = base64::engine::general_purpose::STANDARD.encode(decoded);
        all.insert(
            id,
            format!(
                "data:image/{};base64,{data}",
                String::from_utf8_lossy(&kind)
            ),
        );
    }
    all
}

/// HTML with nothing in it but text, its shape, links out, and images of the message itself.
pub(crate) fn clean(html: &str, images: &Arc<HashMap<String, String>>, remote: &Remote) -> String {
    let mut builder = Builder::default();
    builder
        .add_tags(["font", "center", "big", "u"])
        .rm_tags(["map", "area"])
        .add_generic_attributes([
            "style", "align", "valign", "bgcolor", "color", "width", "height", "dir",
        ])
        .add_tag_attributes("font", ["face", "size"])
        .add_tag_attributes("table", ["border", "cellpadding", "cellspacing"])
        .filter_style_properties(HashSet::from(STYLES))
        .url_schemes(HashSet::from(["http", "https", "mailto", "cid", "data"]))
        // The filter below lets no URL through but what it names.
        .url_relative(UrlRelative::PassThrough)
        .link_rel(Some("noopener noreferrer nofollow"))
        .set_tag_attribute_value("a", "target", "_blank");
    let (images, remote) = (Arc::clone(images), remote.clone());
    builder.attribute_filter(move |element, attribute, value| {
        attribute_of(element, attribute, value, &images, &remote)
    });
    builder.clean(html).to_string()
}

fn attribute_of<'a>(
    element: &str,
    attribute: &str,
    value: &'a str,
    images: &HashMap<String, String>,
    remote: &Remote,
) -> Option<Cow<'a, str>> {
    let starts = |prefix: &str| {
        value
            .get(..prefix.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(prefix))
    };
    match (element, attribute) {
        ("img", "src") => {
            if starts("cid:") {
                return images
                    .get(value.get(4..)?)
                    .map(|data| Cow::Owned(data.clone()));
            }
            if starts("http://") || starts("https://") {
                return remote.as_ref().map(|link| Cow::Owned(link(value)));
            }
            let kinds = [
                "data:image/png;base64,",
                "data:image/jpeg;base64,",
                "data:image/gif;base64,",
                "data:image/webp;base64,",
            ];
            kinds
                .into_iter()
                .any(starts)
                .then_some(Cow::Borrowed(value))
        }
        ("a", "href") => ["http://", "https://", "mailto:"]
            .into_iter()
            .any(starts)
            .then_some(Cow::Borrowed(value)),
        (
            _,
            "href" | "src" | "cite" | "background" | "srcset" | "action" | "longdesc" | "usemap"
            | "data",
        ) => None,
        // What names another thing, in whatever spelling, is no style.
        (_, "style") if value.contains("url") || value.contains('\\') || value.contains('@') => {
            None
        }
        _ => Some(Cow::Borrowed(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_harmless_stays() {
        let html = r#"<p style="color: red; position: fixed">Hi <b>you</b> <a href="https://a.test/">there</a></p>"#;
        let cleaned = clean(html, &Arc::default(), &None);
        assert!(
            cleaned.contains("color:red") && !cleaned.contains("position"),
            "{cleaned}"
        );
        assert!(
            cleaned.contains("<b>you</b>") && cleaned.contains(r#"href="https://a.test/""#),
            "{cleaned}"
        );
        assert!(
            cleaned.contains("noopener") && cleaned.contains("_blank"),
            "{cleaned}"
        );
    }

    #[test]
    fn images_of_the_message_are_shown() {
        let message = "Content-Type: multipart/related; boundary=a\r\n\r\n--a\r\nContent-Type: text/html\r\n\r\n\
            <img src=\"cid:x@y\"><img src=\"https://track.test/1.png\">\r\n--a\r\nContent-Type: image/png\r\nContent-ID: <x@y>\r\n\
            Content-Transfer-Encoding: base64\r\n\r\niVBORw==\r\n--a--\r\n";
        let document = document(message.as_bytes(), &None);
        assert!(
            document.contains("data:image/png;base64,iVBORw=="),
            "{document}"
        );
        assert!(!document.contains("track"), "{document}");
    }
}

//! HTML mail, without what could run or fetch anything. It is shown in a sandboxed frame from a document
//! of its own, whose policy forbids all of that once more.
//!
//! Nothing of it takes long, whatever a message holds: it is read in one pass of bounded depth and size
//! ([`hikyaku_client::html`]), and beside the threads that serve everybody (see `aside`).

mod clean;
mod pictures;

use hikyaku_client::html::Limits;
use hikyaku_client::{show, visible};
use hikyaku_message::Structure;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hikyaku_client::html::links;
pub(crate) use links::linked;

use crate::words::Words;
use pictures::Pictures;

/// How long HTML is read; what was not reached then is left out.
const PATIENCE: Duration = Duration::from_secs(2);
/// The most octets of plain text that are shown.
const TEXT: usize = 1024 * 1024;

/// The policy of the frame. Styles are those that [`document`] has let through. It is of the same origin as the page
/// around it, whose script makes it as high as its content; that is safe since no script runs in it, by `script-src`
/// and by the sandbox.
pub(crate) const POLICY_WITH_IMAGES: &str = "default-src 'none'; script-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'self'; sandbox allow-same-origin allow-popups allow-popups-to-escape-sandbox";

/// As [`POLICY_WITH_IMAGES`], where none of elsewhere are asked for.
pub(crate) const POLICY: &str = "default-src 'none'; script-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'self'; sandbox allow-same-origin allow-popups allow-popups-to-escape-sandbox";

/// What a message looks like without any style of its own, on the page of the frame.
const STYLE: &str = "html{font:16px/1.55 system-ui,'Hiragino Sans','Noto Sans JP','Yu Gothic UI',sans-serif;color:#222;background:#fff;color-scheme:light}\
    body{margin:0;display:flow-root;overflow-wrap:break-word}body>div,body>pre{padding:1rem;margin:0;overflow-x:auto}body>div>:first-child{margin-top:0}body>div>:last-child{margin-bottom:0}\
    img{max-width:100%;height:auto}table{max-width:100%}blockquote{margin:0 0 0 .5rem;padding-left:.75rem;border-left:3px solid #ccc}\
    pre{white-space:pre-wrap;overflow-wrap:anywhere;font:inherit}a{color:#1a4f8f}\
    output.image{display:inline-block!important;border:1px dashed #888;border-radius:.25rem;padding:0 .35rem;color:#555;background:#f4f4f4;font:13px/1.6 system-ui,sans-serif}\
    output.host{display:inline-block!important;border:1px solid #8a1f11;border-radius:.25rem;margin:0 .25rem;padding:0 .35rem;color:#8a1f11;background:#fdeae4;font:bold 13px/1.5 system-ui,sans-serif}output.host::before{content:'\\2192\\a0'}";

/// Where a message has chosen no colours, the page's own are worn in the dark.
const DARK: &str = "@media (prefers-color-scheme:dark){html{color:#ede6dc;background:#242019;color-scheme:dark}a{color:#f0907b}\
    blockquote{border-color:#5a5146}output.image{color:#b3a798;background:#2e2820}output.host{color:#ffb4a2;background:#3d1f18;border-color:#ffb4a2}}";

/// How an image elsewhere is written, when it is asked for.
pub(crate) type Remote = Option<Arc<dyn Fn(&str) -> String + Send + Sync>>;

/// How a message is to be shown.
pub(crate) struct Asked {
    pub(crate) remote: Remote,
    pub(crate) words: &'static Words,
}

/// What a page says of a message's text and HTML.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) has_html: bool,
    /// Images elsewhere.
    pub(crate) remote: usize,
    /// Whether only the beginning is shown.
    pub(crate) is_cut: bool,
}

/// What is left of [`Limits`] for the next part of a message.
struct Room(Limits);

impl Room {
    fn new() -> Self {
        Self(Limits {
            until: Some(Instant::now() + PATIENCE),
            keep_revealed: true,
            ..Limits::default()
        })
    }

    fn take(&mut self, text: &str) {
        self.0.octets = self.0.octets.saturating_sub(text.len());
    }
}

/// What there is to be shown.
pub(crate) fn look(message: &[u8]) -> Look {
    let structure = Structure::of(message);
    let (mut look, mut room) = (Look::default(), Room::new());
    for index in show::shown(message, &structure, true) {
        let Some(part) = structure.get(index) else {
            continue;
        };
        if part.content.is("text", "html") {
            let text = show::text_of(message, part);
            let (remote, is_cut) = clean::remote_images(&text, &room.0);
            room.take(&text);
            look.has_html = true;
            look.remote += remote;
            look.is_cut |= is_cut;
        }
    }
    look
}

/// The document of the frame.
pub(crate) fn document(message: &[u8], asked: &Asked) -> String {
    let structure = Structure::of(message);
    let pictures = Pictures::of(message, &structure);
    let (mut body, mut css, mut room) = (String::new(), String::new(), Room::new());
    let mut is_colored = false;
    for index in show::shown(message, &structure, true) {
        let Some(part) = structure.get(index) else {
            continue;
        };
        let text = show::text_of(message, part);
        if part.content.is("text", "html") {
            let cleaned = clean::clean(&text, &room.0, asked, &pictures, &format!("part-{index}"));
            body += &cleaned.html;
            css += &cleaned.css;
            is_colored |= cleaned.is_colored;
        } else {
            let text = hikyaku_client::html::beginning(&text, room.0.octets);
            let _ = write!(
                body,
                "<pre dir=\"auto\">{}</pre>",
                linked(&visible::text(text))
            );
        }
        body.push('\n');
        room.take(&text);
    }
    let dark = if is_colored { "" } else { DARK };
    format!(
        "<!doctype html><html lang=\"{}\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <style>{STYLE}{dark}</style><style>{css}</style></head><body>{body}</body></html>",
        asked.words.code
    )
}

/// The text of a message as HTML for a page, and whether that is only its beginning.
pub(crate) fn text(message: &[u8]) -> (String, bool) {
    let text = show::text(message);
    let shown = hikyaku_client::html::beginning(&text, TEXT);
    (linked(shown), shown.len() < text.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::Language;

    fn shown(message: &str) -> String {
        let asked = Asked {
            remote: None,
            words: Language::English.words(),
        };
        document(message.as_bytes(), &asked)
    }

    #[test]
    fn images_of_the_message_are_shown() {
        let message = "Content-Type: multipart/related; boundary=a\r\n\r\n--a\r\nContent-Type: text/html\r\n\r\n\
            <img src=\"cid:x@y\"><img src=\"https://track.test/1.png\">\r\n--a\r\nContent-Type: image/png\r\nContent-ID: <x@y>\r\n\
            Content-Transfer-Encoding: base64\r\n\r\niVBORw==\r\n--a--\r\n";
        let document = shown(message);
        assert!(
            document.contains("data:image/png;base64,iVBORw=="),
            "{document}"
        );
        assert!(!document.contains("track"), "{document}");
        let look = look(message.as_bytes());
        assert_eq!((look.has_html, look.remote, look.is_cut), (true, 1, false));
    }

    #[test]
    fn what_is_long_is_cut_and_says_so() {
        let long = format!("Content-Type: text/html\r\n\r\n{}", "<p>a".repeat(300_000));
        let look = look(long.as_bytes());
        assert!(look.is_cut && look.has_html);
        assert!(shown(&long).len() < 3 * 1024 * 1024);
        let plain = format!("\r\n{}", "a\r\n".repeat(900_000));
        let (text, is_cut) = text(plain.as_bytes());
        assert!(is_cut && text.len() <= TEXT);
    }

    #[test]
    fn dark_is_for_what_chose_no_colours() {
        let html = |body: &str| shown(&format!("Content-Type: text/html\r\n\r\n{body}"));
        assert!(html("<p>a").contains("prefers-color-scheme"));
        for colored in [
            "<p style='background:#fff'>a",
            "<style>p{color:red}</style><p>a",
            "<td bgcolor=#fff>a<table><td bgcolor=white>a",
        ] {
            assert!(!html(colored).contains("prefers-color-scheme"), "{colored}");
        }
    }
}

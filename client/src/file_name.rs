//! Makes file names that strangers chose safe to write to a disk.

use unicode_segmentation::UnicodeSegmentation as _;

use crate::visible;

/// The most octets of a name: file systems take 255, and a number may have to go into it.
const OCTETS: usize = 200;
/// The most octets of what stands behind the last full stop, to be kept when a name is cut.
const ENDING: usize = 16;

/// Returns the name under which an attachment is written to a disk, without a folder in it.
///
/// It is one that any system can hold, and that does what it looks like: no folders, no leading full stop or dash, no
/// device's name, nothing that turns or hides a part of it, no more than 200 octets. `number` names what has no name.
/// A message ends in `.eml`, so that it opens as one.
#[must_use]
pub fn on_disk(name: &str, media_type: &str, number: usize) -> String {
    let name = visible::line(name);
    let last = name.rsplit(['/', '\\']).next().unwrap_or("");
    let fit = |c: char| match c {
        '<' | '>' | ':' | '"' | '|' | '?' | '*' => '_',
        c if c.is_whitespace() => ' ',
        other => other,
    };
    let fit: String = last.chars().map(fit).collect();
    let fit = fit
        .trim_start_matches(['.', '-', '~', ' '])
        .trim_end_matches(['.', ' ']);
    let is_message = media_type.eq_ignore_ascii_case("message/rfc822");
    let (stem, mut ending) = match fit.rsplit_once('.') {
        Some((stem, ending)) if !stem.is_empty() && ending.len() <= ENDING => {
            (stem, format!(".{ending}"))
        }
        _ => (fit, String::new()),
    };
    let mut stem = stem.to_owned();
    if stem.is_empty() {
        stem = format!("part-{number}");
        ending = usual(media_type).to_owned();
    }
    if is_message && !ending.eq_ignore_ascii_case(".eml") {
        stem += &ending;
        ending = ".eml".to_owned();
    }
    if is_device(&stem) {
        stem.insert(0, '_');
    }
    let room = OCTETS - ending.len();
    if stem.len() > room {
        let mut cut = String::new();
        for cluster in stem.graphemes(true) {
            if cut.len() + cluster.len() > room {
                break;
            }
            cut.push_str(cluster);
        }
        stem = cut.trim_end_matches(['.', ' ']).to_owned();
    }
    stem + &ending
}

/// Returns the name with a number in it, for when the name itself is taken.
#[must_use]
pub fn numbered(name: &str, number: usize) -> String {
    match name.rsplit_once('.') {
        Some((stem, ending)) if !stem.is_empty() => format!("{stem} ({number}).{ending}"),
        _ => format!("{name} ({number})"),
    }
}

/// The names that Windows has for devices, whatever follows a full stop.
fn is_device(stem: &str) -> bool {
    let first = stem
        .split('.')
        .next()
        .unwrap_or("")
        .trim_end()
        .to_ascii_uppercase();
    let mut letters = first.chars();
    let kind: String = letters.by_ref().take(3).collect();
    match (kind.as_str(), letters.next(), letters.next()) {
        ("CON" | "PRN" | "AUX" | "NUL", None, None) => true,
        ("COM" | "LPT", Some(digit), None) => digit.is_ascii_digit() || "¹²³".contains(digit),
        _ => matches!(first.as_str(), "CONIN$" | "CONOUT$" | "CLOCK$"),
    }
}

/// The ending of files of a type.
fn usual(media_type: &str) -> &'static str {
    match media_type.to_ascii_lowercase().as_str() {
        "text/plain" => ".txt",
        "text/html" => ".html",
        "text/calendar" => ".ics",
        "text/csv" => ".csv",
        "image/png" => ".png",
        "image/jpeg" | "image/jpg" => ".jpg",
        "image/gif" => ".gif",
        "image/webp" => ".webp",
        "application/pdf" => ".pdf",
        "application/zip" => ".zip",
        "message/rfc822" => ".eml",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_made_fit_for_a_disk() {
        for (name, media_type, fit) in [
            ("report.pdf", "application/pdf", "report.pdf"),
            ("報告書.pdf", "application/pdf", "報告書.pdf"),
            ("../../etc/passwd", "text/plain", "passwd"),
            ("C:\\Windows\\system.ini", "text/plain", "system.ini"),
            (".bashrc", "text/plain", "bashrc"),
            ("..", "text/plain", "part-7.txt"),
            ("-rf", "text/plain", "rf"),
            ("~root", "text/plain", "root"),
            (" . x.txt. . ", "text/plain", "x.txt"),
            ("a:b?.txt", "text/plain", "a_b_.txt"),
            ("CON", "text/plain", "_CON"),
            ("nul.tar.gz", "application/gzip", "_nul.tar.gz"),
            ("Com1.txt", "text/plain", "_Com1.txt"),
            ("lpt².log", "text/plain", "_lpt².log"),
            ("console.txt", "text/plain", "console.txt"),
            (
                "invoice\u{202e}fdp.exe",
                "application/pdf",
                "invoicefdp.exe",
            ),
            ("two\nlines\u{200b}.txt", "text/plain", "two lines.txt"),
            ("", "message/rfc822", "part-7.eml"),
            ("Re: tea", "message/rfc822", "Re_ tea.eml"),
            ("mail.txt", "message/rfc822", "mail.txt.eml"),
            ("mail.EML", "message/rfc822", "mail.EML"),
            ("", "application/octet-stream", "part-7"),
            ("\0\u{1b}", "image/jpeg", "part-7.jpg"),
        ] {
            assert_eq!(on_disk(name, media_type, 7), fit, "{name:?}");
        }
        let long = on_disk(
            &format!("{}.tar.gz", "長".repeat(500)),
            "application/gzip",
            1,
        );
        assert!(long.len() <= OCTETS && long.ends_with("長.gz"), "{long}");
        assert_eq!(numbered("a.tar.gz", 2), "a.tar (2).gz");
        assert_eq!(numbered("a", 3), "a (3)");
    }

    proptest! {
        #[test]
        fn no_name_leads_elsewhere(name in any::<String>(), number in 1_usize..1000) {
            let fit = on_disk(&name, "message/rfc822", number);
            let held = ['/', '\\', '\0', '\n', ':', '\u{202e}'];
            prop_assert!(fit.len() <= OCTETS);
            prop_assert!(fit.to_lowercase().ends_with(".eml"));
            prop_assert!(!fit.starts_with(['.', '-', '~', ' ']));
            prop_assert!(!fit.contains(held));
        }
    }
}

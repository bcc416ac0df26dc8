//! Apple's configuration profile: a file that a person opens, and that sets up Mail.

use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;

use super::offers::{Kind, Offers};
use super::xml::escaped;

/// The profile for an address; `None` when there is not both a port to read mail and one to send it.
pub(crate) fn profile(offers: &Offers, address: &str) -> Option<String> {
    let incoming = offers
        .best(Kind::Imap)
        .or_else(|| offers.best(Kind::Pop3))?;
    let outgoing = offers.best(Kind::Smtp)?;
    let kind = match incoming.kind {
        Kind::Pop3 => "EmailTypePOP",
        _ => "EmailTypeIMAP",
    };
    // The same for the same address, so that a second profile takes the place of the first.
    let (inner, outer) = (identity("mail", address), identity("profile", address));
    let identifier = format!("{}.{outer}", offers.hostname);
    let account = [
        ("EmailAccountType", kind),
        ("EmailAddress", address),
        ("EmailAccountDescription", address),
        ("IncomingMailServerAuthentication", "EmailAuthPassword"),
        ("IncomingMailServerHostName", &offers.hostname),
        ("IncomingMailServerUsername", address),
        ("OutgoingMailServerAuthentication", "EmailAuthPassword"),
        ("OutgoingMailServerHostName", &offers.hostname),
        ("OutgoingMailServerUsername", address),
        ("PayloadType", "com.apple.mail.managed"),
        ("PayloadIdentifier", &format!("{identifier}.mail")),
        ("PayloadUUID", &inner),
        ("PayloadDisplayName", address),
    ];
    let profile = [
        ("PayloadType", "Configuration"),
        ("PayloadIdentifier", &identifier),
        ("PayloadUUID", &outer),
        ("PayloadDisplayName", address),
        ("PayloadOrganization", &offers.hostname),
    ];
    let mut file = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \
         \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n<plist version=\"1.0\">\n<dict>\n\
         <key>PayloadContent</key>\n<array>\n<dict>\n",
    );
    texts(&mut file, &account);
    for (key, port) in [
        ("IncomingMailServerPortNumber", incoming.port),
        ("OutgoingMailServerPortNumber", outgoing.port),
        ("PayloadVersion", 1),
    ] {
        let _ = writeln!(file, "<key>{key}</key>\n<integer>{port}</integer>");
    }
    for key in [
        // TLS either way: Mail finds out whether it begins at once.
        "IncomingMailServerUseSSL",
        "OutgoingMailServerUseSSL",
        "OutgoingPasswordSameAsIncomingPassword",
    ] {
        let _ = writeln!(file, "<key>{key}</key>\n<true/>");
    }
    file.push_str("</dict>\n</array>\n");
    texts(&mut file, &profile);
    file.push_str("<key>PayloadVersion</key>\n<integer>1</integer>\n</dict>\n</plist>\n");
    Some(file)
}

fn texts(file: &mut String, all: &[(&str, &str)]) {
    for (key, text) in all {
        let text = escaped(text);
        let _ = writeln!(file, "<key>{key}</key>\n<string>{text}</string>");
    }
}

/// A UUID of a kind of its own (RFC 9562 §5.8) for an address.
fn identity(what: &str, address: &str) -> String {
    let digest = Sha256::digest(format!("{what}:{}", address.to_ascii_lowercase()));
    let mut octets: Vec<u8> = digest.iter().copied().take(16).collect();
    for (octet, (keep, set)) in octets
        .iter_mut()
        .skip(6)
        .step_by(2)
        .zip([(0x0f, 0x80), (0x3f, 0x80)])
    {
        *octet = *octet & keep | set;
    }
    let mut text = String::new();
    for (at, octet) in octets.iter().enumerate() {
        if [4, 6, 8, 10].contains(&at) {
            text.push('-');
        }
        let _ = write!(text, "{octet:02X}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::offers::tests::{ALL, offers};
    use super::*;
    use crate::protocol::Protocol;

    #[test]
    fn a_profile_has_what_mail_asks_for() {
        let offers_all = offers(&ALL, "");
        let file = profile(&offers_all, "a&b@a.test").unwrap();
        let options = roxmltree::ParsingOptions {
            allow_dtd: true,
            ..Default::default()
        };
        let document = roxmltree::Document::parse_with_options(&file, options).unwrap();
        let mut keys = document
            .descendants()
            .filter(|node| node.has_tag_name("key"));
        let user = keys
            .find(|key| key.text() == Some("IncomingMailServerUsername"))
            .unwrap();
        let value = user.next_sibling_element().unwrap();
        assert_eq!(value.text(), Some("a&b@a.test"));
        assert!(file.contains("<integer>993</integer>") && file.contains("<integer>465</integer>"));
        // Nothing to send with, no profile.
        let reading = offers(&[(Protocol::Imaps, "0.0.0.0:993")], "");
        assert!(profile(&reading, "a@a.test").is_none());
    }

    #[test]
    fn an_address_keeps_its_identity() {
        let one = identity("mail", "a@a.test");
        assert_eq!(one, identity("mail", "A@a.test"));
        assert_ne!(one, identity("mail", "b@a.test"));
        assert_ne!(one, identity("profile", "a@a.test"));
        let form: Vec<_> = one.split('-').map(str::len).collect();
        assert_eq!(form, [8, 4, 4, 4, 12]);
        assert_eq!(one.as_bytes()[14], b'8');
        assert!(b"89AB".contains(&one.as_bytes()[19]));
    }
}

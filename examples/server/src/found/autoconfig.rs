//! Thunderbird's autoconfig file, version 1.1, which other programs read as well.

use std::fmt::Write as _;

use super::offers::{Kind, Offers};
use super::xml::escaped;

/// The file for a domain. The program itself puts the address in, so that it is the same for everybody.
pub(crate) fn file(offers: &Offers, domain: &str) -> String {
    let domain = escaped(domain);
    let host = escaped(&offers.hostname);
    let mut file = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<clientConfig version=\"1.1\">\n  \
         <emailProvider id=\"{domain}\">\n    <domain>{domain}</domain>\n    \
         <displayName>{domain}</displayName>\n    <displayShortName>{domain}</displayShortName>\n"
    );
    for offer in &offers.all {
        let (element, kind) = match offer.kind {
            Kind::Imap => ("incomingServer", "imap"),
            Kind::Pop3 => ("incomingServer", "pop3"),
            Kind::Smtp => ("outgoingServer", "smtp"),
        };
        let socket = if offer.is_tls { "SSL" } else { "STARTTLS" };
        let _ = write!(
            file,
            "    <{element} type=\"{kind}\">\n      <hostname>{host}</hostname>\n      <port>{}</port>\n      \
             <socketType>{socket}</socketType>\n      <authentication>password-cleartext</authentication>\n      \
             <username>%EMAILADDRESS%</username>\n    </{element}>\n",
            offer.port
        );
    }
    file.push_str("  </emailProvider>\n</clientConfig>\n");
    file
}

#[cfg(test)]
mod tests {
    use super::super::offers::tests::{ALL, offers};
    use super::*;

    #[test]
    fn each_port_has_its_server() {
        let file = file(&offers(&ALL, ""), "a.test");
        let document = roxmltree::Document::parse(&file).unwrap();
        let servers = document
            .descendants()
            .filter(|node| node.has_attribute("type"));
        let servers: Vec<_> = servers
            .map(|node| {
                let text = |name| {
                    node.children()
                        .find(|child| child.has_tag_name(name))
                        .unwrap()
                        .text()
                        .unwrap()
                };
                assert_eq!(text("hostname"), "mail.a.test");
                let kind = node.attribute("type").unwrap();
                format!("{kind} {} {}", text("port"), text("socketType"))
            })
            .collect();
        assert_eq!(
            servers,
            [
                "imap 993 SSL",
                "imap 143 STARTTLS",
                "pop3 995 SSL",
                "smtp 465 SSL",
                "smtp 587 STARTTLS"
            ]
        );
    }
}

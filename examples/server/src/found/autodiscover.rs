//! Outlook's autodiscover: the older one in XML ("POX", [MS-OXDSCLI]), and the newer one in JSON, which leads to it.

use serde_json::json;
use std::fmt::Write as _;

use super::offers::{Kind, Offers};
use super::xml::escaped;

/// The schema of answers that programs ask for that speak IMAP, POP3 and SMTP.
const OUTLOOK: &str =
    "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a";
const ANSWER: &str = "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006";

/// Nodes of a request: it has five or so.
const NODES: u32 = 200;

/// Answers a request in XML. What is wrong with it is said in XML as well, under a status of 200.
pub(crate) fn xml(offers: &Offers, request: &[u8]) -> String {
    let options = roxmltree::ParsingOptions {
        allow_dtd: false,
        nodes_limit: NODES,
    };
    let document = std::str::from_utf8(request).ok();
    let document = document.and_then(|text| {
        let text = text.trim_start_matches('\u{feff}');
        roxmltree::Document::parse_with_options(text, options).ok()
    });
    let Some(document) = document else {
        return failed(600, "Invalid Request");
    };
    let text = |name: &str| {
        let mut nodes = document.descendants();
        let found = nodes.find(|node| node.tag_name().name() == name);
        found.and_then(|node| node.text()).map(str::trim)
    };
    if text("AcceptableResponseSchema").is_some_and(|schema| schema != OUTLOOK) {
        return failed(601, "Provider is not available");
    }
    match text("EMailAddress").and_then(|address| offers.address(address)) {
        Some((address, _)) => settings(offers, address),
        None => failed(600, "Invalid Request"),
    }
}

fn settings(offers: &Offers, address: &str) -> String {
    let (address, host) = (escaped(address), escaped(&offers.hostname));
    let mut answer = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<Autodiscover xmlns=\"{ANSWER}\">\n  \
         <Response xmlns=\"{OUTLOOK}\">\n    <User>\n      <DisplayName>{address}</DisplayName>\n    </User>\n    \
         <Account>\n      <AccountType>email</AccountType>\n      <Action>settings</Action>\n"
    );
    for (kind, name) in [
        (Kind::Imap, "IMAP"),
        (Kind::Pop3, "POP3"),
        (Kind::Smtp, "SMTP"),
    ] {
        let Some(offer) = offers.best(kind) else {
            continue;
        };
        // Encryption outdoes SSL where a program knows it: "TLS" is STARTTLS.
        let encryption = if offer.is_tls { "SSL" } else { "TLS" };
        let _ = write!(
            answer,
            "      <Protocol>\n        <Type>{name}</Type>\n        <Server>{host}</Server>\n        \
             <Port>{}</Port>\n        <DomainRequired>off</DomainRequired>\n        \
             <LoginName>{address}</LoginName>\n        <SPA>off</SPA>\n        <SSL>on</SSL>\n        \
             <Encryption>{encryption}</Encryption>\n        <AuthRequired>on</AuthRequired>\n      </Protocol>\n",
            offer.port
        );
    }
    answer.push_str("    </Account>\n  </Response>\n</Autodiscover>\n");
    answer
}

fn failed(code: u16, message: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<Autodiscover xmlns=\"{ANSWER}\">\n  <Response>\n    \
         <Error>\n      <ErrorCode>{code}</ErrorCode>\n      <Message>{message}</Message>\n      <DebugData/>\n    \
         </Error>\n  </Response>\n</Autodiscover>\n"
    )
}

/// Answers a request for JSON: where the XML is, or that there is no such protocol here.
pub(crate) fn json(offers: &Offers, protocol: &str) -> Result<String, String> {
    let host = &offers.hostname;
    let host = match offers.https {
        Some(port) if port != 443 => format!("{host}:{port}"),
        _ => host.clone(),
    };
    match protocol.eq_ignore_ascii_case("AutodiscoverV1") {
        true => Ok(json!({
            "Protocol": "AutodiscoverV1",
            "Url": format!("https://{host}/autodiscover/autodiscover.xml"),
        })
        .to_string()),
        false => Err(json!({
            "ErrorCode": "InvalidProtocol",
            "ErrorMessage": "The given protocol value is invalid. Supported values are \"AutodiscoverV1\".",
        })
        .to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::offers::tests::{ALL, offers};
    use super::*;

    fn request(address: &str, schema: &str) -> String {
        format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>\
             <Autodiscover xmlns=\"http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006\">\
             <Request><EMailAddress>{address}</EMailAddress>\
             <AcceptableResponseSchema>{schema}</AcceptableResponseSchema></Request></Autodiscover>"
        )
    }

    #[test]
    fn outlook_gets_the_best_of_each() {
        let offers = offers(&ALL, "");
        let answer = xml(&offers, request("o&apos;x@a.test", OUTLOOK).as_bytes());
        let document = roxmltree::Document::parse(&answer).unwrap();
        let protocols = document
            .descendants()
            .filter(|node| node.tag_name().name() == "Protocol");
        let protocols: Vec<_> = protocols
            .map(|node| {
                let text = |name| {
                    node.children()
                        .find(|child| child.tag_name().name() == name)
                        .unwrap()
                        .text()
                        .unwrap()
                };
                assert_eq!(text("LoginName"), "o'x@a.test");
                format!("{} {} {}", text("Type"), text("Port"), text("Encryption"))
            })
            .collect();
        assert_eq!(protocols, ["IMAP 993 SSL", "POP3 995 SSL", "SMTP 465 SSL"]);
    }

    #[test]
    fn what_is_wrong_is_said_and_nothing_of_accounts() {
        let offers = offers(&ALL, "");
        let phone =
            "http://schemas.microsoft.com/exchange/autodiscover/mobilesync/responseschema/2006";
        let deep = format!("{}{}", "<a>".repeat(300), "</a>".repeat(300));
        let laughs =
            "<!DOCTYPE a [<!ENTITY b \"x@a.test\">]><a><EMailAddress>&b;</EMailAddress></a>";
        for (request, code) in [
            (request("x@a.test", phone), 601),
            (request("x@elsewhere.test", OUTLOOK), 600),
            (request("&lt;x@a.test", OUTLOOK), 600),
            (String::new(), 600),
            ("<a>".into(), 600),
            (deep, 600),
            (laughs.into(), 600),
        ] {
            let answer = xml(&offers, request.as_bytes());
            assert!(answer.contains(&format!("<ErrorCode>{code}<")), "{answer}");
        }
        assert!(xml(&offers, &[0xff, 0xfe]).contains("600"));
        let one = xml(&offers, request("nobody@a.test", OUTLOOK).as_bytes());
        let other = xml(&offers, request("somebody@a.test", OUTLOOK).as_bytes());
        assert_eq!(one.replace("nobody", "x"), other.replace("somebody", "x"));
    }

    #[test]
    fn json_leads_to_xml() {
        let said = json(&offers(&ALL, ""), "autodiscoverv1").unwrap();
        assert!(
            said.contains("\"https://mail.a.test/autodiscover/autodiscover.xml\""),
            "{said}"
        );
        assert!(
            json(&offers(&ALL, ""), "ActiveSync")
                .unwrap_err()
                .contains("InvalidProtocol")
        );
    }
}

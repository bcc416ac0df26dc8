//! The server answers as the tests need it to, octet by octet: its zones are validated where the relay's tests are.

use hickory_proto::op::{Edns, Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use hikyaku_test_dns::{DnsServer, Fault, Zone};
use std::io::{Read as _, Write as _};
use std::net::{TcpStream, UdpSocket};
use std::time::{Duration, Instant};

const SHORT: Duration = Duration::from_millis(300);

fn request(name: &str, kind: RecordType, dnssec: bool) -> Vec<u8> {
    let mut message = Message::query();
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    let mut edns = Edns::new();
    edns.set_dnssec_ok(dnssec);
    edns.set_max_payload(1232);
    message.set_edns(edns);
    message.to_vec().unwrap()
}

fn udp(server: &DnsServer, request: &[u8]) -> Option<Message> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(SHORT)).unwrap();
    socket.send_to(request, server.address()).unwrap();
    let mut buffer = [0; 4096];
    let length = socket.recv(&mut buffer).ok()?;
    Some(Message::from_vec(&buffer[..length]).unwrap())
}

fn tcp(server: &DnsServer, request: &[u8]) -> Message {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    let length = u16::try_from(request.len()).unwrap().to_be_bytes();
    stream.write_all(&length).unwrap();
    stream.write_all(request).unwrap();
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut buffer = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut buffer).unwrap();
    Message::from_vec(&buffer).unwrap()
}

fn kinds(message: &Message) -> Vec<RecordType> {
    let all = message.answers.iter().chain(&message.authorities);
    all.map(hickory_proto::rr::Record::record_type).collect()
}

#[test]
fn signatures_are_for_those_who_ask() {
    use RecordType::{A, NSEC, RRSIG, SOA};
    let server = DnsServer::start([Zone::new("signed.test").signed().a("mx", "192.0.2.1")]);
    let ask = |name, dnssec| udp(&server, &request(name, A, dnssec)).unwrap();
    assert_eq!(kinds(&ask("mx.signed.test.", false)), [A]);
    assert_eq!(kinds(&ask("MX.Signed.test.", true)), [A, RRSIG]);
    let none = ask("none.signed.test.", true);
    assert_eq!(none.metadata.response_code, ResponseCode::NXDomain);
    let proof = [SOA, RRSIG, NSEC, RRSIG, NSEC, RRSIG];
    // One record may be the proof for the name and for the wildcard.
    assert!(proof.starts_with(&kinds(&none)), "{none}");
    assert_eq!(kinds(&ask("none.signed.test.", false)), [SOA]);
    // The root has what makes it one chain.
    let ds = udp(&server, &request("signed.test.", RecordType::DS, true)).unwrap();
    assert_eq!(kinds(&ds), [RecordType::DS, RRSIG]);
}

#[test]
fn faults_are_of_a_name_and_end() {
    let server = DnsServer::start([Zone::new("plain.test")
        .a("@", "192.0.2.1")
        .txt("large", &"x".repeat(3000))]);
    let ask = || udp(&server, &request("plain.test.", RecordType::A, false));
    let set = |fault: Fault| server.change("plain.test", |zone| zone.fault("@", fault));
    assert_eq!(ask().unwrap().answers.len(), 1);
    set(Fault::Silent);
    assert!(ask().is_none());
    for (fault, code) in [
        (Fault::ServFail, ResponseCode::ServFail),
        (Fault::NxDomain, ResponseCode::NXDomain),
    ] {
        set(fault);
        assert_eq!(ask().unwrap().metadata.response_code, code);
    }
    set(Fault::Truncated);
    let cut = ask().unwrap();
    assert!(cut.metadata.truncation && cut.answers.is_empty());
    let whole = tcp(&server, &request("plain.test.", RecordType::A, false));
    assert_eq!((whole.metadata.truncation, whole.answers.len()), (false, 1));
    set(Fault::Slow(SHORT / 3));
    let began = Instant::now();
    assert!(ask().is_some() && began.elapsed() >= SHORT / 3);
    server.change("plain.test", |zone| zone.well("@"));
    assert_eq!(ask().unwrap().answers.len(), 1);
    // What is too large for UDP.
    let large = request("large.plain.test.", RecordType::TXT, false);
    assert!(udp(&server, &large).unwrap().metadata.truncation);
    assert_eq!(tcp(&server, &large).answers.len(), 1);
}

#[test]
fn questions_are_counted_and_records_change() {
    let server = DnsServer::start([Zone::new("plain.test").a("@", "192.0.2.1")]);
    let ask = |name| udp(&server, &request(name, RecordType::A, false)).unwrap();
    for _ in 0..3 {
        ask("Plain.test.");
    }
    assert_eq!(server.asked("plain.test", RecordType::A), 3);
    assert_eq!(server.asked("plain.test", RecordType::AAAA), 0);
    server.change("plain.test", |zone| zone.a("@", "192.0.2.2"));
    assert_eq!(ask("plain.test.").answers.len(), 2);
    server.change("new.test", |zone| zone.a("@", "192.0.2.3"));
    assert_eq!(ask("new.test.").answers.len(), 1);
    server.change("plain.test", |zone| zone.remove("@", RecordType::A));
    assert_eq!(ask("plain.test.").answers.len(), 0);
    assert_eq!(server.questions(), 6);
}

#[test]
fn a_zone_file_is_loaded() {
    let zone = Zone::new("plain.test").a("@", "192.0.2.1").load(
        "; of the mail server\n\
         mail.plain.test. IN A 192.0.2.2\n\
         @ IN MX 10 mail\n\
         k._domainkey.plain.test. IN TXT ( \"v=DKIM1; \" ; a comment\n  \"p=abc\" )\n\
         Mail IN A 192.0.2.3 ; another\n",
    );
    let server = DnsServer::start([zone]);
    for (name, kind, expected) in [
        ("plain.test.", RecordType::A, "192.0.2.1"),
        ("plain.test.", RecordType::MX, "10 mail.plain.test."),
        ("mail.plain.test.", RecordType::A, "192.0.2.2"),
        ("mail.plain.test.", RecordType::A, "192.0.2.3"),
        (
            "k._domainkey.plain.test.",
            RecordType::TXT,
            "v=DKIM1; p=abc",
        ),
    ] {
        let answer = tcp(&server, &request(name, kind, false));
        let found = answer.answers.iter().map(|one| one.data.to_string());
        let found: Vec<_> = found.collect();
        assert!(found.iter().any(|one| one == expected), "{name} {found:?}");
    }
}

#[test]
fn it_ends_when_it_is_dropped() {
    let server = DnsServer::start([]);
    let address = server.address();
    // A connection that says nothing holds nothing up.
    let _idle = TcpStream::connect(address).unwrap();
    let began = Instant::now();
    drop(server);
    assert!(began.elapsed() < Duration::from_secs(2));
    assert!(TcpStream::connect(address).is_err());
    UdpSocket::bind(address).unwrap();
}

//! A DNS server for a test: what it knows is a function of the question.
#![allow(
    dead_code,
    reason = "tests of other packages share it, and need less of it"
)]

use std::net::{Ipv4Addr, SocketAddr};
use tokio::net::UdpSocket;

/// What is said of a name.
pub(crate) enum Answer {
    /// These mail exchangers, with their preferences.
    Mx(Vec<(u16, String)>),
    /// These addresses.
    A(Vec<Ipv4Addr>),
    /// The name exists, and has none of what was asked for.
    Nothing,
    /// No such name.
    NoName,
    /// Nothing at all.
    Silence,
}

/// The type of an address record.
const A: u16 = 1;
/// The type of a mail exchanger's record.
pub(crate) const MX: u16 = 15;

/// Answers MX of `domain` with `mx.domain`, and A of that with 127.0.0.1; there is nothing else.
pub(crate) async fn serve(domain: &'static str) -> SocketAddr {
    serve_with(move |name, kind| match (name, kind) {
        (name, MX) if name == domain => Answer::Mx(vec![(10, format!("mx.{domain}"))]),
        (name, A) if name.strip_prefix("mx.") == Some(domain) => {
            Answer::A(vec![Ipv4Addr::LOCALHOST])
        }
        (name, _) if name.ends_with(domain) => Answer::Nothing,
        _ => Answer::NoName,
    })
    .await
}

/// Answers what `knows` says of a name in small letters, without its last dot, and a type.
pub(crate) async fn serve_with(knows: impl Fn(&str, u16) -> Answer + Send + 'static) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut query = [0; 1500];
        while let Ok((length, peer)) = socket.recv_from(&mut query).await {
            if let Some(answer) = answer(&query[..length], &knows) {
                let _ = socket.send_to(&answer, peer).await;
            }
        }
    });
    address
}

fn answer(query: &[u8], knows: impl Fn(&str, u16) -> Answer) -> Option<Vec<u8>> {
    let (mut labels, mut at) = (Vec::new(), 12);
    loop {
        let length = usize::from(*query.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(query.get(at..at + length)?).to_lowercase());
        at += length;
    }
    let kind = u16::from_be_bytes([*query.get(at)?, *query.get(at + 1)?]);
    let question = query.get(12..at + 4)?;
    let (code, of, records) = match knows(&labels.join("."), kind) {
        Answer::Silence => return None,
        Answer::NoName => (3, kind, Vec::new()),
        Answer::Nothing => (0, kind, Vec::new()),
        Answer::A(all) => (0, A, all.iter().map(|ip| ip.octets().to_vec()).collect()),
        Answer::Mx(all) => {
            let record = |(preference, host): &(u16, String)| {
                let mut data = preference.to_be_bytes().to_vec();
                for label in host.split('.').chain([""]) {
                    data.push(u8::try_from(label.len()).unwrap());
                    data.extend_from_slice(label.as_bytes());
                }
                data
            };
            (0, MX, all.iter().map(record).collect::<Vec<_>>())
        }
    };
    let records = if of == kind { records } else { Vec::new() };
    let mut answer = query.get(..2)?.to_vec();
    let count = u8::try_from(records.len()).unwrap();
    answer.extend_from_slice(&[0x85, 0x80 | code, 0, 1, 0, count, 0, 0, 0, 0]);
    answer.extend_from_slice(question);
    for data in records {
        answer.extend_from_slice(&[0xc0, 12]);
        answer.extend_from_slice(&kind.to_be_bytes());
        answer.extend_from_slice(&[0, 1, 0, 0, 0, 60]);
        answer.extend_from_slice(&u16::try_from(data.len()).unwrap().to_be_bytes());
        answer.extend_from_slice(&data);
    }
    Some(answer)
}

//! A DNS server that knows one domain.

use std::net::SocketAddr;
use tokio::net::UdpSocket;

/// Answers MX of `domain` with `mx.domain`, and A of that with 127.0.0.1; there is nothing else.
pub(crate) async fn serve(domain: &'static str) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut query = [0; 1500];
        while let Ok((length, peer)) = socket.recv_from(&mut query).await {
            if let Some(answer) = answer(&query[..length], domain) {
                let _ = socket.send_to(&answer, peer).await;
            }
        }
    });
    address
}

fn answer(query: &[u8], domain: &str) -> Option<Vec<u8>> {
    let (mut name, mut at) = (String::new(), 12);
    loop {
        let length = usize::from(*query.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        name += &String::from_utf8_lossy(query.get(at..at + length)?).to_lowercase();
        name.push('.');
        at += length;
    }
    let kind = u16::from_be_bytes([*query.get(at)?, *query.get(at + 1)?]);
    let question = query.get(12..at + 4)?;
    let exchanger = format!("mx.{domain}.");
    let record = match (name.as_str(), kind) {
        (name, 15) if name.trim_end_matches('.') == domain => {
            let mut data = vec![0, 10];
            for label in exchanger.split('.') {
                data.push(u8::try_from(label.len()).ok()?);
                data.extend_from_slice(label.as_bytes());
            }
            Some(data)
        }
        (name, 1) if name == exchanger => Some(vec![127, 0, 0, 1]),
        _ => None,
    };
    let known = name.trim_end_matches('.').ends_with(domain);
    let code = if known { 0 } else { 3 };
    let mut answer = query.get(..2)?.to_vec();
    answer.extend_from_slice(&[
        0x85,
        0x80 | code,
        0,
        1,
        0,
        u8::from(record.is_some()),
        0,
        0,
        0,
        0,
    ]);
    answer.extend_from_slice(question);
    if let Some(data) = record {
        answer.extend_from_slice(&[0xc0, 12]);
        answer.extend_from_slice(&kind.to_be_bytes());
        answer.extend_from_slice(&[0, 1, 0, 0, 0, 60]);
        answer.extend_from_slice(&u16::try_from(data.len()).ok()?.to_be_bytes());
        answer.extend_from_slice(&data);
    }
    Some(answer)
}

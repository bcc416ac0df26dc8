//! The PROXY protocol: a proxy in front says first for whom it connects (HAProxy's proxy-protocol.txt, versions 1 and 2).

use ppp::{v1, v2};
use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// The octets that both versions have at least: `PROXY UNKNOWN` with its CRLF.
const LEAST: usize = 15;
/// The longest header of version 1, with CRLF (§2.1).
const LONGEST: usize = 107;
/// Octets of a header of version 2 before its addresses (§2.2).
const FIXED: usize = 16;
/// The most octets behind these: addresses, and some more that we do not read.
const FURTHER: usize = 4096;

/// Reads a header, and nothing behind it. Returns the client's address; `None` when the proxy speaks for itself, or does
/// not know.
///
/// # Errors
/// What came is no header, or the stream ended before its end.
pub(crate) async fn client(
    stream: &mut (impl AsyncRead + Unpin),
) -> io::Result<Option<SocketAddr>> {
    let mut header = vec![0; LEAST];
    stream.read_exact(&mut header).await?;
    match header.starts_with(v2::PROTOCOL_PREFIX) {
        true => second(stream, header).await,
        false => first(stream, header).await,
    }
}

/// Version 1: a line.
async fn first(
    stream: &mut (impl AsyncRead + Unpin),
    mut line: Vec<u8>,
) -> io::Result<Option<SocketAddr>> {
    while !line.ends_with(b"\r\n") {
        if line.len() == LONGEST {
            return Err(refused("the line is too long"));
        }
        line.push(stream.read_u8().await?);
    }
    // The rest of the line is nobody's business (§2.1).
    if line.starts_with(b"PROXY UNKNOWN ") {
        return Ok(None);
    }
    let header = v1::Header::try_from(&line[..]).map_err(|error| refused(error.to_string()))?;
    Ok(match header.addresses {
        v1::Addresses::Tcp4(ip) => Some((ip.source_address, ip.source_port).into()),
        v1::Addresses::Tcp6(ip) => Some((ip.source_address, ip.source_port).into()),
        v1::Addresses::Unknown => None,
    })
}

/// Version 2: octets, with their number.
async fn second(
    stream: &mut (impl AsyncRead + Unpin),
    mut header: Vec<u8>,
) -> io::Result<Option<SocketAddr>> {
    header.push(stream.read_u8().await?);
    let (Some(&[high, low]), Some(&[command, _])) = (
        header.last_chunk::<2>(),
        header.get(12..).and_then(<[u8]>::first_chunk::<2>),
    ) else {
        return Err(refused("the header is not whole"));
    };
    let further = usize::from(u16::from_be_bytes([high, low]));
    if further > FURTHER {
        return Err(refused("the header is too long"));
    }
    header.resize(FIXED + further, 0);
    if let Some(further) = header.get_mut(FIXED..) {
        stream.read_exact(further).await?;
    }
    // LOCAL: the proxy itself, whatever else it says (§2.2).
    if command == 0x20 {
        return Ok(None);
    }
    let header = v2::Header::try_from(&header[..]).map_err(|error| refused(error.to_string()))?;
    Ok(match header.addresses {
        v2::Addresses::IPv4(ip) => Some((ip.source_address, ip.source_port).into()),
        v2::Addresses::IPv6(ip) => Some((ip.source_address, ip.source_port).into()),
        v2::Addresses::Unspecified | v2::Addresses::Unix(_) => None,
    })
}

fn refused(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hikyaku_wire::testkit::traps_of;
    use std::path::Path;

    /// What a header comes to, in the words of the table.
    async fn described(octets: &[u8]) -> Result<String, io::Error> {
        let mut rest = octets;
        let client = client(&mut rest).await?;
        Ok(format!("{client:?} left={}", rest.len()))
    }

    /// `ours.tsv`, side P.
    #[tokio::test]
    async fn our_traps_come_out_as_expected() {
        let table =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../smtp-proto/tests/traps/ours.tsv");
        let (mut wrong, mut count) = (Vec::new(), 0);
        for trap in traps_of(&table, "P") {
            count += 1;
            let came = described(&trap.octets).await;
            let note = trap.note.split("; ").next().unwrap();
            let word = |name: &str| {
                let mut words = note.split(' ');
                words.find_map(|word| word.strip_prefix(name))
            };
            let source = word("src=").and_then(|source| source.parse::<SocketAddr>().ok());
            let expected = format!("{source:?} left={}", word("left=").unwrap_or("0"));
            let is_right = match (&trap.expect[..], &came) {
                ("ok", Ok(came)) => *came == expected,
                ("error", came) => came.is_err(),
                (expect, _) => expect == "either",
            };
            if !is_right {
                wrong.push(format!("{} came {came:?}: {}", trap.id, trap.note));
            }
        }
        assert!(
            wrong.is_empty() && count > 50,
            "{count} rows, wrong:\n{}",
            wrong.join("\n")
        );
    }

    #[tokio::test]
    async fn a_header_of_64_kib_is_refused_before_it_is_read() {
        let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff".to_vec();
        header.resize(70_000, b'x');
        let mut rest = &header[..];
        assert!(client(&mut rest).await.is_err());
        assert!(rest.len() > 65_000);
    }
}

//! Which addresses the whole world can reach (RFC 6890).

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Returns whether an address belongs to the public Internet (RFC 6890 §2.2).
///
/// A program that connects to names chosen by strangers checks every address that it finds: otherwise a stranger could
/// reach the network within. An IPv6 address that stands for one of IPv4 (mapped, by NAT64 or 6to4) is as global as that one.
///
/// ```
/// use hikyaku_wire::is_global;
///
/// assert!(is_global("192.0.43.8".parse().unwrap()));
/// assert!(!is_global("169.254.169.254".parse().unwrap()));
/// assert!(!is_global("64:ff9b::7f00:1".parse().unwrap()));
/// ```
#[must_use]
pub fn is_global(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(four) => is_global_v4(four),
        IpAddr::V6(six) => match embedded(six) {
            Some(four) => is_global_v4(four),
            None => is_global_v6(six),
        },
    }
}

fn is_global_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let shared = a == 100 && (64..128).contains(&b);
    let benchmarks = a == 198 && (18..20).contains(&b);
    let assignments = [a, b, c] == [192, 0, 0];
    // Broadcast is among those from 240.
    let reserved = a == 0 || a >= 240 || shared || benchmarks || assignments;
    !(reserved
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation())
}

/// Global unicast is 2000::/3 (RFC 4291 §2.4, RFC 3587 §3), without what the IETF assigns for protocols, Teredo among it
/// (2001::/23), and what is for documentation (2001:db8::/32; 3fff::/20, RFC 9637).
fn is_global_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    let assigned = a == 0x2001 && b < 0x200;
    let documentation = [a, b] == [0x2001, 0xdb8] || (a == 0x3fff && b < 0x1000);
    a & 0xe000 == 0x2000 && !assigned && !documentation
}

/// The IPv4 address that an IPv6 address stands for.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    if let Some(four) = address.to_ipv4_mapped() {
        return Some(four);
    }
    let four = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Some(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        // NAT64 (RFC 6052 §2.1)
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => four(high, low),
        // 6to4 (RFC 3056 §2)
        [0x2002, high, low, ..] => four(high, low),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_of_ones_own_are_not_the_world() {
        for (address, expected) in [
            ("9.9.9.9", true),
            ("100.63.0.1", true),
            ("100.128.0.1", true),
            ("172.32.0.1", true),
            ("192.0.43.8", true),
            ("198.20.0.1", true),
            ("239.0.0.1", false),
            ("2620:fe::fe", true),
            ("2a00:1450::1", true),
            ("::ffff:192.0.43.8", true),
            ("64:ff9b::909:909", true),
            ("2002:909:909::1", true),
            ("127.0.1.1", false),
            ("10.1.2.3", false),
            ("172.16.0.1", false),
            ("192.168.0.1", false),
            ("169.254.169.254", false),
            ("100.64.0.1", false),
            ("192.0.0.8", false),
            ("192.0.2.1", false),
            ("198.18.0.1", false),
            ("0.0.0.0", false),
            ("224.0.0.1", false),
            ("240.0.0.1", false),
            ("255.255.255.255", false),
            ("::1", false),
            ("::", false),
            ("fe80::1", false),
            ("fd00::1", false),
            ("ff02::1", false),
            ("2001:db8::1", false),
            ("2001:4860:4860::8888", true),
            ("2001::7f00:1", false),
            ("2001:2::1", false),
            ("2001:10::1", false),
            ("3fff::1", false),
            ("fec0::1", false),
            ("::10.0.0.1", false),
            ("::ffff:0:10.0.0.1", false),
            ("64:ff9b:1::1", false),
            ("::ffff:10.0.0.1", false),
            ("64:ff9b::7f00:1", false),
            ("2002:7f00:1::", false),
        ] {
            assert_eq!(is_global(address.parse().unwrap()), expected, "{address}");
        }
    }
}

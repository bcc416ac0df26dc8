//! Addresses as names have them: backwards (RFC 1035 §3.5, RFC 3596 §2.5, RFC 5782 §2.1).

use std::net::IpAddr;

/// Returns the labels of an address: octets of IPv4, nibbles of IPv6, the last one first.
pub(super) fn backwards(address: IpAddr) -> String {
    match address {
        IpAddr::V4(four) => {
            let [a, b, c, d] = four.octets();
            format!("{d}.{c}.{b}.{a}")
        }
        IpAddr::V6(six) => {
            let octets = six.octets().into_iter().rev();
            let nibbles = octets.map(|octet| format!("{:x}.{:x}", octet & 15, octet >> 4));
            nibbles.collect::<Vec<_>>().join(".")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_part_comes_first() {
        let backwards = |text: &str| backwards(text.parse().unwrap());
        assert_eq!(backwards("192.0.2.99"), "99.2.0.192");
        // RFC 5782 §2.4
        assert_eq!(
            backwards("2001:db8:1:2:3:4:567:89ab"),
            "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2"
        );
    }
}

//! `X-Forwarded-For`: for whom a request was forwarded (scenario 6 of `federation.md` §12).

use std::net::{IpAddr, SocketAddr};

/// The address of the peer, from the lines of the header in their order: the first that can be read from the left, among
/// the entries that trusted proxies have appended, which are the last `hops`. Entries that are no address (`unknown`, a
/// name) are passed over.
pub fn origin_ip(lines: &[&[u8]], hops: usize) -> Option<IpAddr> {
    let entries: Vec<&[u8]> = lines.iter().flat_map(|line| line.split(|byte| *byte == b',')).collect();
    let trusted = &entries[entries.len().saturating_sub(hops)..];
    trusted.iter().find_map(|entry| address(std::str::from_utf8(entry).ok()?))
}

/// One entry: an address, of IPv6 with or without brackets, with or without a port, blanks around it.
pub fn address(entry: &str) -> Option<IpAddr> {
    let entry = entry.trim_matches([' ', '\t']);
    let bare = || entry.parse::<IpAddr>().ok();
    let with_port = || entry.parse::<SocketAddr>().ok().map(|address| address.ip());
    let in_brackets = || entry.strip_prefix('[')?.strip_suffix(']')?.parse::<std::net::Ipv6Addr>().ok().map(IpAddr::V6);
    bare().or_else(with_port).or_else(in_brackets).map(|ip| ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn s06_entries_are_read_as_the_table_says() {
        for (entry, expected) in [
            (" 127.0.0.1 ", Some("127.0.0.1")),
            ("192.0.2.10:8443", Some("192.0.2.10")),
            ("[2001:db8::1]", Some("2001:db8::1")),
            ("[2001:db8::2]:443", Some("2001:db8::2")),
            ("2001:db8::3", Some("2001:db8::3")),
            ("[::ffff:192.168.0.1]:123", Some("192.168.0.1")),
            ("::ffff:192.168.0.1", Some("192.168.0.1")),
            ("\t10.0.0.1", Some("10.0.0.1")),
            ("unknown", None),
            ("not-an-ip", None),
            ("", None),
            ("192.0.2.256", None),
            ("192.0.2", None),
            ("[192.0.2.1]", None),
            ("192.0.2.1:", None),
            ("192.0.2.1:99999", None),
            ("[2001:db8::1", None),
            ("2001:db8::1]", None),
            ("10.0.0.1 10.0.0.2", None),
        ] {
            assert_eq!(address(entry), expected.map(|text| text.parse().unwrap()), "{entry:?}");
        }
    }

    #[test]
    fn s06_only_what_trusted_proxies_appended_counts() {
        let chain = "unknown, [2001:db8::1]:443, 127.0.0.43";
        for (lines, hops, expected) in [
            (&[chain][..], 0, None),
            (&[chain], 1, Some("127.0.0.43")),
            (&[chain], 2, Some("2001:db8::1")),
            (&[chain], 3, Some("2001:db8::1")),
            (&[chain], usize::MAX, Some("2001:db8::1")),
            (&["192.0.2.1"], 3, Some("192.0.2.1")),
            (&["192.0.2.66", "192.0.2.1"], 1, Some("192.0.2.1")),
            (&["192.0.2.66, 192.0.2.2", "192.0.2.1"], 2, Some("192.0.2.2")),
            (&["192.0.2.66, unknown"], 1, None),
            (&["192.0.2.66, unknown, 192.0.2.1"], 2, Some("192.0.2.1")),
            (&[""], 1, None),
            (&[], 1, None),
        ] {
            let lines: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
            assert_eq!(origin_ip(&lines, hops), expected.map(|text| text.parse().unwrap()), "{lines:?} {hops}");
        }
    }

    proptest! {
        #[test]
        fn an_address_is_found_in_each_of_its_forms(ip: IpAddr, port: u16, blanks in "[ \t]{0,3}") {
            let bare = ip.to_string();
            let mut forms = vec![bare.clone(), SocketAddr::new(ip, port).to_string()];
            if ip.is_ipv6() {
                forms.push(format!("[{bare}]"));
            }
            for form in forms {
                prop_assert_eq!(address(&format!("{blanks}{form}{blanks}")), Some(ip.to_canonical()));
            }
        }

        #[test]
        fn whatever_a_peer_writes_first_the_proxys_entry_counts(
            spoofed in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..4), ip: IpAddr
        ) {
            let ours = ip.to_string();
            let mut lines: Vec<&[u8]> = spoofed.iter().map(Vec::as_slice).collect();
            let joined = [lines.last().copied().unwrap_or_default(), b", ", ours.as_bytes()].concat();
            lines.pop();
            lines.push(&joined);
            prop_assert_eq!(origin_ip(&lines, 1), Some(ip.to_canonical()));
        }
    }
}

//! Where a caller comes from, as proxies say.

use federator::forwarded::origin_ip;

/// The lines of `X-Forwarded-For`. What stands before the entries of the trusted proxies never counts, and the entries
/// count alike in one line and in many.
pub fn forwarded_for(data: &[u8]) {
    let lines: Vec<&[u8]> = data.split(|byte| *byte == b'\n').collect();
    let joined = lines.join(&b","[..]);
    for hops in 0..4 {
        let found = origin_ip(&lines, hops);
        assert_eq!(found, origin_ip(&[joined.as_slice()], hops), "{hops} hops");
        assert!(hops > 0 || found.is_none(), "no proxy writes the header");
    }
    let by_proxy = [joined.as_slice(), b"198.51.100.7"];
    assert_eq!(origin_ip(&by_proxy, 1), "198.51.100.7".parse().ok(), "what the peer wrote counted");
}

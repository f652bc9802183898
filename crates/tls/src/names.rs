//! Which host names a certificate speaks for.

/// Whether a certificate with these dNSNames and this common name was issued for `target` (`federation.md` §2.2).
///
/// dNSNames decide where there is at least one, the common name otherwise. Letters compare without case. A name may
/// start with `*.`, which stands for exactly one label. One trailing dot of the *target* is ignored; a name in the
/// certificate that ends with a dot never matches, since the dot is no part of a host name there.
pub fn presents<S: AsRef<str>>(dns_names: &[S], common_name: Option<&str>, target: &str) -> bool {
    if dns_names.is_empty() {
        return common_name.is_some_and(|name| matches(name, target));
    }
    dns_names.iter().any(|name| matches(name.as_ref(), target))
}

/// Whether one name of a certificate covers `target`.
pub fn matches(name: &str, target: &str) -> bool {
    let target = target.strip_suffix('.').unwrap_or(target);
    if target.is_empty() || target.ends_with('.') {
        return false;
    }
    match name.strip_prefix("*.") {
        None => name.eq_ignore_ascii_case(target),
        Some(parent) => target.split_once('.').is_some_and(|(label, rest)| {
            !label.is_empty() && label != "*" && rest.contains('.') && parent.eq_ignore_ascii_case(rest)
        }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_name() {
        for (name, target, expected) in [
            ("federator.a.example", "federator.a.example", true),
            ("Federator.A.example", "federator.a.EXAMPLE", true),
            ("federator.a.example", "federator.a.example.", true),
            ("federator.a.example.", "federator.a.example.", false),
            ("federator.a.example.", "federator.a.example", false),
            ("federator.a.example", "federator.a.example..", false),
            ("localhost", "localhost.", true),
            ("localhost.", "localhost.", false),
            ("*.a.example", "federator.a.example", true),
            ("*.a.example", "federator.a.example.", true),
            ("*.A.example", "federator.a.example", true),
            ("*.a.example", "a.example", false),
            ("*.a.example", ".a.example", false),
            ("*.a.example", "x.federator.a.example", false),
            ("*.a.example.", "federator.a.example.", false),
            ("*.example", "a.example", false),
            ("*", "example", false),
            ("*", "a.example", false),
            ("f*.a.example", "federator.a.example", false),
            ("federator.*.example", "federator.a.example", false),
            ("*.*.example", "federator.a.example", false),
            ("*.a.example", "*.a.example", false),
            ("", "", false),
            ("", ".", false),
            ("federator.b.example", "federator.a.example", false),
        ] {
            assert_eq!(matches(name, target), expected, "{name:?} for {target:?}");
        }
    }

    #[test]
    fn common_name_counts_only_without_dns_names() {
        let none: [&str; 0] = [];
        assert!(presents(&none, Some("a.example"), "a.example."));
        assert!(!presents(&["b.example"], Some("a.example"), "a.example"));
        assert!(presents(&["b.example", "a.example"], Some("c.example"), "a.example"));
        assert!(!presents(&none, None, "a.example"));
    }

    proptest! {
        #[test]
        fn a_wildcard_stands_for_exactly_one_label(
            labels in proptest::collection::vec("[a-z0-9]{1,8}", 1..4),
            parent in "[a-z]{1,8}\\.[a-z]{1,8}",
        ) {
            let target = format!("{}.{parent}", labels.join("."));
            prop_assert_eq!(matches(&format!("*.{parent}"), &target), labels.len() == 1);
        }

        #[test]
        fn never_panics(name in ".*", target in ".*") {
            let _ = matches(&name, &target);
        }
    }
}

//! Domains: from headers, configuration, ids.

use types::Domain;

/// The text of a domain. What is read is within the grammar, means the same in whatever case it is written, and is read
/// again from what it is written as.
pub fn domain(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let read: Result<Domain, _> = text.parse();
    assert_eq!(read, text.to_ascii_uppercase().parse(), "case makes a difference");
    let Ok(domain) = read else { return };
    let written = domain.to_string();
    assert_eq!(written, text.to_ascii_lowercase());
    assert!(written.len() <= Domain::MAX_LEN);
    assert!(written.contains('.') || written == "localhost");
    for label in written.split('.') {
        assert!((1..=63).contains(&label.len()), "{written}");
        assert!(label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'), "{written}");
        assert!(!label.starts_with('-') && !label.ends_with('-'), "{written}");
    }
    assert_eq!(written.parse(), Ok(domain.clone()));
    let json = serde_json::to_string(&domain).expect("a domain is a text");
    assert_eq!(serde_json::from_str::<Domain>(&json).ok(), Some(domain));
}

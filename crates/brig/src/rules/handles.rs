//! Which handles may be taken (`brig.md` §2). The syntax is [`Handle`]'s own.

use types::Handle;

/// Names that would let their bearer pose as the service or its staff.
#[rustfmt::skip]
const RESERVED: [&str; 35] = [
    "account", "admin", "administrator", "all", "android", "anna", "avs", "backend", "bot", "cs", "design", "dev",
    "developer", "development", "everyone", "help", "helpdesk", "hr", "info", "ios", "legal", "management", "news",
    "otto", "payment", "product", "purchase", "qa", "support", "team", "user", "web", "wire", "wirebot", "wireteam",
];

/// Reads a handle that somebody wants to take; `None` if the syntax is wrong or the name is reserved.
pub fn takeable(text: &str) -> Option<Handle> {
    text.parse().ok().filter(|handle: &Handle| !RESERVED.contains(&handle.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_may_be_taken() {
        for good in ["alice", "wire-fan", "wire.", "admin2", "ab"] {
            assert_eq!(takeable(good).map(|h| h.to_string()).as_deref(), Some(good));
        }
        for bad in ["ca$h", "w", "Capital", "wire", "wireteam", "account", ""] {
            assert_eq!(takeable(bad), None, "{bad}");
        }
        assert!(RESERVED.iter().all(|name| name.parse::<Handle>().is_ok()), "or it could be left out");
    }
}

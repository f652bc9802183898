//! Which kinds of tokens open which paths, as data (`brig.md` §1, "ACL by type").

use zauth::TokenType;

/// Either everything but some paths, or some paths alone.
enum Rule {
    AllBut(&'static [&'static str]),
    Only(&'static [&'static str]),
}

/// The paths of a bot. `*` is one segment, `**` at the end any number of them, none included.
const BOT: &[&str] =
    &["/bot/self", "/bot/client/**", "/bot/users/**", "/bot/assets/**", "/bot/conversation", "/bot/messages"];

fn rule(token: TokenType) -> Rule {
    match token {
        TokenType::Access => Rule::AllBut(&[
            "/provider/**",
            "/i/**",
            "/bot/self",
            "/bot/client/**",
            "/bot/users/**",
            "/bot/assets/**",
            "/bot/conversation",
            "/bot/messages",
        ]),
        TokenType::Bot => Rule::Only(BOT),
        TokenType::LegalHoldAccess => Rule::Only(&[
            "/notifications",
            "/assets/v3/**",
            "/users/**",
            "/legalhold/conversations/*",
            "/conversations/*",
        ]),
        TokenType::Provider => Rule::Only(&["/provider/**"]),
        // Cookies: good for renewing an access token and for nothing else.
        TokenType::LegalHoldUser | TokenType::User => Rule::Only(&[]),
    }
}

/// Whether a token of that kind opens that path, which has no version prefix.
pub(crate) fn allows(token: TokenType, path: &str) -> bool {
    let any = |patterns: &[&str]| patterns.iter().any(|pattern| matches(pattern, path));
    match rule(token) {
        Rule::AllBut(patterns) => !any(patterns),
        Rule::Only(patterns) => any(patterns),
    }
}

fn matches(pattern: &str, path: &str) -> bool {
    let mut path = path.split('/');
    for part in pattern.split('/') {
        match (part, path.next()) {
            ("**", _) => return true,
            ("*", Some(segment)) if !segment.is_empty() => {}
            (part, Some(segment)) if part == segment => {}
            _ => return false,
        }
    }
    path.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table() {
        use TokenType::*;

        for (path, allowed) in [
            ("/self", &[Access][..]),
            ("/users", &[Access, LegalHoldAccess]),
            ("/users/a.example/x", &[Access, LegalHoldAccess]),
            ("/usersx", &[Access]),
            ("/notifications", &[Access, LegalHoldAccess]),
            ("/notifications/last", &[Access]),
            ("/assets/v3/x", &[Access, LegalHoldAccess]),
            ("/assets", &[Access]),
            ("/legalhold/conversations/x", &[Access, LegalHoldAccess]),
            ("/conversations/x", &[Access, LegalHoldAccess]),
            ("/conversations/x/y", &[Access]),
            ("/conversations/", &[Access]),
            ("/provider", &[Provider]),
            ("/provider/services/x", &[Provider]),
            ("/bot/messages", &[Bot]),
            ("/bot/client/prekeys", &[Bot]),
            ("/bot/conversation", &[Bot]),
            ("/bot/conversations/x", &[Access]),
            ("/i/users", &[]),
            ("/access", &[Access]),
        ] {
            for token in TokenType::ALL {
                assert_eq!(allows(token, path), allowed.contains(&token), "{token:?} {path}");
            }
        }
    }
}

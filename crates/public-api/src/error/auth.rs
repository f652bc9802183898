//! Errors of logging in and of renewing access tokens (`brig.md` §6.2, §6.4). Clients compare several of the messages.

entries! {
    /// The account is a temporary guest's, who cannot log in.
    ACCOUNT_EPHEMERAL = 403 "ephemeral" "Account ephemeral";
    /// The e-mail address has not been verified yet.
    ACCOUNT_PENDING = 403 "pending-activation" "Account pending activation";
    /// The account is suspended.
    ACCOUNT_SUSPENDED = 403 "suspended" "Account suspended";
    /// Unknown user or wrong password.
    BAD_CREDENTIALS = 403 "invalid-credentials" "Authentication failed";
    /// The verification code is wrong, expired, or was never asked for.
    CODE_AUTHENTICATION_FAILED = 403 "code-authentication-failed" "Code authentication failed";
    /// A verification code is needed.
    CODE_AUTHENTICATION_REQUIRED = 403 "code-authentication-required" "Code authentication is required";
    /// A scheme other than `Bearer`.
    INVALID_AUTHORIZATION_SCHEME = 403 "invalid-credentials" "Invalid authorization scheme";
    /// Too many successful logins.
    LOGINS_TOO_FREQUENT = 429 "client-error" "Logins too frequent";
    /// The cookie or the token cannot even be parsed.
    MALFORMED_TOKEN = 403 "client-error" "Failed reading: Invalid zauth token";
    /// There is an access token and no cookie.
    MISSING_COOKIE = 403 "invalid-credentials" "Missing cookie";
    /// There is neither an access token nor a cookie.
    MISSING_COOKIE_AND_TOKEN = 403 "invalid-credentials" "Missing cookie and token";
    /// There is a cookie and no access token.
    MISSING_TOKEN = 403 "invalid-credentials" "Missing token";
    /// Too many password guesses and the like.
    RATE_LIMIT_EXCEEDED = 429 "too-many-requests" "Please try again later.";
    /// The cookie or token has run out.
    TOKEN_EXPIRED = 403 "invalid-credentials" "Zauth token expired";
    /// The signature is wrong.
    TOKEN_FALSIFIED = 403 "invalid-credentials" "Zauth token falsified";
    /// The cookie is unknown or revoked, or the client is none of the user's.
    TOKEN_INVALID = 403 "invalid-credentials" "Invalid zauth token";
    /// Cookie and access token belong to different users or are of different kinds.
    TOKEN_MISMATCH = 403 "invalid-credentials" "Token mismatch";
    /// Too many wrong passwords.
    TOO_MANY_FAILED_LOGINS = 403 "client-error" "Too many failed logins";
}

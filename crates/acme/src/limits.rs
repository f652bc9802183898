//! The limits of talking to an ACME server, in one place.

use std::time::Duration;

/// TCP connect, TLS handshake and one request with its answer.
pub const REQUEST: Duration = Duration::from_secs(30);

/// The largest answer that is read, in bytes: a chain has about 6 KB.
pub const ANSWER: usize = 1 << 20;

/// How long the server may take to look at a challenge, and again to make the certificate.
pub const ORDER: Duration = Duration::from_secs(180);

/// All of it.
pub const WHOLE: Duration = Duration::from_secs(600);

/// The pause after the first failure; it doubles with each further one.
pub const FIRST_PAUSE: Duration = Duration::from_secs(30);

/// The longest pause after a failure. Let's Encrypt takes five failed validations of a name an hour.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(6 * 3600);

/// The pause after a certificate was issued that cannot be used: asking again changes nothing until somebody changes the
/// configuration, and Let's Encrypt issues the same names five times a week. Also the least pause after one was issued that
/// can be used, where half of the time that it has left is not shorter.
pub const REFUSED_PAUSE: Duration = Duration::from_secs(36 * 3600);

/// So many looks in a row must find the file of the certificate damaged before another is asked for, and only then if the
/// one that was in it is due: whoever writes the file by hand is not overtaken.
pub const DAMAGED_LOOKS: u32 = 5;

/// The least pause after a certificate was issued, as a part of its whole time, where a clock says that it is over already.
pub const LEAST_REST: u32 = 8;

/// How long renewal sleeps at most before it looks at the clock again, which may have been set meanwhile.
pub const LOOK: Duration = Duration::from_secs(3600);

/// By which part of a certificate's time renewal begins before the last third, at most: backends that were started together
/// do not come together.
pub const JITTER: u32 = 30;

/// How many challenges are open at the same time: one for each name of one order.
pub const CHALLENGES: usize = 100;

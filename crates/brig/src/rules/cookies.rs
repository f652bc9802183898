//! Cookies: how many, how old, and what follows an old one (`brig.md` §6.3).

use std::time::Duration;

use serde::{Deserialize, Serialize};
use types::{ClientId, Timestamp};

/// A cookie as it is stored; its value is the user token with the same number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cookie {
    /// The token's `r`.
    pub id: u32,
    /// Whether the browser keeps it.
    #[serde(rename = "type")]
    pub kind: CookieKind,
    /// When it was made.
    pub created: Timestamp,
    /// When its token expires. Whole seconds, as tokens have them.
    pub expires: Timestamp,
    /// The label under which a login replaces the one before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The cookie that took its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub successor: Option<u32>,
    /// The client that its token is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<ClientId>,
}

/// How long a browser keeps a cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CookieKind {
    /// Until it expires.
    Persistent,
    /// Until the browser ends. Never renewed.
    Session,
}

/// `setUserCookieThrottle`: logins that come too regularly are a program gone wild.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CookieThrottle {
    /// Up to which standard deviation of the times of creation the cookies count as made in a burst.
    pub std_dev: Duration,
    /// How long after the newest one no other is made then.
    pub retry_after: Duration,
}

/// Which cookies must go so that one more fits: expired ones first, then superseded ones, then the oldest.
pub fn evictions(cookies: &[Cookie], limit: usize, now: Timestamp) -> Vec<u32> {
    let excess = (cookies.len() + 1).saturating_sub(limit);
    let mut order: Vec<&Cookie> = cookies.iter().collect();
    order.sort_by_key(|cookie| (cookie.expires >= now, cookie.successor.is_none(), cookie.created, cookie.id));
    order.into_iter().take(excess).map(|cookie| cookie.id).collect()
}

/// How long to wait before one more is made, if these were made too fast.
pub fn throttled(cookies: &[Cookie], throttle: CookieThrottle, now: Timestamp) -> Option<Duration> {
    let newest = cookies.iter().map(|cookie| cookie.created).max()?;
    let since = now.since(newest);
    if deviation(cookies) > throttle.std_dev.as_secs_f64() || since >= throttle.retry_after {
        return None;
    }
    Some(throttle.retry_after.saturating_sub(since))
}

/// The standard deviation of the times of creation, in seconds, over the whole population.
fn deviation(cookies: &[Cookie]) -> f64 {
    let count = cookies.len() as f64;
    // Relative to the first, so that no precision is lost in the size of unix time.
    let first = cookies.first().map_or(Timestamp::EPOCH, |cookie| cookie.created);
    let ages: Vec<f64> = cookies.iter().map(|c| (c.created.micros() - first.micros()) as f64 / 1e6).collect();
    let mean = ages.iter().sum::<f64>() / count;
    (ages.iter().map(|age| (age - mean).powi(2)).sum::<f64>() / count).sqrt()
}

/// What becomes of a cookie that is presented at `/access`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// It stays as it is; no `Set-Cookie`.
    Keep,
    /// It was renewed before: its successor is handed out once more.
    Repeat(Cookie),
    /// It gets a successor now.
    Succeed,
}

/// Decides on renewal. `others` are the user's cookies that still live.
pub fn renewal(cookie: &Cookie, others: &[Cookie], renew_age: Duration, now: Timestamp) -> Renewal {
    if cookie.kind != CookieKind::Persistent || now.since(cookie.created) <= renew_age {
        return Renewal::Keep;
    }
    let successor = cookie.successor.and_then(|id| others.iter().find(|other| other.id == id));
    match successor {
        Some(successor) if successor.kind == CookieKind::Persistent => Renewal::Repeat(successor.clone()),
        _ => Renewal::Succeed,
    }
}

/// The old cookie after it got a successor. The caller lets its row expire after another renewal age, so that no
/// ever growing chain of superseded cookies builds up.
pub fn superseded(cookie: &Cookie, by: u32) -> Cookie {
    Cookie { successor: Some(by), ..cookie.clone() }
}

/// The other cookies of that label: one login replaces the one before.
pub fn same_label<'a>(cookies: &'a [Cookie], label: Option<&'a str>) -> impl Iterator<Item = u32> + 'a {
    cookies.iter().filter(move |cookie| label.is_some() && cookie.label.as_deref() == label).map(|cookie| cookie.id)
}

/// Whether the user has been away for too long: he owns cookies and none is younger than that.
pub fn inactive(cookies: &[Cookie], suspend_after: Duration, now: Timestamp) -> bool {
    !cookies.is_empty() && cookies.iter().all(|cookie| cookie.created < now - suspend_after)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn cookie(id: u32, created: i64) -> Cookie {
        Cookie {
            id,
            kind: CookieKind::Persistent,
            created: at(created),
            expires: at(created + 1_000),
            label: None,
            successor: None,
            client: None,
        }
    }

    #[test]
    fn eviction_order() {
        let old = cookie(1, 10);
        let newer = cookie(2, 20);
        let superseded = Cookie { successor: Some(2), ..cookie(3, 30) };
        let expired = Cookie { expires: at(35), ..cookie(4, 34) };
        let all = [newer, old, superseded, expired];
        for (limit, gone) in
            [(6, vec![]), (5, vec![]), (4, vec![4]), (3, vec![4, 3]), (2, vec![4, 3, 1]), (0, vec![4, 3, 1, 2])]
        {
            assert_eq!(evictions(&all, limit, at(40)), gone, "limit {limit}");
        }
    }

    #[test]
    fn throttling() {
        let throttle = CookieThrottle { std_dev: secs(3_000), retry_after: secs(100) };
        let burst: Vec<_> = (0..5).map(|n| cookie(n, 1_000 + i64::from(n))).collect();
        assert_eq!(throttled(&burst, throttle, at(1_010)), Some(secs(94)));
        assert_eq!(throttled(&burst, throttle, at(1_104)), None, "waited long enough");
        let spread: Vec<_> = (0..5).map(|n| cookie(n, 10_000 * i64::from(n))).collect();
        assert_eq!(throttled(&spread, throttle, at(40_001)), None);
        assert_eq!(throttled(&[], throttle, at(1)), None);
    }

    #[test]
    fn renewals() {
        let age = secs(100);
        let new = cookie(1, 1_000);
        assert_eq!(renewal(&new, &[], age, at(1_100)), Renewal::Keep);
        assert_eq!(renewal(&new, &[], age, at(1_101)), Renewal::Succeed);
        let session = Cookie { kind: CookieKind::Session, ..new.clone() };
        assert_eq!(renewal(&session, &[], age, at(9_000)), Renewal::Keep);
        let old = superseded(&new, 2);
        let successor = cookie(2, 1_101);
        assert_eq!(renewal(&old, std::slice::from_ref(&successor), age, at(1_102)), Renewal::Repeat(successor));
        assert_eq!(renewal(&old, &[], age, at(1_102)), Renewal::Succeed, "the successor was revoked");
    }

    #[test]
    fn labels() {
        let labelled = |id, label: &str| Cookie { label: Some(label.to_owned()), ..cookie(id, 1) };
        let all = [cookie(1, 1), labelled(2, "a"), labelled(3, "b"), labelled(4, "a")];
        assert_eq!(same_label(&all, Some("a")).collect::<Vec<_>>(), [2, 4]);
        assert_eq!(same_label(&all, None).count(), 0, "cookies without a label do not replace each other");
    }

    #[test]
    fn inactivity() {
        assert!(!inactive(&[], secs(10), at(100)), "who never logged in is not inactive");
        assert!(!inactive(&[cookie(1, 1), cookie(2, 90)], secs(10), at(100)));
        assert!(inactive(&[cookie(1, 1), cookie(2, 89)], secs(10), at(100)));
    }
}

//! What a connection is busy with, and for how long it may be.
//!
//! A state machine without I/O: the connection reports what happens, and asks now and then whether it has lasted too
//! long. Every question comes with the moment at which to ask again; something that begins later cannot run out before.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

use crate::limits::IngressLimits;

/// How requests travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// Why a connection is to be ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expired {
    /// The peer abandons request after request.
    Abandoning,
    /// It was asked to end, and has not.
    Closing,
    /// The head of a request takes too long: there is somebody to be told.
    Head,
    /// No request came.
    Idle,
    /// The peer takes no byte of an answer.
    Stalled,
}

/// What to do about a connection now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Advice {
    /// Go on; ask again then.
    Continue(Instant),
    /// End it.
    End(Expired),
    /// Finish what was begun, take nothing new; then ask again.
    Wind,
}

#[derive(Debug)]
pub(super) struct Activity {
    protocol: Protocol,
    opened: Instant,
    /// Since when the bytes of a head are coming (HTTP/1.1).
    head_since: Option<Instant>,
    /// Whether a request was ever begun.
    used: bool,
    /// Requests that are read or answered.
    in_flight: usize,
    idle_since: Instant,
    /// Answers whose last piece waits to be taken by the peer, and since when.
    waiting: HashMap<u64, Instant>,
    next_answer: u64,
    abandoned: usize,
    /// Since when the peer is refused, whatever it asks.
    refused_since: Option<Instant>,
    winding_since: Option<Instant>,
}

impl Activity {
    pub(super) fn new(protocol: Protocol, now: Instant) -> Self {
        Self {
            protocol,
            opened: now,
            head_since: None,
            used: false,
            in_flight: 0,
            idle_since: now,
            waiting: HashMap::new(),
            next_answer: 0,
            abandoned: 0,
            refused_since: None,
            winding_since: None,
        }
    }

    /// Bytes came.
    pub(super) fn read(&mut self, now: Instant) {
        if self.protocol == Protocol::Http1 && self.in_flight == 0 && self.head_since.is_none() {
            self.head_since = Some(now);
        }
    }

    /// The head of a request is complete. The number names the request from here on.
    pub(super) fn begin(&mut self) -> u64 {
        self.used = true;
        self.head_since = None;
        self.in_flight += 1;
        self.next_answer += 1;
        self.next_answer
    }

    /// A piece of the answer was handed over to be sent.
    pub(super) fn handed_over(&mut self, request: u64, now: Instant) {
        self.waiting.insert(request, now);
    }

    /// The next piece of the answer is wanted: the one before was taken.
    pub(super) fn wanted(&mut self, request: u64) {
        self.waiting.remove(&request);
    }

    /// The request is over: answered, or abandoned by the peer.
    pub(super) fn end(&mut self, request: u64, answered: bool, now: Instant) {
        self.waiting.remove(&request);
        self.in_flight = self.in_flight.saturating_sub(1);
        self.idle_since = now;
        self.abandoned = if answered { self.abandoned.saturating_sub(1) } else { self.abandoned + 1 };
    }

    /// The peer is refused: its connection is to end, but not on the heels of the refusal. There are HTTP/2 clients that
    /// forget an answer when a GOAWAY is there before they have looked for it (hyper 1.12 checks the connection once
    /// more after it has sent a request).
    pub(super) fn refuse(&mut self, now: Instant) {
        self.refused_since.get_or_insert(now);
    }

    /// No new requests are wanted.
    pub(super) fn wind(&mut self, now: Instant) {
        self.winding_since.get_or_insert(now);
    }

    /// What to do now.
    pub(super) fn advice(&self, now: Instant, limits: &IngressLimits) -> Advice {
        if self.abandoned > limits.abandoned {
            return Advice::End(Expired::Abandoning);
        }
        // What is running now, and what could begin at this moment.
        let mut next = now + limits.answer_idle.min(limits.headers);
        let mut expires = |since: Instant, after: Duration| {
            let at = since + after;
            next = next.min(at);
            now >= at
        };
        if self.waiting.values().min().is_some_and(|since| expires(*since, limits.answer_idle)) {
            return Advice::End(Expired::Stalled);
        }
        if self.head_since.is_some_and(|since| expires(since, limits.headers)) {
            return Advice::End(Expired::Head);
        }
        if !self.used && self.head_since.is_none() && expires(self.opened, limits.headers) {
            return Advice::End(Expired::Idle);
        }
        if let Some(since) = self.winding_since {
            if self.in_flight == 0 && expires(since.max(self.idle_since), limits.linger) {
                return Advice::End(Expired::Closing);
            }
        } else if expires(self.opened, limits.connection_age)
            || self.refused_since.is_some_and(|since| expires(since, limits.linger))
        {
            return Advice::Wind;
        } else if self.in_flight == 0 && self.head_since.is_none() && expires(self.idle_since, limits.idle) {
            return match self.protocol {
                Protocol::Http1 => Advice::End(Expired::Idle),
                Protocol::Http2 => Advice::Wind,
            };
        }
        Advice::Continue(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn limits() -> IngressLimits {
        IngressLimits {
            headers: 10 * SECOND,
            answer_idle: 30 * SECOND,
            idle: 120 * SECOND,
            connection_age: 1000 * SECOND,
            linger: 2 * SECOND,
            abandoned: 3,
            ..IngressLimits::default()
        }
    }

    /// Asks when told to, until something is to be done; how long that took.
    fn outlasts(activity: &Activity, from: Instant) -> (Duration, Advice) {
        let mut now = from;
        loop {
            match activity.advice(now, &limits()) {
                Advice::Continue(next) => {
                    assert!(next > now, "asked again at once");
                    now = next;
                }
                other => return (now - from, other),
            }
        }
    }

    fn fresh(protocol: Protocol) -> (Activity, Instant) {
        let now = Instant::now();
        (Activity::new(protocol, now), now)
    }

    #[test]
    fn a_connection_must_be_used() {
        for protocol in [Protocol::Http1, Protocol::Http2] {
            let (activity, now) = fresh(protocol);
            assert_eq!(outlasts(&activity, now), (10 * SECOND, Advice::End(Expired::Idle)));
        }
    }

    #[test]
    fn a_head_that_trickles_counts_from_its_first_byte() {
        let (mut activity, now) = fresh(Protocol::Http1);
        activity.read(now + 4 * SECOND);
        activity.read(now + 9 * SECOND);
        assert_eq!(outlasts(&activity, now), (14 * SECOND, Advice::End(Expired::Head)));
        let request = activity.begin();
        activity.end(request, true, now + 11 * SECOND);
        activity.read(now + 100 * SECOND);
        assert_eq!(outlasts(&activity, now + 100 * SECOND), (10 * SECOND, Advice::End(Expired::Head)));
    }

    #[test]
    fn bytes_of_a_body_are_no_head() {
        let (mut activity, now) = fresh(Protocol::Http1);
        let request = activity.begin();
        activity.read(now + SECOND);
        activity.end(request, true, now + 20 * SECOND);
        assert_eq!(outlasts(&activity, now + 20 * SECOND), (120 * SECOND, Advice::End(Expired::Idle)));
    }

    #[test]
    fn idle_and_old_connections_wind_down() {
        let (mut activity, now) = fresh(Protocol::Http2);
        let request = activity.begin();
        assert_eq!(outlasts(&activity, now), (1000 * SECOND, Advice::Wind), "a request may take its time");
        activity.end(request, true, now + SECOND);
        assert_eq!(outlasts(&activity, now + SECOND), (120 * SECOND, Advice::Wind));
        activity.wind(now + 121 * SECOND);
        assert_eq!(outlasts(&activity, now + 121 * SECOND), (2 * SECOND, Advice::End(Expired::Closing)));
    }

    #[test]
    fn a_refused_peer_has_a_moment_to_read_its_refusal() {
        let (mut activity, now) = fresh(Protocol::Http2);
        let request = activity.begin();
        activity.refuse(now + SECOND);
        activity.end(request, true, now + SECOND);
        // Asking again gains nothing.
        let again = activity.begin();
        activity.refuse(now + 2 * SECOND);
        assert_eq!(outlasts(&activity, now), (3 * SECOND, Advice::Wind));
        activity.wind(now + 3 * SECOND);
        activity.end(again, true, now + 3 * SECOND);
        assert_eq!(outlasts(&activity, now + 3 * SECOND), (2 * SECOND, Advice::End(Expired::Closing)));
    }

    #[test]
    fn winding_down_waits_for_requests() {
        let (mut activity, now) = fresh(Protocol::Http2);
        let request = activity.begin();
        activity.wind(now);
        assert!(matches!(activity.advice(now + 50 * SECOND, &limits()), Advice::Continue(_)));
        activity.end(request, true, now + 51 * SECOND);
        assert_eq!(outlasts(&activity, now + 51 * SECOND), (2 * SECOND, Advice::End(Expired::Closing)));
    }

    #[test]
    fn an_answer_must_be_taken() {
        let (mut activity, now) = fresh(Protocol::Http2);
        let (slow, quick) = (activity.begin(), activity.begin());
        activity.handed_over(slow, now + SECOND);
        activity.handed_over(quick, now + SECOND);
        activity.wanted(quick);
        assert_eq!(outlasts(&activity, now), (31 * SECOND, Advice::End(Expired::Stalled)));
        activity.wanted(slow);
        assert_eq!(outlasts(&activity, now).1, Advice::Wind);
    }

    #[test]
    fn abandoning_is_forgiven_to_those_who_take_answers() {
        let (mut activity, now) = fresh(Protocol::Http2);
        let request = |activity: &mut Activity, answered| {
            let request = activity.begin();
            activity.end(request, answered, now);
        };
        for _ in 0..100 {
            request(&mut activity, false);
            request(&mut activity, true);
        }
        assert!(matches!(activity.advice(now, &limits()), Advice::Continue(_)));
        for _ in 0..=3 {
            request(&mut activity, false);
        }
        assert_eq!(activity.advice(now, &limits()), Advice::End(Expired::Abandoning));
    }
}

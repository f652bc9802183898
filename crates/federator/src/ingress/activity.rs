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
    /// What is being answered.
    answers: HashMap<u64, Answering>,
    /// Since when the connection takes no byte at all.
    blocked_since: Option<Instant>,
    last_request: u64,
    abandoned: usize,
    /// Since when the peer is refused, whatever it asks.
    refused_since: Option<Instant>,
    winding_since: Option<Instant>,
}

/// An answer on its way.
#[derive(Debug)]
struct Answering {
    /// When a byte of it was last given or taken.
    moved: Instant,
    /// Bytes that were handed over and not yet taken.
    outstanding: usize,
    /// Whether more of it is asked for: then it is we who are slow.
    wanted: bool,
    /// Whether all of it was handed over.
    whole: bool,
}

impl Answering {
    fn waits_for_peer(&self) -> bool {
        self.outstanding > 0 || !self.wanted
    }
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
            answers: HashMap::new(),
            blocked_since: None,
            last_request: 0,
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
        self.last_request += 1;
        self.last_request
    }

    /// The connection takes bytes again, or takes none.
    pub(super) fn writable(&mut self, writable: bool, now: Instant) {
        if writable {
            self.blocked_since = None;
        } else {
            self.blocked_since.get_or_insert(now);
        }
    }

    /// The answer begins. From now on the peer is to take it.
    pub(super) fn answer(&mut self, request: u64, now: Instant) {
        self.answers.insert(request, Answering { moved: now, outstanding: 0, wanted: false, whole: false });
    }

    /// More of the answer is asked for.
    pub(super) fn wanted(&mut self, request: u64) {
        if let Some(answer) = self.answers.get_mut(&request) {
            answer.wanted = true;
        }
    }

    /// So many bytes of the answer were handed over to be sent.
    pub(super) fn handed_over(&mut self, request: u64, bytes: usize, now: Instant) {
        if let Some(answer) = self.answers.get_mut(&request) {
            // What lay there before does not become younger by it.
            if !answer.waits_for_peer() {
                answer.moved = now;
            }
            answer.outstanding += bytes;
            answer.wanted = false;
        }
    }

    /// The end of the answer was handed over.
    pub(super) fn whole(&mut self, request: u64) {
        if let Some(answer) = self.answers.get_mut(&request) {
            answer.whole = true;
        }
    }

    /// So many bytes of the answer were sent.
    pub(super) fn taken(&mut self, request: u64, bytes: usize, now: Instant) {
        if let Some(answer) = self.answers.get_mut(&request) {
            answer.moved = now;
            answer.outstanding = answer.outstanding.saturating_sub(bytes);
        }
    }

    /// The request is over: answered to the last byte, or abandoned by the peer.
    pub(super) fn end(&mut self, request: u64, now: Instant) {
        let answered = self.answers.remove(&request).is_some_and(|answer| answer.whole && answer.outstanding == 0);
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
        let waiting = self.answers.values().filter(|answer| answer.waits_for_peer()).map(|answer| answer.moved).min();
        if waiting.is_some_and(|since| expires(since, limits.answer_idle)) {
            return Advice::End(Expired::Stalled);
        }
        // The tail of an answer lies in the TLS session's buffer when HTTP is done with it.
        let tail = self.blocked_since.filter(|_| self.in_flight == 0).map(|since| since.max(self.idle_since));
        if tail.is_some_and(|since| expires(since, limits.answer_idle)) {
            return Advice::End(Expired::Stalled);
        }
        if self.head_since.is_some_and(|since| expires(since, limits.headers)) {
            return Advice::End(Expired::Head);
        }
        if !self.used && self.head_since.is_none() && expires(self.opened, limits.headers) {
            return Advice::End(Expired::Idle);
        }
        if let Some(since) = self.winding_since {
            // With a refused peer nothing is worth waiting for.
            let refused = self.refused_since.is_some_and(|refused| expires(since.max(refused), limits.linger));
            let done = self.in_flight == 0 && expires(since.max(self.idle_since), limits.linger);
            if refused || done || expires(since, limits.winding) {
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
            winding: 600 * SECOND,
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

    /// The request is answered without a body.
    fn answered(activity: &mut Activity, request: u64, now: Instant) {
        activity.answer(request, now);
        activity.whole(request);
        activity.end(request, now);
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
        answered(&mut activity, request, now + 11 * SECOND);
        activity.read(now + 100 * SECOND);
        assert_eq!(outlasts(&activity, now + 100 * SECOND), (10 * SECOND, Advice::End(Expired::Head)));
    }

    #[test]
    fn bytes_of_a_body_are_no_head() {
        let (mut activity, now) = fresh(Protocol::Http1);
        let request = activity.begin();
        activity.read(now + SECOND);
        answered(&mut activity, request, now + 20 * SECOND);
        assert_eq!(outlasts(&activity, now + 20 * SECOND), (120 * SECOND, Advice::End(Expired::Idle)));
    }

    #[test]
    fn idle_and_old_connections_wind_down() {
        let (mut activity, now) = fresh(Protocol::Http2);
        let request = activity.begin();
        assert_eq!(outlasts(&activity, now), (1000 * SECOND, Advice::Wind), "a request may take its time");
        answered(&mut activity, request, now + SECOND);
        assert_eq!(outlasts(&activity, now + SECOND), (120 * SECOND, Advice::Wind));
        activity.wind(now + 121 * SECOND);
        assert_eq!(outlasts(&activity, now + 121 * SECOND), (2 * SECOND, Advice::End(Expired::Closing)));
    }

    #[test]
    fn a_refused_peer_has_a_moment_to_read_its_refusal() {
        let (mut activity, now) = fresh(Protocol::Http2);
        let request = activity.begin();
        activity.refuse(now + SECOND);
        answered(&mut activity, request, now + SECOND);
        // Asking again gains nothing.
        let again = activity.begin();
        activity.refuse(now + 2 * SECOND);
        assert_eq!(outlasts(&activity, now), (3 * SECOND, Advice::Wind));
        activity.wind(now + 3 * SECOND);
        answered(&mut activity, again, now + 3 * SECOND);
        assert_eq!(outlasts(&activity, now + 3 * SECOND), (2 * SECOND, Advice::End(Expired::Closing)));
    }

    #[test]
    fn winding_down_waits_for_requests_but_not_for_ever() {
        let (mut activity, now) = fresh(Protocol::Http2);
        let request = activity.begin();
        activity.wind(now);
        assert_eq!(outlasts(&activity, now), (600 * SECOND, Advice::End(Expired::Closing)));
        answered(&mut activity, request, now + 51 * SECOND);
        assert_eq!(outlasts(&activity, now + 51 * SECOND), (2 * SECOND, Advice::End(Expired::Closing)));
        // Whoever goes on asking does not put the end off.
        let mut at = now;
        while !matches!(activity.advice(at, &limits()), Advice::End(_)) {
            at += SECOND;
            let request = activity.begin();
            answered(&mut activity, request, at);
        }
        assert_eq!(at - now, 600 * SECOND);
    }

    #[test]
    fn a_refused_peer_is_not_waited_for() {
        let (mut activity, now) = fresh(Protocol::Http2);
        let request = activity.begin();
        activity.refuse(now);
        activity.answer(request, now);
        activity.handed_over(request, 100, now);
        assert_eq!(outlasts(&activity, now), (2 * SECOND, Advice::Wind));
        activity.wind(now + 2 * SECOND);
        assert_eq!(outlasts(&activity, now + 2 * SECOND), (2 * SECOND, Advice::End(Expired::Closing)));
    }

    #[test]
    fn an_answer_must_be_taken() {
        let (mut activity, now) = fresh(Protocol::Http2);
        let (slow, quick) = (activity.begin(), activity.begin());
        for request in [slow, quick] {
            activity.answer(request, now);
            activity.wanted(request);
            activity.handed_over(request, 100, now + SECOND);
        }
        // The end was handed over too: that does not make it taken.
        activity.whole(slow);
        activity.taken(quick, 100, now + SECOND);
        activity.wanted(quick);
        assert_eq!(outlasts(&activity, now), (31 * SECOND, Advice::End(Expired::Stalled)));
        activity.taken(slow, 99, now + 20 * SECOND);
        assert_eq!(outlasts(&activity, now), (50 * SECOND, Advice::End(Expired::Stalled)));
        activity.taken(slow, 1, now + 21 * SECOND);
        activity.end(slow, now + 21 * SECOND);
        assert_eq!(outlasts(&activity, now).1, Advice::Wind, "more is wanted than we have: the peer is not to blame");
        activity.handed_over(quick, 100, now + 60 * SECOND);
        assert_eq!(outlasts(&activity, now + 60 * SECOND), (30 * SECOND, Advice::End(Expired::Stalled)));
    }

    #[test]
    fn bytes_handed_over_while_others_wait_make_those_no_younger() {
        let (mut activity, now) = fresh(Protocol::Http2);
        let request = activity.begin();
        activity.answer(request, now);
        for second in 0..20 {
            activity.wanted(request);
            activity.handed_over(request, 100, now + second * SECOND);
        }
        assert_eq!(outlasts(&activity, now), (30 * SECOND, Advice::End(Expired::Stalled)));
    }

    #[test]
    fn the_tail_of_an_answer_must_be_taken_too() {
        let (mut activity, now) = fresh(Protocol::Http1);
        let request = activity.begin();
        activity.writable(false, now);
        answered(&mut activity, request, now + SECOND);
        activity.writable(false, now + 20 * SECOND);
        assert_eq!(outlasts(&activity, now), (31 * SECOND, Advice::End(Expired::Stalled)));
        activity.writable(true, now + 20 * SECOND);
        assert_eq!(outlasts(&activity, now).1, Advice::End(Expired::Idle));
    }

    #[test]
    fn abandoning_is_forgiven_to_those_who_take_answers() {
        let (mut activity, now) = fresh(Protocol::Http2);
        let request = |activity: &mut Activity, answered| {
            let request = activity.begin();
            activity.answer(request, now);
            if answered {
                activity.whole(request);
            } else {
                // Handed over to the last byte, and reset instead of read.
                activity.handed_over(request, 100, now);
                activity.whole(request);
            }
            activity.end(request, now);
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

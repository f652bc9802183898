//! What a connection is busy with, and for how long it may be.
//!
//! A state machine without I/O: the connection reports what happens, and asks now and then whether it has lasted too
//! long. Every question comes with the moment at which to ask again; something that begins later cannot run out before.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

use crate::limits::{LAST_REQUEST, Limits};

/// How requests travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1 and older.
    Http1,
    /// HTTP/2.
    Http2,
}

/// Why a connection is to be ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expired {
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
pub enum Advice {
    /// Go on; ask again then.
    Continue(Instant),
    /// End it.
    End(Expired),
    /// Finish what was begun, take nothing new; then ask again.
    Wind,
}

/// What one connection is busy with.
#[derive(Debug)]
pub struct Activity {
    /// Unknown before the first request of a listener that takes both.
    protocol: Option<Protocol>,
    opened: Instant,
    /// Since when the bytes of a head are coming; in HTTP/2 they cannot be told from others.
    head_since: Option<Instant>,
    /// Whether a request was ever begun.
    used: bool,
    /// Requests that are read or answered.
    in_flight: usize,
    /// When the last request was over, or (HTTP/1.1) bytes of its answer were taken after that.
    idle_since: Instant,
    /// What is being answered.
    answers: HashMap<u64, Answering>,
    /// Since when the connection takes no byte at all.
    blocked_since: Option<Instant>,
    last_request: u64,
    abandoned: usize,
    /// Since when the peer is refused, whatever it asks.
    refused_since: Option<Instant>,
    /// Whether no request follows the one that is being answered (HTTP/1.1).
    ends: bool,
    /// Since when the listener stops.
    stopping_since: Option<Instant>,
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
    /// Of a connection that begins now.
    pub fn new(protocol: Option<Protocol>, now: Instant) -> Self {
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
            ends: false,
            stopping_since: None,
            winding_since: None,
        }
    }

    /// How its requests travel, once that is known.
    pub fn protocol(&self) -> Option<Protocol> {
        self.protocol
    }

    /// Bytes came.
    pub fn read(&mut self, now: Instant) {
        if !self.is_http2() && self.in_flight == 0 {
            self.head_since.get_or_insert(now);
        }
    }

    /// Bytes were taken. In HTTP/2 they may be mere pings.
    pub fn wrote(&mut self, now: Instant) {
        // Before there is a request, a server speaks in HTTP/2 alone.
        if *self.protocol.get_or_insert(Protocol::Http2) == Protocol::Http1 {
            self.idle_since = now;
        }
    }

    /// The connection takes bytes again, or takes none.
    pub fn writable(&mut self, writable: bool, now: Instant) {
        if writable {
            self.blocked_since = None;
        } else {
            self.blocked_since.get_or_insert(now);
        }
    }

    /// The head of a request is complete. The number names the request from here on.
    pub fn begin(&mut self, protocol: Protocol) -> u64 {
        self.protocol = Some(protocol);
        self.used = true;
        self.head_since = None;
        self.in_flight += 1;
        self.last_request += 1;
        self.last_request
    }

    /// The answer begins. From now on the peer is to take it.
    pub fn answer(&mut self, request: u64, now: Instant) {
        self.answers.insert(request, Answering { moved: now, outstanding: 0, wanted: false, whole: false });
    }

    /// There is room for more of the answer: it is our turn, once what went before is taken.
    pub fn wanted(&mut self, request: u64) {
        if let Some(answer) = self.answers.get_mut(&request) {
            answer.wanted = true;
        }
    }

    /// So many bytes of the answer were handed over to be sent.
    pub fn handed_over(&mut self, request: u64, bytes: usize, now: Instant) {
        if let Some(answer) = self.answers.get_mut(&request) {
            // What lay there before does not become younger by it.
            if !answer.waits_for_peer() {
                answer.moved = now;
            }
            answer.outstanding = answer.outstanding.saturating_add(bytes);
            answer.wanted = false;
        }
    }

    /// The end of the answer was handed over.
    pub fn whole(&mut self, request: u64) {
        if let Some(answer) = self.answers.get_mut(&request) {
            answer.whole = true;
        }
    }

    /// So many bytes of the answer were sent.
    pub fn taken(&mut self, request: u64, bytes: usize, now: Instant) {
        if let Some(answer) = self.answers.get_mut(&request) {
            answer.moved = now;
            answer.outstanding = answer.outstanding.saturating_sub(bytes);
        }
    }

    /// The request is over: answered to the last byte, or abandoned by the peer.
    pub fn end(&mut self, request: u64, now: Instant) {
        let answered = self.answers.remove(&request).is_some_and(|answer| answer.whole && answer.outstanding == 0);
        self.in_flight = self.in_flight.saturating_sub(1);
        self.idle_since = now;
        self.abandoned = if answered { self.abandoned.saturating_sub(1) } else { self.abandoned + 1 };
    }

    /// The peer is refused: its connection is to end, but not on the heels of the refusal. There are HTTP/2 clients that
    /// forget an answer when a GOAWAY is there before they have looked for it (hyper 1.12 checks the connection once
    /// more after it has sent a request).
    pub fn refuse(&mut self, now: Instant) {
        self.refused_since.get_or_insert(now);
    }

    /// Lets no other request follow the one that is being answered, where the protocol has one at a time.
    pub fn end_after_this(&mut self) {
        self.ends = true;
    }

    /// The listener stops: what is under way or on its way may still come to its end.
    pub fn stop(&mut self, now: Instant) {
        self.stopping_since.get_or_insert(now);
    }

    /// No new requests are wanted.
    pub fn wind(&mut self, now: Instant) {
        self.winding_since.get_or_insert(now);
    }

    /// Whether an answer must say that no other follows on this connection. HTTP/2 says that in its own way.
    pub fn is_last(&self) -> bool {
        !self.is_http2() && (self.ends || self.stopping_since.is_some() || self.winding_since.is_some())
    }

    /// What to do now.
    pub fn advice(&self, now: Instant, limits: &Limits) -> Advice {
        if limits.abandoned.is_some_and(|most| self.abandoned > most) {
            return Advice::End(Expired::Abandoning);
        }
        // What is running now, and what could begin at this moment.
        let mut next = now + limits.answer_idle.min(limits.headers).min(limits.idle);
        let mut expires = |since: Instant, after: Duration| {
            let at = since + after;
            if now < at {
                next = next.min(at);
            }
            now >= at
        };
        let waiting = self.answers.values().filter(|answer| answer.waits_for_peer()).map(|answer| answer.moved).min();
        if waiting.is_some_and(|since| expires(since, limits.answer_idle)) {
            return Advice::End(Expired::Stalled);
        }
        // The tail of an answer lies in the buffer of a TLS session when HTTP is done with it.
        let tail = self.blocked_since.filter(|_| self.in_flight == 0).map(|since| since.max(self.idle_since));
        if tail.is_some_and(|since| expires(since, limits.answer_idle)) {
            return Advice::End(Expired::Stalled);
        }
        if !self.used && expires(self.opened, limits.headers) {
            return Advice::End(self.head_since.map_or(Expired::Idle, |_| Expired::Head));
        }
        if self.used && self.head_since.is_some_and(|since| expires(since, limits.headers)) {
            return Advice::End(Expired::Head);
        }
        if let Some(since) = self.winding_since {
            // With a refused peer nothing is worth waiting for.
            let refused = self.refused_since.is_some_and(|refused| expires(since.max(refused), limits.linger));
            let done = self.in_flight == 0 && expires(since.max(self.idle_since), limits.linger);
            if refused || done || limits.winding.is_some_and(|most| expires(since, most)) {
                return Advice::End(Expired::Closing);
            }
        } else if (self.ends && !self.is_http2())
            || limits.age.is_some_and(|most| expires(self.opened, most))
            || self.refused_since.is_some_and(|since| expires(since, limits.linger))
            || self.takes_no_more().is_some_and(|at| expires(at, Duration::ZERO))
        {
            return Advice::Wind;
        } else if self.in_flight == 0 && self.head_since.is_none() && expires(self.idle_since, limits.idle) {
            return if self.is_http2() { Advice::Wind } else { Advice::End(Expired::Idle) };
        }
        Advice::Continue(next)
    }

    fn is_http2(&self) -> bool {
        self.protocol == Some(Protocol::Http2)
    }

    /// From when on a connection whose listener stops takes no new requests; `None` where there is one under way, and where
    /// the listener goes on. The HTTP library would close an idle HTTP/1.1 connection at once, with a request on its way.
    fn takes_no_more(&self) -> Option<Instant> {
        let since = self.stopping_since?;
        match self.protocol {
            // It announces the end first, and loses nothing.
            Some(Protocol::Http2) if self.used => Some(since),
            // There are clients that lose their first request by an end that is announced before it; see `refuse`.
            Some(Protocol::Http2) => Some(since.max(self.opened) + LAST_REQUEST),
            _ if self.in_flight > 0 => None,
            Some(Protocol::Http1) if self.head_since.is_some() => None,
            _ => Some(since.max(self.head_since.unwrap_or(self.idle_since)) + LAST_REQUEST),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Those of a listener for other backends.
    fn limits() -> Limits {
        Limits {
            headers: 10 * SECOND,
            answer_idle: 30 * SECOND,
            idle: 120 * SECOND,
            age: Some(1000 * SECOND),
            linger: 2 * SECOND,
            winding: Some(600 * SECOND),
            abandoned: Some(3),
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
        (Activity::new(Some(protocol), now), now)
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
        assert_eq!(outlasts(&activity, now), (10 * SECOND, Advice::End(Expired::Head)), "the first from the beginning");
        let request = activity.begin(Protocol::Http1);
        answered(&mut activity, request, now + 11 * SECOND);
        activity.read(now + 100 * SECOND);
        activity.read(now + 109 * SECOND);
        assert_eq!(
            outlasts(&activity, now + 100 * SECOND),
            (10 * SECOND, Advice::End(Expired::Head)),
            "later ones too"
        );
    }

    #[test]
    fn the_tail_of_an_answer_keeps_a_connection_from_being_idle() {
        let now = Instant::now();
        let mut activity = Activity::new(None, now);
        let request = activity.begin(Protocol::Http1);
        answered(&mut activity, request, now);
        activity.wrote(now + 5 * SECOND);
        assert_eq!(outlasts(&activity, now), (125 * SECOND, Advice::End(Expired::Idle)));
        let request = activity.begin(Protocol::Http2);
        answered(&mut activity, request, now);
        activity.wrote(now + 70 * SECOND);
        activity.read(now + 70 * SECOND);
        assert_eq!(outlasts(&activity, now), (120 * SECOND, Advice::Wind), "pings are no requests");
    }

    #[test]
    fn a_request_on_its_way_is_waited_for_when_the_listener_stops() {
        let (mut activity, now) = fresh(Protocol::Http1);
        let request = activity.begin(Protocol::Http1);
        answered(&mut activity, request, now);
        assert!(!activity.is_last());
        let stop = now + 5 * SECOND;
        activity.stop(stop);
        assert!(activity.is_last(), "whatever comes now is answered as the last");
        assert_eq!(outlasts(&activity, stop), (LAST_REQUEST, Advice::Wind));
        activity.read(stop);
        assert_eq!(outlasts(&activity, stop), (10 * SECOND, Advice::End(Expired::Head)), "a head has begun");
        let request = activity.begin(Protocol::Http1);
        let later = stop + 60 * SECOND;
        assert!(matches!(activity.advice(later, &limits()), Advice::Continue(_)), "a request is under way");
        answered(&mut activity, request, later);
        assert_eq!(outlasts(&activity, later), (LAST_REQUEST, Advice::Wind), "it is over");
    }

    #[test]
    fn a_connection_without_a_request_is_given_a_moment_when_the_listener_stops() {
        for protocol in [None, Some(Protocol::Http1), Some(Protocol::Http2)] {
            let now = Instant::now();
            let mut activity = Activity::new(protocol, now);
            activity.stop(now - SECOND);
            assert_eq!(outlasts(&activity, now), (LAST_REQUEST, Advice::Wind), "{protocol:?}: just opened");
        }
        // Whichever protocol it will be.
        let now = Instant::now();
        let mut activity = Activity::new(None, now);
        activity.stop(now);
        activity.read(now + SECOND / 2);
        assert_eq!(outlasts(&activity, now), (SECOND / 2 + LAST_REQUEST, Advice::Wind));
    }

    #[test]
    fn http_2_announces_its_end_at_once_and_answers_what_was_begun() {
        let (mut activity, now) = fresh(Protocol::Http2);
        let request = activity.begin(Protocol::Http2);
        activity.stop(now);
        assert_eq!(activity.advice(now, &limits()), Advice::Wind);
        activity.wind(now);
        assert!(!activity.is_last(), "that is said in its own way");
        assert!(matches!(activity.advice(now + 100 * SECOND, &limits()), Advice::Continue(_)));
        answered(&mut activity, request, now + 100 * SECOND);
        assert_eq!(outlasts(&activity, now + 100 * SECOND), (2 * SECOND, Advice::End(Expired::Closing)));
    }

    #[test]
    fn after_a_last_answer_nothing_follows_on_http_1_1() {
        let (mut activity, now) = fresh(Protocol::Http1);
        activity.begin(Protocol::Http1);
        activity.end_after_this();
        assert!(activity.is_last());
        assert_eq!(activity.advice(now, &limits()), Advice::Wind);
        let (mut activity, now) = fresh(Protocol::Http2);
        activity.begin(Protocol::Http2);
        activity.end_after_this();
        assert!(!activity.is_last() && matches!(activity.advice(now, &limits()), Advice::Continue(_)));
    }

    #[test]
    fn a_listener_may_leave_much_open() {
        let lenient = Limits { age: None, winding: None, abandoned: None, ..limits() };
        let (mut activity, now) = fresh(Protocol::Http2);
        for _ in 0..1000 {
            let request = activity.begin(Protocol::Http2);
            activity.end(request, now);
        }
        activity.begin(Protocol::Http2);
        activity.wind(now);
        assert!(matches!(activity.advice(now + 100_000 * SECOND, &lenient), Advice::Continue(_)));
    }

    #[test]
    fn bytes_of_a_body_are_no_head() {
        let (mut activity, now) = fresh(Protocol::Http1);
        let request = activity.begin(Protocol::Http1);
        activity.read(now + SECOND);
        answered(&mut activity, request, now + 20 * SECOND);
        assert_eq!(outlasts(&activity, now + 20 * SECOND), (120 * SECOND, Advice::End(Expired::Idle)));
    }

    #[test]
    fn idle_and_old_connections_wind_down() {
        let (mut activity, now) = fresh(Protocol::Http2);
        let request = activity.begin(Protocol::Http2);
        assert_eq!(outlasts(&activity, now), (1000 * SECOND, Advice::Wind), "a request may take its time");
        answered(&mut activity, request, now + SECOND);
        assert_eq!(outlasts(&activity, now + SECOND), (120 * SECOND, Advice::Wind));
        activity.wind(now + 121 * SECOND);
        assert_eq!(outlasts(&activity, now + 121 * SECOND), (2 * SECOND, Advice::End(Expired::Closing)));
    }

    #[test]
    fn a_refused_peer_has_a_moment_to_read_its_refusal() {
        let (mut activity, now) = fresh(Protocol::Http2);
        let request = activity.begin(Protocol::Http2);
        activity.refuse(now + SECOND);
        answered(&mut activity, request, now + SECOND);
        // Asking again gains nothing.
        let again = activity.begin(Protocol::Http2);
        activity.refuse(now + 2 * SECOND);
        assert_eq!(outlasts(&activity, now), (3 * SECOND, Advice::Wind));
        activity.wind(now + 3 * SECOND);
        answered(&mut activity, again, now + 3 * SECOND);
        assert_eq!(outlasts(&activity, now + 3 * SECOND), (2 * SECOND, Advice::End(Expired::Closing)));
    }

    #[test]
    fn winding_down_waits_for_requests_but_not_for_ever() {
        let (mut activity, now) = fresh(Protocol::Http2);
        let request = activity.begin(Protocol::Http2);
        activity.wind(now);
        assert_eq!(outlasts(&activity, now), (600 * SECOND, Advice::End(Expired::Closing)));
        answered(&mut activity, request, now + 51 * SECOND);
        assert_eq!(outlasts(&activity, now + 51 * SECOND), (2 * SECOND, Advice::End(Expired::Closing)));
        // Whoever goes on asking does not put the end off.
        let mut at = now;
        while !matches!(activity.advice(at, &limits()), Advice::End(_)) {
            at += SECOND;
            let request = activity.begin(Protocol::Http2);
            answered(&mut activity, request, at);
        }
        assert_eq!(at - now, 600 * SECOND);
    }

    #[test]
    fn a_refused_peer_is_not_waited_for() {
        let (mut activity, now) = fresh(Protocol::Http2);
        let request = activity.begin(Protocol::Http2);
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
        let (slow, quick) = (activity.begin(Protocol::Http2), activity.begin(Protocol::Http2));
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
        let request = activity.begin(Protocol::Http2);
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
        let request = activity.begin(Protocol::Http1);
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
            let request = activity.begin(Protocol::Http2);
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

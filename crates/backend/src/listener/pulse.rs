//! What a connection is busy with, and for how long it may be: a state machine without I/O. The connection reports what
//! happens and asks at the moment it was told.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use crate::limits::{self, Times};

/// What to do about a connection now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Advice {
    /// Go on; ask again then.
    Continue(Instant),
    /// End it.
    End(Overdue),
    /// Take nothing new; then ask again.
    Wind,
}

/// What took too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overdue {
    /// The client takes nothing of an answer.
    Answer,
    /// It was to end, and has not.
    Closing,
    /// The head of a request, or the very first request.
    Head,
    /// No request came.
    Idle,
}

#[derive(Debug)]
pub(super) struct Pulse {
    opened: Instant,
    http2: bool,
    /// Whether a request was ever begun.
    used: bool,
    /// Since when the bytes of a head are coming; in HTTP/2 they cannot be told from others.
    head_since: Option<Instant>,
    in_flight: usize,
    /// When the last request was over, or bytes of its answer were taken after that.
    idle_since: Instant,
    last_request: u64,
    /// What is being answered.
    answers: HashMap<u64, Answering>,
    winding_since: Option<Instant>,
    /// Whether the next request, or the one under way, is the last.
    last: bool,
}

/// An answer on its way.
#[derive(Debug)]
struct Answering {
    /// When it became the client's turn, or when the client last took a byte.
    moved: Instant,
    /// Bytes that were handed over and not yet taken.
    outstanding: usize,
    /// Whether there is room for more of it: then it is we who are slow.
    wanted: bool,
}

impl Answering {
    fn waits_for_client(&self) -> bool {
        self.outstanding > 0 || !self.wanted
    }
}

impl Pulse {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            opened: now,
            http2: false,
            used: false,
            head_since: None,
            in_flight: 0,
            idle_since: now,
            last_request: 0,
            answers: HashMap::new(),
            winding_since: None,
            last: false,
        }
    }

    /// Bytes came.
    pub(super) fn read(&mut self, now: Instant) {
        if !self.http2 && self.in_flight == 0 {
            self.head_since.get_or_insert(now);
        }
    }

    /// Bytes were taken. In HTTP/2 they may be mere pings.
    pub(super) fn wrote(&mut self, now: Instant) {
        if !self.http2 {
            self.idle_since = now;
        }
    }

    /// The head of a request is complete. The number names the request from here on.
    pub(super) fn begin(&mut self, http2: bool) -> u64 {
        self.http2 = http2;
        self.used = true;
        self.head_since = None;
        self.in_flight += 1;
        self.last_request += 1;
        self.last_request
    }

    /// The head of the answer was handed over: it is the client's turn.
    pub(super) fn answer(&mut self, request: u64, now: Instant) {
        self.answers.insert(request, Answering { moved: now, outstanding: 0, wanted: false });
    }

    /// There is room for more of the answer: it is our turn, once what went before is taken.
    pub(super) fn wanted(&mut self, request: u64) {
        if let Some(answer) = self.answers.get_mut(&request) {
            answer.wanted = true;
        }
    }

    /// So many bytes of the answer were handed over to be sent.
    pub(super) fn handed_over(&mut self, request: u64, bytes: usize, now: Instant) {
        if let Some(answer) = self.answers.get_mut(&request) {
            // What lay there before does not become younger by it.
            if !answer.waits_for_client() {
                answer.moved = now;
            }
            answer.outstanding = answer.outstanding.saturating_add(bytes);
            answer.wanted = false;
        }
    }

    /// So many bytes of the answer were sent.
    pub(super) fn taken(&mut self, request: u64, bytes: usize, now: Instant) {
        if let Some(answer) = self.answers.get_mut(&request) {
            answer.moved = now;
            answer.outstanding = answer.outstanding.saturating_sub(bytes);
        }
    }

    /// The request is over: all of its answer was sent, or the client left.
    pub(super) fn end(&mut self, request: u64, now: Instant) {
        self.answers.remove(&request);
        self.in_flight = self.in_flight.saturating_sub(1);
        self.idle_since = now;
    }

    /// No new requests are taken.
    pub(super) fn wind(&mut self, now: Instant) {
        self.winding_since.get_or_insert(now);
    }

    /// The listener stops: what is under way or on its way may still come to its end.
    pub(super) fn last_request(&mut self) {
        self.last = true;
    }

    /// Whether an answer must say that no other follows on this connection. HTTP/2 says that in its own way.
    pub(super) fn is_last(&self) -> bool {
        self.last && !self.http2
    }

    /// Until when a connection that was asked to end `since` then is left as it is, for a request that may be on its way
    /// already; `None` where there is nothing to wait for, since HTTP/2 announces the end first and loses nothing.
    pub(super) fn may_bring_another(&self, since: Instant, now: Instant) -> Option<Instant> {
        if self.http2 {
            return None;
        }
        let idle_since = if self.in_flight > 0 { now } else { self.head_since.unwrap_or(self.idle_since) };
        Some(since.max(idle_since) + limits::LAST_REQUEST)
    }

    /// What to do now.
    pub(super) fn advice(&self, now: Instant, times: &Times) -> Advice {
        // What begins later cannot be overdue before this.
        let mut next = now + times.headers.min(times.answer_idle).min(times.winding).min(times.idle);
        let mut overdue = |since: Instant, after: Duration| {
            let at = since + after;
            if now < at {
                next = next.min(at);
            }
            now >= at
        };
        let untaken = self.answers.values().filter(|answer| answer.waits_for_client()).map(|answer| answer.moved).min();
        if untaken.is_some_and(|since| overdue(since, times.answer_idle)) {
            return Advice::End(Overdue::Answer);
        }
        if !self.used && overdue(self.opened, times.headers) {
            return Advice::End(Overdue::Head);
        }
        if self.used && self.head_since.is_some_and(|since| overdue(since, times.headers)) {
            return Advice::End(Overdue::Head);
        }
        if self.in_flight == 0 {
            if self.winding_since.is_some_and(|since| overdue(since.max(self.idle_since), times.winding)) {
                return Advice::End(Overdue::Closing);
            }
            let idle = self.used && self.head_since.is_none() && self.winding_since.is_none();
            if idle && overdue(self.idle_since, times.idle) {
                return if self.http2 { Advice::Wind } else { Advice::End(Overdue::Idle) };
            }
        }
        Advice::Continue(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Asks when told to, until something is to be done; how long that took.
    fn outlasts(pulse: &Pulse, from: Instant) -> (u64, Advice) {
        let mut now = from;
        while now < from + 1000 * SECOND {
            match pulse.advice(now, &Times::default()) {
                Advice::Continue(next) => {
                    assert!(next > now, "asked again at once");
                    now = next;
                }
                other => return ((now - from).as_secs(), other),
            }
        }
        (1000, Advice::Continue(now))
    }

    fn used(http2: bool) -> (Pulse, Instant) {
        let now = Instant::now();
        let mut pulse = Pulse::new(now);
        pulse.read(now);
        let request = pulse.begin(http2);
        pulse.end(request, now);
        (pulse, now)
    }

    #[test]
    fn the_first_request_comes_within_the_time_of_a_head() {
        let now = Instant::now();
        let mut pulse = Pulse::new(now);
        assert_eq!(outlasts(&pulse, now), (10, Advice::End(Overdue::Head)));
        pulse.read(now + 9 * SECOND);
        assert_eq!(outlasts(&pulse, now), (10, Advice::End(Overdue::Head)), "trickling gains nothing");
    }

    #[test]
    fn a_request_on_its_way_is_waited_for_when_the_listener_stops() {
        let (mut pulse, now) = used(false);
        assert!(!pulse.is_last());
        pulse.last_request();
        assert!(pulse.is_last());
        let stop = now + 5 * SECOND;
        assert_eq!(pulse.may_bring_another(stop, stop), Some(stop + limits::LAST_REQUEST));
        let request = pulse.begin(false);
        let later = stop + 60 * SECOND;
        assert_eq!(pulse.may_bring_another(stop, later), Some(later + limits::LAST_REQUEST), "under way");
        pulse.end(request, later);
        assert_eq!(pulse.may_bring_another(stop, later + SECOND), Some(later + limits::LAST_REQUEST), "over");
        let (mut pulse, now) = used(true);
        pulse.last_request();
        assert_eq!((pulse.may_bring_another(now, now), pulse.is_last()), (None, false), "HTTP/2 loses nothing");
    }

    #[test]
    fn an_idle_connection_outlives_the_pools_of_proxies() {
        let (mut pulse, now) = used(false);
        assert_eq!(outlasts(&pulse, now), (75, Advice::End(Overdue::Idle)));
        pulse.wrote(now + 5 * SECOND);
        assert_eq!(outlasts(&pulse, now), (80, Advice::End(Overdue::Idle)), "the answer's tail was being taken");
        pulse.read(now + 60 * SECOND);
        assert_eq!(outlasts(&pulse, now + 60 * SECOND), (10, Advice::End(Overdue::Head)), "from the first byte");
    }

    #[test]
    fn an_idle_http_2_connection_is_told_and_then_ended() {
        let (mut pulse, now) = used(true);
        pulse.read(now + 70 * SECOND);
        pulse.wrote(now + 70 * SECOND);
        assert_eq!(outlasts(&pulse, now), (75, Advice::Wind), "pings are no requests");
        pulse.wind(now + 75 * SECOND);
        assert_eq!(outlasts(&pulse, now + 75 * SECOND), (10, Advice::End(Overdue::Closing)));
    }

    #[test]
    fn a_request_may_take_us_long_but_not_the_client_to_take_its_answer() {
        let (mut pulse, now) = used(true);
        let request = pulse.begin(true);
        pulse.read(now);
        assert_eq!(outlasts(&pulse, now).0, 1000, "being answered, its body coming");
        pulse.answer(request, now);
        assert_eq!(outlasts(&pulse, now), (30, Advice::End(Overdue::Answer)), "there is no room for any of it");
        pulse.wanted(request);
        assert_eq!(outlasts(&pulse, now).0, 1000);
        pulse.handed_over(request, 100, now + 2 * SECOND);
        assert_eq!(outlasts(&pulse, now), (32, Advice::End(Overdue::Answer)));
        pulse.taken(request, 99, now + 20 * SECOND);
        assert_eq!(outlasts(&pulse, now), (50, Advice::End(Overdue::Answer)), "from the last byte that moved");
        pulse.taken(request, 1, now + 21 * SECOND);
        pulse.end(request, now + 21 * SECOND);
        assert_eq!(outlasts(&pulse, now), (96, Advice::Wind));
    }

    #[test]
    fn neither_more_of_an_answer_nor_other_requests_make_what_waits_younger() {
        let (mut pulse, now) = used(true);
        let waits = pulse.begin(true);
        pulse.answer(waits, now);
        for second in 0..20 {
            let at = now + second * SECOND;
            pulse.wanted(waits);
            pulse.handed_over(waits, 100, at);
            let quick = pulse.begin(true);
            pulse.answer(quick, at);
            pulse.wanted(quick);
            pulse.handed_over(quick, 100, at);
            pulse.taken(quick, 100, at);
            pulse.end(quick, at);
        }
        assert_eq!(outlasts(&pulse, now), (30, Advice::End(Overdue::Answer)));
        pulse.wanted(waits);
        assert_eq!(outlasts(&pulse, now), (30, Advice::End(Overdue::Answer)), "room for more takes nothing away");
    }
}

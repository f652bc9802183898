//! Limits of a federator that is a process of its own, and of those who deal with one.

use std::time::Duration;

use super::{BodyLimits, InboundLimits, KIB, MIB, UnheardLimits};

/// Size in bytes of the headers of an answer by another process of this backend; beyond it there is no answer. As much as
/// remotes may send ([`OutboundLimits::header_bytes`](super::OutboundLimits::header_bytes)), whose headers a federator
/// passes on.
pub const HEADER_BYTES: usize = 64 * KIB;

/// Size in bytes of the file of a [`FilePolicy`](crate::policy::FilePolicy); a longer one holds no policy. Room for more
/// than the 10,000 remotes that brig allows.
pub const POLICY_FILE_BYTES: usize = MIB;

/// Limits of the listener that the own components call (`POST /rpc/…`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutwardLimits {
    /// Bodies. Each backend that is called has a share of the memory, which has room for the largest body: until it
    /// answers, what it was asked is held.
    pub bodies: BodyLimits,
    /// What of that memory a backend has that was not heard from lately.
    pub unheard: UnheardLimits,
    /// Longest request id in bytes that is taken over; a longer one is replaced.
    pub request_id_bytes: usize,
}

impl Default for OutwardLimits {
    fn default() -> Self {
        Self {
            bodies: BodyLimits::default(),
            unheard: UnheardLimits::default(),
            request_id_bytes: InboundLimits::default().request_id_bytes,
        }
    }
}

/// Limits of the listener that a proxy calls which has judged the certificates of peers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardedLimits {
    /// Bodies. Each address for which requests are forwarded (of IPv6: one /64) has a share of the memory.
    pub bodies: BodyLimits,
    /// Size in bytes of `X-SSL-Certificate`, escaped as it is; beyond it 400. nginx bears 32 KiB in one header.
    pub certificate_bytes: usize,
}

impl Default for ForwardedLimits {
    fn default() -> Self {
        Self { bodies: BodyLimits::default(), certificate_bytes: 32 * KIB }
    }
}

/// Limits of calls to a component of another process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComponentLimits {
    /// TCP connect; beyond it 500 `server-error`.
    pub connect: Duration,
    /// From the request to the head of the answer; beyond it 500 `server-error`.
    pub answer_head: Duration,
    /// Silence within the body of an answer; beyond it the answer breaks off.
    pub answer_idle: Duration,
    /// How long an unused connection stays open: less than the 30 s after which wire-server's components close theirs,
    /// so that no call meets a connection that is being closed.
    pub idle: Duration,
    /// How many unused connections stay open. As many as calls are commonly under way: with fewer, a busy component is
    /// connected to anew for most of the calls beyond.
    pub idle_connections: usize,
    /// Calls under way at a time, each of which has a connection; beyond them 503 with `Retry-After`.
    pub calls: usize,
    /// The same, of one backend domain: a component that is slow for one must have connections left for the others.
    pub calls_per_domain: usize,
}

impl Default for ComponentLimits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            answer_head: Duration::from_secs(10),
            answer_idle: Duration::from_secs(30),
            idle: Duration::from_secs(20),
            idle_connections: 512,
            calls: 2048,
            calls_per_domain: 512,
        }
    }
}

/// Limits of asking brig which remotes are allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrigPolicyLimits {
    /// From the connection to the last byte of the answer.
    pub answer: Duration,
    /// Size in bytes of the answer: room for the 10,000 remotes that brig allows.
    pub answer_bytes: usize,
    /// Shortest pause between two questions, whatever brig says.
    pub shortest_pause: Duration,
    /// Longest pause between two questions, whatever brig says.
    pub longest_pause: Duration,
    /// Pause after a question that was not answered.
    pub retry: Duration,
}

impl Default for BrigPolicyLimits {
    fn default() -> Self {
        Self {
            answer: Duration::from_secs(10),
            answer_bytes: 16 * MIB,
            shortest_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(300),
            retry: Duration::from_secs(5),
        }
    }
}

/// Limits of calls through a federator of another process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutsideLimits {
    /// TCP connect; beyond it 500 `federation-not-available`.
    pub connect: Duration,
    /// For how long it may not be reached, by whichever call, until a call that cannot connect is told so instead of trying
    /// again: enough for a federator to start anew. What was sent is never sent again.
    pub patience: Duration,
    /// Pause before the second attempt of a call to connect; it doubles with each.
    pub first_pause: Duration,
    /// Longest such pause.
    pub longest_pause: Duration,
    /// From the request to the head of the answer, with all attempts to connect; beyond it 500 `federation-local-error`.
    /// More than the federator may take for all its steps, so that its own, better error comes first.
    pub answer_head: Duration,
    /// Silence within the body of an answer; beyond it the answer breaks off.
    pub answer_idle: Duration,
    /// Calls under way at a time, all of them on one connection; beyond them 503 `federation-busy`.
    pub calls: usize,
    /// The same, to one backend domain: calls to a slow one must leave others their room. Where the federator takes fewer
    /// at a time on a connection, the others wait.
    pub calls_per_domain: usize,
    /// The advice of `Retry-After` to those beyond.
    pub busy: Duration,
    /// How many bytes of an error are read; the rest is cut. An error has the remote's one inside, which is at most
    /// [`OutboundLimits::error_body`](super::OutboundLimits::error_body).
    pub error_body: usize,
    /// How long an error may take to arrive.
    pub error_body_time: Duration,
    /// How many bytes of an answer are told to the caller that is no error of Wire.
    pub told_bytes: usize,
    /// Pause between HTTP/2 pings.
    pub ping_interval: Duration,
    /// How long a ping may stay unanswered before the connection counts as dead.
    pub ping_timeout: Duration,
}

impl Default for OutsideLimits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            patience: Duration::from_secs(5),
            first_pause: Duration::from_millis(50),
            longest_pause: Duration::from_secs(1),
            answer_head: Duration::from_secs(60),
            answer_idle: Duration::from_secs(30),
            calls: 8192,
            calls_per_domain: 1024,
            busy: Duration::from_secs(1),
            error_body: 2 * MIB,
            error_body_time: Duration::from_secs(10),
            told_bytes: 1000,
            ping_interval: Duration::from_secs(15),
            ping_timeout: Duration::from_secs(5),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::MemoryLimits, *};

    /// Those that `docs/limits.md` promises.
    #[test]
    fn the_documented_limits() {
        let seconds = |times: &[Duration]| times.iter().map(Duration::as_secs).collect::<Vec<_>>();
        let (outward, forwarded) = (OutwardLimits::default(), ForwardedLimits::default());
        for bodies in [&outward.bodies, &forwarded.bodies] {
            assert_eq!((bodies.bytes, bodies.discarded_bytes), (MIB, 64 * KIB));
            let MemoryLimits { all, each, small_bytes, small, small_each } = bodies.memory;
            assert_eq!((all, each, small_bytes, small, small_each), (256 * MIB, 64 * MIB, 64 * KIB, 32 * MIB, 8 * MIB));
            assert_eq!(seconds(&[bodies.idle, bodies.total, bodies.discarding]), [10, 120, 1]);
        }
        let UnheardLimits { small, large, silence, remembered_for, remembered } = outward.unheard;
        assert_eq!((small, large, remembered), (MIB, 64 * MIB, 10_000));
        assert_eq!(seconds(&[silence, remembered_for]), [2, 60]);
        assert_eq!((outward.request_id_bytes, forwarded.certificate_bytes), (128, 32 * KIB));
        let component = ComponentLimits::default();
        assert_eq!(seconds(&[component.connect, component.answer_head, component.answer_idle]), [5, 10, 30]);
        assert_eq!((component.idle.as_secs(), component.idle_connections), (20, 512));
        assert_eq!((component.calls, component.calls_per_domain), (2048, 512));
        let brig = BrigPolicyLimits::default();
        assert_eq!(seconds(&[brig.answer, brig.shortest_pause, brig.retry]), [10, 1, 5]);
        assert_eq!((brig.answer_bytes, POLICY_FILE_BYTES, HEADER_BYTES), (16 * MIB, MIB, 64 * KIB));
        let outside = OutsideLimits::default();
        assert_eq!(seconds(&[outside.connect, outside.answer_head, outside.answer_idle]), [5, 60, 30]);
        assert_eq!(
            (seconds(&[outside.patience, outside.longest_pause]), outside.first_pause.as_millis()),
            (vec![5, 1], 50)
        );
        assert_eq!(seconds(&[outside.error_body_time, outside.ping_interval, outside.ping_timeout]), [10, 15, 5]);
        assert_eq!((outside.error_body, outside.told_bytes), (2 * MIB, 1000));
        assert_eq!((outside.calls, outside.calls_per_domain, outside.busy.as_secs()), (8192, 1024, 1));
    }
}

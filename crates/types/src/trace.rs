//! W3C Trace Context: the thread by which what several programs did for one request is found again.
//!
//! `traceparent` names the trace and the step that called; `tracestate` is carried along unread. Both are written and
//! read here as text, without any opinion on who may be believed.
//!
//! Whether a step is recorded is decided by the trace's id and the share that this process records, whatever a caller's
//! flag says: who asks for nothing to be recorded, or for everything, is no authority here. The flag tells what was decided:
//! it is set where a step is recorded, and else passed on as it came. A trace that begins here has it only if it is recorded.

use std::{
    fmt,
    str::FromStr,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::Rng;

/// The header that says which trace a request belongs to.
pub const TRACEPARENT: &str = "traceparent";

/// The header that is carried along with it.
pub const TRACESTATE: &str = "tracestate";

/// The longest `tracestate` that is carried along, in bytes: what the specification asks everybody to carry.
pub const MAX_TRACE_STATE: usize = 512;

/// The id of a trace: never all zeros.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId(u128);

/// The id of one step of a trace: never all zeros.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanId(u64);

/// `traceparent`: which trace a request belongs to, and which step of it sent the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    /// The trace.
    pub trace: TraceId,
    /// The step that sent the request.
    pub span: SpanId,
    /// `trace-flags`; of these the lowest bit ([`SAMPLED`]) says that the caller may have recorded its step.
    pub flags: u8,
}

/// The text is no `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a traceparent")]
pub struct TraceParentError;

/// Where in its trace a step is that is being taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace.
    pub trace: TraceId,
    /// This step.
    pub span: SpanId,
    /// The step that this one is part of; `None` for the first one of a trace.
    pub parent: Option<SpanId>,
    flags: u8,
    state: Option<Box<str>>,
}

impl TraceContext {
    /// The first step of a new trace.
    pub fn root(rng: &dyn Rng) -> Self {
        let trace = TraceId::new(rng);
        Self { trace, span: SpanId::new(rng), parent: None, flags: flags(trace, 0, recorded_share()), state: None }
    }

    /// The step that answers a request; `values` gives the values that its headers of a name have. Where [`TRACEPARENT`]
    /// is not there exactly once, or is none, a new trace begins, and [`TRACESTATE`] means nothing.
    pub fn received<'a, V>(values: impl Fn(&'static str) -> V, rng: &dyn Rng) -> Self
    where
        V: Iterator<Item = &'a str>,
    {
        let mut parents = values(TRACEPARENT);
        let (first, second) = (parents.next(), parents.next());
        let parent = first.filter(|_| second.is_none()).and_then(|text| text.parse::<TraceParent>().ok());
        let Some(parent) = parent else { return Self::root(rng) };
        let states: Vec<&str> = values(TRACESTATE).map(str::trim).filter(|state| !state.is_empty()).collect();
        Self {
            trace: parent.trace,
            span: SpanId::new(rng),
            parent: Some(parent.span),
            flags: flags(parent.trace, parent.flags, recorded_share()),
            state: Some(states.join(",")).filter(|text| is_state(text)).map(Box::from),
        }
    }

    /// A step within this one.
    #[must_use]
    pub fn child(&self, rng: &dyn Rng) -> Self {
        Self { span: SpanId::new(rng), parent: Some(self.span), ..self.clone() }
    }

    /// What this step says of itself to those whom it calls.
    pub fn traceparent(&self) -> TraceParent {
        TraceParent { trace: self.trace, span: self.span, flags: self.flags }
    }

    /// What is carried along as [`TRACESTATE`].
    pub fn tracestate(&self) -> Option<&str> {
        self.state.as_deref()
    }
}

/// The flag of a step that may have been recorded.
pub const SAMPLED: u8 = 1;

/// The share of the traces that this process records, as the bits of a float: none, before it says so.
static RECORDED: AtomicU64 = AtomicU64::new(0);

/// From now on this process records that share of the traces, from 0 to 1, and says so to those whom it calls. As recording
/// itself does, this holds for the whole process.
pub fn record_traces(share: f64) {
    RECORDED.store(share.to_bits(), Ordering::Relaxed);
}

fn recorded_share() -> f64 {
    f64::from_bits(RECORDED.load(Ordering::Relaxed))
}

/// What a step says of itself, given what its caller said.
fn flags(trace: TraceId, given: u8, share: f64) -> u8 {
    if trace.is_among(share) { given | SAMPLED } else { given }
}

/// Version, trace, step and flags, with the dashes between them.
const LENGTH: usize = 55;

/// What can stand in a header and be carried along. The list inside is its members' business.
fn is_state(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_TRACE_STATE && text.bytes().all(|b| (0x20..=0x7e).contains(&b))
}

impl FromStr for TraceParent {
    type Err = TraceParentError;

    /// Version 00 to the letter. Of versions to come, the part that they promise to keep.
    fn from_str(text: &str) -> Result<Self, TraceParentError> {
        let text = text.trim();
        let (known, rest) = text.split_at_checked(LENGTH).ok_or(TraceParentError)?;
        let mut parts = known.split('-');
        let mut next = |digits: usize| parts.next().and_then(|part| hex(part, digits)).ok_or(TraceParentError);
        let (version, trace, span, flags) = (next(2)?, next(32)?, next(16)?, next(2)?);
        let ends = if version == 0 { rest.is_empty() } else { rest.is_empty() || rest.starts_with('-') };
        if parts.next().is_some() || !ends || version == 0xff || trace == 0 || span == 0 {
            return Err(TraceParentError);
        }
        let small = |_| TraceParentError;
        // Flags of later versions mean something else.
        let flags = u8::try_from(flags).map_err(small)? & if version == 0 { u8::MAX } else { SAMPLED };
        Ok(Self { trace: TraceId(trace), span: SpanId(u64::try_from(span).map_err(small)?), flags })
    }
}

/// Exactly so many hexadecimal digits, small letters only.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let plain = text.len() == digits && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    plain.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

impl TraceParent {
    /// Its text, which is ASCII.
    pub fn to_ascii(self) -> [u8; LENGTH] {
        let mut text = [b'-'; LENGTH];
        write_hex(&mut text[..2], 0);
        write_hex(&mut text[3..35], self.trace.0);
        write_hex(&mut text[36..52], self.span.0.into());
        write_hex(&mut text[53..], self.flags.into());
        text
    }
}

/// Writes the last digits of a number, as many as there is room for.
fn write_hex(digits: &mut [u8], mut number: u128) {
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(number & 0xf) as usize];
        number >>= 4;
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.to_ascii()).unwrap_or_default())
    }
}

impl TraceId {
    /// From its 32 digits, as it is shown.
    pub fn from_hex(text: &str) -> Option<Self> {
        hex(text, 32).filter(|number| *number != 0).map(Self)
    }

    /// Whether the trace is among that share of all traces. Its last digits are random and decide, so that every backend
    /// decides alike, and a trace is recorded whole or not at all.
    pub fn is_among(self, share: f64) -> bool {
        // So many bits are exact in a float.
        const BITS: u32 = 52;
        let last = self.0 & ((1 << BITS) - 1);
        (last as f64) < share * (1u64 << BITS) as f64
    }

    fn new(rng: &dyn Rng) -> Self {
        Self(((u128::from(rng.shown_u64()) << 64) | u128::from(rng.shown_u64())).max(1))
    }
}

impl SpanId {
    fn new(rng: &dyn Rng) -> Self {
        Self(rng.shown_u64().max(1))
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::SeededRng;

    const GIVEN: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn what_is_a_traceparent_and_what_is_not() {
        let (trace, span) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
        for (text, expected) in [
            (GIVEN.to_owned(), true),
            (format!(" {GIVEN} "), true),
            (format!("00-{trace}-{span}-ff"), true),
            (format!("01-{trace}-{span}-01"), true),
            (format!("cc-{trace}-{span}-01-what-the-future-brings"), true),
            (format!("cc-{trace}-{span}-01what"), false),
            (format!("00-{trace}-{span}-01-more"), false),
            (format!("ff-{trace}-{span}-01"), false),
            (format!("00-{}-{span}-01", "0".repeat(32)), false),
            (format!("00-{trace}-{}-01", "0".repeat(16)), false),
            (GIVEN.to_uppercase(), false),
            (GIVEN.replace('b', "g"), false),
            (GIVEN.replace("-b7", "+b7"), false),
            (format!("00-{trace}{span}--01"), false),
            (format!("{trace}-{span}-01"), false),
            (String::new(), false),
        ] {
            assert_eq!(text.parse::<TraceParent>().is_ok(), expected, "{text}");
        }
        assert_eq!(format!("01-{trace}-{span}-ff").parse::<TraceParent>().unwrap().flags, 1);
    }

    /// What is made of headers with these values.
    fn received(parents: &[&str], states: &[&str]) -> TraceContext {
        let values = |name| if name == TRACEPARENT { parents } else { states }.iter().copied();
        TraceContext::received(values, &SeededRng::new(1))
    }

    fn headers(context: &TraceContext) -> (String, Option<&str>) {
        (context.traceparent().to_string(), context.tracestate())
    }

    #[test]
    fn a_trace_goes_on_or_begins() {
        let first = received(&[GIVEN], &["vendor=1", " ", "other=2"]);
        let given: TraceParent = GIVEN.parse().unwrap();
        assert_eq!((first.trace, first.parent), (given.trace, Some(given.span)));
        let second = first.child(&SeededRng::new(2));
        assert_eq!((second.trace, second.parent), (first.trace, Some(first.span)));
        assert!(second.span != first.span && first.span != given.span);
        let parent = format!("00-{}-{}-01", given.trace, second.span);
        assert_eq!(headers(&second), (parent, Some("vendor=1,other=2")));
        for garbage in [&[][..], &["garbage"], &[GIVEN, GIVEN]] {
            let root = received(garbage, &["vendor=1"]);
            assert_eq!((root.parent, root.tracestate()), (None, None));
            assert_ne!(root.trace, given.trace);
        }
        let unrecorded = received(&[&GIVEN.replace("-01", "-00")], &[]);
        assert!(unrecorded.traceparent().to_string().ends_with("-00"), "a caller's flag is passed on");
        assert_eq!(received(&[], &[]).traceparent().flags, 0, "nothing is recorded here, and nothing else is said");
    }

    #[test]
    fn the_flag_says_what_is_recorded() {
        let trace = |last: &str| TraceId::from_hex(&format!("{}{last}", "1".repeat(19))).unwrap();
        for (last, share, expected) in [
            ("0000000000000", 0.0, false),
            ("028f5c28f5c28", 0.01, true),
            ("028f5c28f5c29", 0.01, false),
            ("7ffffffffffff", 0.5, true),
            ("8000000000000", 0.5, false),
            ("fffffffffffff", 1.0, true),
        ] {
            let trace = trace(last);
            assert_eq!(trace.is_among(share), expected, "{last} {share}");
            assert_eq!(flags(trace, 0, share), u8::from(expected), "{last} {share}");
            // What else the flags say is passed on, and what a caller says of itself too.
            assert_eq!((flags(trace, 2, share), flags(trace, 1, share)), (2 | u8::from(expected), 1));
        }
    }

    #[test]
    fn a_state_is_carried_along_within_bounds() {
        let carried = |text: &str| received(&[GIVEN], &[text]).tracestate().is_some();
        assert_eq!(["a=1", &"x".repeat(512)].map(carried), [true; 2]);
        assert_eq!(["", " ", "a=\n1", "a=\u{fc}", &"x".repeat(513)].map(carried), [false; 5]);
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused(text in "\\PC{0,80}", state in "\\PC{0,600}") {
            let context = received(&[&text], &[&state]);
            prop_assert_eq!(context.parent.is_some(), text.parse::<TraceParent>().is_ok());
        }

        #[test]
        fn near_misses_are_parsed_or_refused(at in 0usize..55, with in "\\PC") {
            let mut chars: Vec<char> = GIVEN.chars().collect();
            chars[at] = with.chars().next().unwrap();
            let text: String = chars.into_iter().collect();
            if let Ok(parent) = text.parse::<TraceParent>() {
                prop_assert!(parent.to_string().parse() == Ok(parent));
            }
        }

        #[test]
        fn what_is_written_is_read(trace in 1u128.., span in 1u64.., flags in any::<u8>()) {
            let parent = TraceParent { trace: TraceId(trace), span: SpanId(span), flags };
            prop_assert_eq!(parent.to_string().parse(), Ok(parent));
            let (trace, span) = (parent.trace, parent.span);
            prop_assert_eq!(TraceId::from_hex(&trace.to_string()), Some(trace));
            prop_assert_eq!(parent.to_string(), format!("00-{trace}-{span}-{flags:02x}"));
        }
    }
}

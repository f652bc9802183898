//! For how long a connection is served, and how it ends: what the listeners for clients, for operators and for other
//! backends have in common.
//!
//! [`Activity`] knows what a connection is busy with and decides, without I/O. [`Wire`] and [`Answer`] report to it what
//! happens, and [`drive()`] carries out what it decides; [`Together`] has a connection and its requests in one task. [`queued`] is for a listener that stops: who had connected is
//! answered. [`last_words`] and [`linger`] are for a connection that ends: it is told why, and what was said arrives. [`check_host`] is asked about each request, and [`Turns`]
//! whether somebody has his share already.

mod activity;
mod answer;
mod drive;
mod farewell;
mod host;
mod limits;
mod queue;
mod streams;
mod turns;
mod watched;
mod wire;

#[cfg(unix)]
pub use self::queue::queued_unix;
pub use self::{
    activity::{Activity, Advice, Expired, Protocol},
    answer::{Answer, Exchange, Piece},
    drive::{End, Orderly, drive},
    farewell::{last_words, linger},
    host::{HostError, check_host},
    limits::{BACKLOG, LAST_REQUEST, Limits},
    queue::{is_of_one_connection, queued},
    streams::{Streams, Together},
    turns::{Turn, Turns},
    watched::Watched,
    wire::{Slot, Wire},
};

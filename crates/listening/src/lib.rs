//! For how long a connection is served, and how it ends: what the listeners for clients, for operators and for other
//! backends have in common.
//!
//! [`Activity`] knows what a connection is busy with and decides, without I/O. [`Wire`] and [`Answer`] report to it what
//! happens, and [`drive()`] carries out what it decides. [`queued`] and [`linger`] are the two ends of a listener that stops:
//! who had connected is answered, and what was answered arrives. [`check_host`] is asked about each request, and [`Turns`]
//! whether somebody has his share already.

mod activity;
mod answer;
mod drive;
mod host;
mod limits;
mod queue;
mod turns;
mod watched;
mod wire;

pub use self::{
    activity::{Activity, Advice, Expired, Protocol},
    answer::{Answer, Exchange, Piece},
    drive::{End, drive, linger},
    host::{HostError, check_host},
    limits::{LAST_REQUEST, Limits},
    queue::queued,
    turns::{Turn, Turns},
    watched::Watched,
    wire::{Slot, Wire},
};

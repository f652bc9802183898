//! What writers did.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::{cpu, written};
use crate::stats::percentile;

/// What is to be done.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// How many write at a time.
    pub writers: usize,
    /// For how long.
    pub lasts: Duration,
}

/// What was done.
#[derive(Clone, Debug)]
pub struct Measured {
    /// What each took, µs, sorted.
    times: Vec<u32>,
    took: Duration,
    cpu: Duration,
    written: u64,
}

/// A measurement that goes on.
pub struct Watch {
    began: Instant,
    cpu: Duration,
    written: u64,
}

impl Watch {
    /// Begins now.
    ///
    /// # Errors
    /// The kernel does not say what it knows.
    pub fn start() -> Result<Self> {
        Ok(Self { cpu: cpu()?, written: written(), began: Instant::now() })
    }

    /// Ends now, with what each of the things done took in µs.
    ///
    /// # Errors
    /// The kernel does not say what it knows.
    pub fn stop(self, mut times: Vec<u32>) -> Result<Measured> {
        let took = self.began.elapsed();
        times.sort_unstable();
        Ok(Measured { times, took, cpu: cpu()? - self.cpu, written: written() - self.written })
    }
}

impl Measured {
    /// How many a second.
    pub fn rate(&self) -> f64 {
        self.times.len() as f64 / self.took.as_secs_f64()
    }

    /// The time below which that part lies, µs.
    pub fn percentile(&self, part: f64) -> f64 {
        percentile(&self.times, part).map_or(f64::NAN, f64::from)
    }

    /// CPU time of each, µs.
    pub fn cpu_each(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.times.len() as f64
    }

    /// Bytes that went to the disk for each byte of payload.
    pub fn written_per_byte(&self, payload: usize) -> f64 {
        self.written as f64 / (self.times.len() * payload) as f64
    }
}

/// The time since then, in µs.
pub fn micros(since: Instant) -> u32 {
    u32::try_from(since.elapsed().as_micros()).unwrap_or(u32::MAX)
}

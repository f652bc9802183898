//! Randomness as a parameter.

use std::{cell::Cell, sync::Mutex};

use uuid::{Builder, Uuid};

/// Where random bytes come from. Rules take it as an argument, so a test may freeze it.
pub trait Rng: Send + Sync {
    /// Fills the buffer with random bytes.
    fn fill(&self, bytes: &mut [u8]);

    /// A random 32-bit number.
    fn u32(&self) -> u32 {
        let mut bytes = [0; 4];
        self.fill(&mut bytes);
        u32::from_be_bytes(bytes)
    }

    /// A random 64-bit number.
    fn u64(&self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_be_bytes(bytes)
    }

    /// A random number below `bound`, which must not be 0. The bias is below 2⁻³² for bounds of 32 bits.
    fn below(&self, bound: u64) -> u64 {
        ((u128::from(self.u64()) * u128::from(bound)) >> 64) as u64
    }

    /// A random UUID (version 4).
    fn uuid(&self) -> Uuid {
        let mut bytes = [0; 16];
        self.fill(&mut bytes);
        Builder::from_random_bytes(bytes).into_uuid()
    }

    /// A random 64-bit number for what everybody may see and that guards nothing, such as the id of a request. Whoever sees
    /// some may be able to tell others: never for secrets, and not for ids of what is kept.
    fn shown_u64(&self) -> u64 {
        self.u64()
    }

    /// A random UUID (version 4) of such numbers.
    fn shown_uuid(&self) -> Uuid {
        let bytes = (u128::from(self.shown_u64()) << 64) | u128::from(self.shown_u64());
        Builder::from_random_bytes(bytes.to_be_bytes()).into_uuid()
    }
}

/// The operating system's generator.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRng;

impl Rng for SystemRng {
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the operating system hands out random bytes");
    }

    /// From a generator that each thread has, seeded by the operating system: no system call for each number.
    fn shown_u64(&self) -> u64 {
        thread_local! {
            static GENERATOR: Cell<[u64; 4]> = Cell::new(SystemRng.seed());
        }
        GENERATOR.with(|generator| {
            let (number, next) = xoshiro256(generator.get());
            generator.set(next);
            number
        })
    }
}

impl SystemRng {
    /// A state that is not all zeros, of which no other would come.
    fn seed(self) -> [u64; 4] {
        [self.u64().max(1), self.u64(), self.u64(), self.u64()]
    }
}

/// One step of xoshiro256++ (Blackman and Vigna): a number, and the state after it.
fn xoshiro256(mut s: [u64; 4]) -> (u64, [u64; 4]) {
    let number = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
    let shifted = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = s[3].rotate_left(45);
    (number, s)
}

/// A repeatable generator for tests and simulations (SplitMix64). Not for secrets.
#[derive(Debug)]
pub struct SeededRng(Mutex<u64>);

impl SeededRng {
    /// The generator of that seed.
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(seed))
    }
}

impl Rng for SeededRng {
    fn fill(&self, bytes: &mut [u8]) {
        let mut state = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for chunk in bytes.chunks_mut(8) {
            *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = *state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^= z >> 31;
            chunk.copy_from_slice(&z.to_be_bytes()[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_generator_gives_the_numbers_that_it_is_known_for() {
        let mut state = [1, 2, 3, 4];
        let numbers: Vec<u64> = std::iter::repeat_with(|| {
            let (number, next) = xoshiro256(state);
            state = next;
            number
        })
        .take(4)
        .collect();
        assert_eq!(numbers, [41_943_041, 58_720_359, 3_588_806_011_781_223, 3_591_011_842_654_386]);
    }

    #[test]
    fn threads_show_different_numbers() {
        let numbers = || (0..1000).map(|_| SystemRng.shown_u64()).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(numbers)).collect();
        let all: HashSet<u64> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        assert_eq!(all.len(), 4000);
        assert_eq!(SystemRng.shown_uuid().get_version_num(), 4);
    }

    #[test]
    fn where_numbers_repeat_those_that_are_shown_do_too() {
        let shown = |seed| SeededRng::new(seed).shown_uuid();
        assert_eq!(shown(1), shown(1));
        assert_ne!(shown(1), shown(2));
    }
}

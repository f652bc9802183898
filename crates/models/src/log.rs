//! A log on three replicas whose clocks, messages and pauses nobody can rely on: write, look, move up.
//!
//! An entry's id is minted by its writer's clock, so a late writer could put an entry before one that a reader has passed.
//! Therefore a writer **looks** after its write: if a newer id is there, the entry moves up, by a second write with the
//! same key. A reader first reads the newest id, and the read's **repair** puts that entry on a majority before the
//! second read begins, which takes everything up to it.

use stateright::{Model, Property};

const REPLICAS: usize = 3;

/// What makes the log safe.
#[derive(Clone, Copy, Debug)]
pub struct Safeguards {
    /// A writer looks for newer entries after its write.
    pub look: bool,
    /// It looks only when a majority has its write.
    pub write_before_look: bool,
    /// A reader asks for the newest id first, and then for what lies up to it.
    pub two_reads: bool,
    /// The first read puts what it found where it was missing.
    pub repair: bool,
}

impl Safeguards {
    /// The protocol as it is.
    pub const ALL: Self = Self { look: true, write_before_look: true, two_reads: true, repair: true };
}

/// The model: writers that append one entry each, every one on a node of its own, and one reader with a cursor.
#[derive(Clone, Debug)]
pub struct Log {
    /// What is switched on.
    pub safeguards: Safeguards,
    /// The tick that the clock of each writer shows.
    pub clocks: Vec<u8>,
    /// How often each writer writes at most, after a time-out or to move up.
    pub writes: Vec<u8>,
    /// How many pages the reader reads.
    pub pages: u8,
}

/// The id of a copy of an entry: its tick, then its node. Larger is newer. The node tells whose entry it is.
type Id = u8;

/// A set of ids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ids(u32);

/// How far a writer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Writing {
    Idle,
    Wrote {
        id: Id,
    },
    /// A majority has its copy.
    Held {
        id: Id,
    },
    /// Has the answer of one replica to its look: the two newest.
    Looked {
        id: Id,
        at: usize,
        seen: Ids,
    },
    Acknowledged {
        id: Id,
        prev: Id,
    },
    GaveUp,
}

/// A writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Writer {
    at: Writing,
    writes: u8,
    /// The newest id that was acknowledged when it began.
    before: Id,
}

/// How far the reader is with its page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Reading {
    Idle,
    Newest { at: usize, seen: Ids },
    Range { upto: Id },
    Ranged { upto: Id, at: usize, seen: Ids },
}

/// Everything there is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// What was ever written. It may reach any replica at any time, or never: when a replica is asked, any of what it
    /// has not got may just have arrived. Nobody could tell if it had come earlier.
    written: Ids,
    /// What each replica has. Replicas are alike, so they are kept in order.
    has: [Ids; REPLICAS],
    writers: Vec<Writer>,
    reading: Reading,
    pages: u8,
    cursor: Id,
    /// Whose entries the reader was given.
    given: u8,
}

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// A writer mints an id by its clock, and writes.
    Append(usize),
    /// These two replicas confirm a writer's copy.
    Hold(usize, [usize; 2]),
    /// A writer waits no longer and writes again, under a new id.
    TimeOut(usize),
    /// A replica, after these have arrived, answers a writer's look.
    Look(usize, usize, Ids),
    /// A replica, after these have arrived, answers the reader.
    Read(usize, Ids),
}

impl Ids {
    fn iter(self) -> impl Iterator<Item = Id> {
        (0..u32::BITS as Id).filter(move |id| self.has(*id))
    }

    fn has(self, id: Id) -> bool {
        self.0 & (1 << id) != 0
    }

    fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    fn one(id: Id) -> Self {
        Self(1 << id)
    }

    /// The newest, or 0, which is older than all.
    fn newest(self) -> Id {
        self.iter().last().unwrap_or(0)
    }

    fn two_newest(self) -> Self {
        let newest = self.of_newest();
        newest.with(self.without(newest).of_newest())
    }

    fn of_newest(self) -> Self {
        if self == Self::default() { self } else { Self::one(self.newest()) }
    }

    fn subsets(self) -> impl Iterator<Item = Self> {
        // Counts down through the numbers whose bits are all of this set.
        std::iter::successors(Some(self), move |subset| (subset.0 != 0).then(|| Self((subset.0 - 1) & self.0)))
    }

    fn between(self, after: Id, upto: Id) -> Self {
        self.iter().filter(|id| *id > after && *id <= upto).fold(Self::default(), |ids, id| ids.with(Self::one(id)))
    }
}

impl Log {
    fn writers(&self) -> u8 {
        self.clocks.len() as u8
    }

    fn write(&self, state: &mut State, writer: usize, tick: u8) {
        let id = tick * self.writers() + writer as u8;
        state.written = state.written.with(Ids::one(id));
        state.writers[writer].writes += 1;
        state.writers[writer].at = Writing::Wrote { id };
    }

    fn write_again(&self, state: &mut State, writer: usize, after: Id) {
        if state.writers[writer].writes < self.writes[writer] {
            self.write(state, writer, after / self.writers() + 1);
        } else {
            state.writers[writer].at = Writing::GaveUp;
        }
    }

    fn look(&self, state: &mut State, writer: usize, replica: usize) {
        let found = state.has[replica].two_newest();
        match state.writers[writer].at {
            Writing::Wrote { id } | Writing::Held { id } => {
                state.writers[writer].at = Writing::Looked { id, at: replica, seen: found };
            }
            Writing::Looked { id, seen, .. } => {
                let seen = seen.with(found).two_newest();
                let newest = seen.newest();
                if newest <= id || !self.safeguards.look {
                    let prev = seen.without(Ids::one(id)).newest();
                    state.writers[writer].at = Writing::Acknowledged { id, prev };
                } else {
                    self.write_again(state, writer, newest);
                }
            }
            Writing::Idle | Writing::Acknowledged { .. } | Writing::GaveUp => {}
        }
    }

    fn read(&self, state: &mut State, replica: usize) {
        let has = state.has[replica];
        state.reading = match state.reading {
            Reading::Idle if self.safeguards.two_reads => Reading::Newest { at: replica, seen: has.of_newest() },
            Reading::Idle => Reading::Ranged { upto: Id::MAX, at: replica, seen: has },
            Reading::Newest { at, seen } => {
                let newest = seen.with(has).of_newest();
                if self.safeguards.repair {
                    state.arrive(at, newest);
                    state.arrive(replica, newest);
                }
                Reading::Range { upto: newest.newest() }
            }
            Reading::Range { upto } => Reading::Ranged { upto, at: replica, seen: has },
            Reading::Ranged { upto, seen, .. } => {
                let page = seen.with(has).between(state.cursor, upto);
                state.given = page.iter().fold(state.given, |given, id| given | 1 << (id % self.writers()));
                state.cursor = state.cursor.max(if self.safeguards.two_reads { upto } else { page.newest() });
                state.pages += 1;
                Reading::Idle
            }
        };
    }
}

impl State {
    fn arrive(&mut self, replica: usize, ids: Ids) {
        self.has[replica] = self.has[replica].with(ids);
    }

    /// What may have arrived at a replica since it was asked last.
    fn arrivals(&self, replica: usize) -> impl Iterator<Item = Ids> {
        self.written.without(self.has[replica]).subsets()
    }

    /// Whose entry, its id, and what it was told comes before.
    fn acknowledged(&self) -> impl Iterator<Item = (usize, Id, Id)> {
        self.writers.iter().enumerate().filter_map(|(writer, is)| match is.at {
            Writing::Acknowledged { id, prev } => Some((writer, id, prev)),
            _ => None,
        })
    }

    /// Puts the replicas in order: states that differ only in their names are one.
    fn ordered(mut self) -> Self {
        // Nor does it matter how a writer that is at its end came there.
        for writer in &mut self.writers {
            match writer.at {
                Writing::Acknowledged { .. } => writer.writes = 0,
                Writing::GaveUp => (writer.writes, writer.before) = (0, 0),
                Writing::Idle | Writing::Wrote { .. } | Writing::Held { .. } | Writing::Looked { .. } => {}
            }
        }
        let asked = |state: &Self, replica: usize| {
            let looked =
                state.writers.iter().map(|writer| matches!(writer.at, Writing::Looked { at, .. } if at == replica));
            let read =
                matches!(state.reading, Reading::Newest { at, .. } | Reading::Ranged { at, .. } if at == replica);
            looked.fold(u32::from(read), |bits, looked| bits << 1 | u32::from(looked))
        };
        let mut order: [usize; REPLICAS] = std::array::from_fn(|replica| replica);
        order.sort_by_key(|replica| (self.has[*replica], asked(&self, *replica)));
        let is_now = |replica: usize| order.iter().position(|was| *was == replica).unwrap_or(replica);
        self.has = order.map(|was| self.has[was]);
        for writer in &mut self.writers {
            if let Writing::Looked { at, .. } = &mut writer.at {
                *at = is_now(*at);
            }
        }
        if let Reading::Newest { at, .. } | Reading::Ranged { at, .. } = &mut self.reading {
            *at = is_now(*at);
        }
        self
    }
}

impl Model for Log {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            written: Ids::default(),
            has: [Ids::default(); REPLICAS],
            writers: vec![Writer { at: Writing::Idle, writes: 0, before: 0 }; self.clocks.len()],
            reading: Reading::Idle,
            pages: 0,
            cursor: 0,
            given: 0,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let look = |writer: usize, replica: usize| {
            state.arrivals(replica).map(move |arrived| Action::Look(writer, replica, arrived))
        };
        for (index, writer) in state.writers.iter().enumerate() {
            match writer.at {
                Writing::Idle => actions.push(Action::Append(index)),
                Writing::Wrote { .. } => {
                    actions.push(Action::TimeOut(index));
                    if self.safeguards.write_before_look {
                        actions.extend([[0, 1], [0, 2], [1, 2]].map(|pair| Action::Hold(index, pair)));
                    } else {
                        actions.extend((0..REPLICAS).flat_map(|replica| look(index, replica)));
                    }
                }
                Writing::Held { .. } => actions.extend((0..REPLICAS).flat_map(|replica| look(index, replica))),
                Writing::Looked { at, .. } => {
                    let others = (0..REPLICAS).filter(|replica| *replica != at);
                    actions.extend(others.flat_map(|replica| look(index, replica)));
                }
                Writing::Acknowledged { .. } | Writing::GaveUp => {}
            }
        }
        if state.pages < self.pages {
            let asked = match state.reading {
                Reading::Idle | Reading::Range { .. } => None,
                Reading::Newest { at, .. } | Reading::Ranged { at, .. } => Some(at),
            };
            let replicas = (0..REPLICAS).filter(|replica| asked != Some(*replica));
            actions.extend(
                replicas.flat_map(|replica| state.arrivals(replica).map(move |arrived| Action::Read(replica, arrived))),
            );
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Append(writer) => {
                state.writers[writer].before = state.acknowledged().map(|(_, id, _)| id).max().unwrap_or(0);
                self.write(&mut state, writer, self.clocks[writer]);
            }
            Action::Hold(writer, replicas) => {
                if let Writing::Wrote { id } = state.writers[writer].at {
                    for replica in replicas {
                        state.arrive(replica, Ids::one(id));
                    }
                    state.writers[writer].at = Writing::Held { id };
                }
            }
            Action::TimeOut(writer) => {
                if let Writing::Wrote { id } = state.writers[writer].at {
                    self.write_again(&mut state, writer, id);
                }
            }
            Action::Look(writer, replica, arrived) => {
                state.arrive(replica, arrived);
                self.look(&mut state, writer, replica);
            }
            Action::Read(replica, arrived) => {
                state.arrive(replica, arrived);
                self.read(&mut state, replica);
            }
        }
        Some(state.ordered())
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("nothing is skipped", |_, state: &State| {
                state.acknowledged().all(|(writer, id, _)| state.cursor < id || state.given & (1 << writer) != 0)
            }),
            Property::always("acknowledged before begun is smaller", |_, state: &State| {
                state.acknowledged().all(|(writer, id, _)| id > state.writers[writer].before)
            }),
            Property::always("prev is true", |_, state: &State| {
                let mut pairs =
                    state.acknowledged().flat_map(|one| state.acknowledged().map(move |other| (one, other)));
                !pairs.any(|((_, id, prev), (_, other, _))| prev < other && other < id)
            }),
            // A tick for a time-out, and another that nothing but moving up explains.
            Property::sometimes("an entry moves up", |model: &Log, state: &State| {
                state.acknowledged().any(|(writer, id, _)| id / model.writers() > model.clocks[writer] + 1)
            }),
            Property::sometimes("all is read", |model: &Log, state: &State| {
                state.acknowledged().count() == model.clocks.len()
                    && state.given.count_ones() == u32::from(model.writers())
            }),
        ]
    }
}

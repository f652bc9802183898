//! The conditional commit of an engine that can write one partition conditionally and everything else only plainly.
//!
//! A commit first writes an *intent* that holds its effects, then changes the aggregate by one conditional write that also
//! names the intent in the aggregate's head, then carries the effects out, answers, and deletes the intent. The
//! conditional write may time out and yet be applied later. Who finds an intent in the head finishes it first (**help**);
//! a **sweeper** finishes what nobody else does; who has to say whether a commit happened makes sure that it cannot happen
//! any more before it says no (the **fence**).

use stateright::{Model, Property};

/// What makes the commit safe.
#[derive(Clone, Copy, Debug)]
pub struct Safeguards {
    /// Before its own intent, a commit carries out that of its predecessor.
    pub help: bool,
    /// Before a commit is called dead, the version it expects is moved away.
    pub fence: bool,
    /// Plain rows are written with the commit's time, so that a late put loses.
    pub timestamps: bool,
    /// The intent is written before the conditional write.
    pub intent_first: bool,
}

impl Safeguards {
    /// The protocol as it is.
    pub const ALL: Self = Self { help: true, fence: true, timestamps: true, intent_first: true };
}

/// The model: commits on one aggregate, each with an effect on the same plain row and an append to the same log.
#[derive(Clone, Debug)]
pub struct Commits {
    /// What is switched on.
    pub safeguards: Safeguards,
    /// How many commits there are.
    pub commits: usize,
    /// How many sweepers.
    pub sweepers: usize,
    /// How many versions the head remembers.
    pub remembered: usize,
}

/// The head row of the aggregate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Head {
    version: u8,
    /// The last versions, fences too, with the commit that made each.
    recent: Vec<(u8, Option<usize>)>,
    /// The commit whose intent is to be finished before the next.
    intent: Option<usize>,
}

/// The intent of a commit. Deleted ones never come back: the deletion carries a later time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Intent {
    None,
    Written,
    Deleted,
}

/// The conditional write of a commit, which expects `base` and makes `base + 1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Write {
    Unsent,
    /// On its way; it may be applied at any time, or never.
    Sent {
        base: u8,
    },
    Applied,
    Refused,
}

/// What is to be done for a commit that is known to have happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Finish {
    Put,
    Append,
    Forget,
}

/// Finding out whether a commit happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Resolve {
    Read,
    Fence { base: u8 },
}

/// How far the process that makes a commit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum At {
    Open,
    Helping { base: u8, of: usize, finish: Finish },
    Intend { base: u8 },
    Send { base: u8 },
    Wait,
    Resolving(Resolve),
    Finishing(Finish),
    Over,
}

/// What the caller was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Answer {
    None,
    Done,
    /// Conflict, or unavailable: it did not happen and will not.
    No,
    Unknown,
}

/// A process that makes a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Committer {
    at: At,
    base: u8,
    answer: Answer,
}

/// A sweeper, which works on one intent at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Sweeper {
    Idle,
    Resolving(usize, Resolve),
    Finishing(usize, Finish),
}

/// Everything there is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    head: Head,
    /// The commits that happened, in order. Nobody in the model can read this.
    chain: Vec<usize>,
    intents: Vec<Intent>,
    writes: Vec<Write>,
    /// The plain row: the commit it is from.
    plain: Option<usize>,
    /// The first occurrence of each entry of the log.
    log: Vec<usize>,
    committers: Vec<Committer>,
    sweepers: Vec<Sweeper>,
    happened: Happened,
}

/// What the orders visited are known to contain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Happened {
    helped: bool,
    fenced: bool,
    swept: bool,
}

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// A committer goes on.
    Commit(usize),
    /// A committer has waited long enough for its conditional write.
    TimeOut(usize),
    /// A conditional write arrives.
    Arrive(usize),
    /// A sweeper takes up an intent, whether or not its owner lives.
    Sweep(usize, usize),
    /// A sweeper goes on.
    Sweeper(usize),
}

/// What became of a commit, as far as the head tells.
enum Verdict {
    Happened,
    Dead,
    Undecided { version: u8 },
    Unknown,
}

impl Commits {
    fn remember(&self, head: &mut Head, version: u8, commit: Option<usize>) {
        head.version = version;
        head.recent.push((version, commit));
        if head.recent.len() > self.remembered {
            head.recent.remove(0);
        }
    }

    /// Judges by a serial read of the head whether a commit that expects `base` happened.
    fn judge(&self, head: &Head, commit: usize, base: u8) -> Verdict {
        let all_known = usize::from(head.version) < self.remembered;
        if head.recent.iter().any(|(_, by)| *by == Some(commit)) {
            Verdict::Happened
        } else if head.version == base {
            Verdict::Undecided { version: base }
        } else if all_known || head.recent.iter().any(|(version, _)| *version == base) {
            Verdict::Dead
        } else {
            Verdict::Unknown
        }
    }

    fn fence(&self, state: &mut State, base: u8) -> bool {
        let applies = state.head.version == base;
        if applies {
            self.remember(&mut state.head, base + 1, None);
            state.happened.fenced = true;
        }
        applies
    }

    /// One step of finishing a commit; what comes next.
    fn finish(&self, state: &mut State, commit: usize, step: Finish) -> Option<Finish> {
        match step {
            Finish::Put => {
                let position = |commit| state.chain.iter().position(|other| *other == commit);
                let newer = state.plain.is_none_or(|is| position(is) <= position(commit));
                if newer || !self.safeguards.timestamps {
                    state.plain = Some(commit);
                }
                Some(Finish::Append)
            }
            Finish::Append => {
                if !state.log.contains(&commit) {
                    state.log.push(commit);
                }
                Some(Finish::Forget)
            }
            Finish::Forget => {
                state.intents[commit] = Intent::Deleted;
                None
            }
        }
    }

    fn commit(&self, state: &mut State, commit: usize) {
        let Committer { at, base, .. } = state.committers[commit];
        let mut answer = None;
        let next = match at {
            At::Open => {
                let base = state.head.version;
                state.committers[commit].base = base;
                match state.head.intent {
                    Some(of) if self.safeguards.help && state.intents[of] == Intent::Written => {
                        At::Helping { base, of, finish: Finish::Put }
                    }
                    _ => self.opened(base),
                }
            }
            At::Helping { base, of, finish } => match self.finish(state, of, finish) {
                Some(finish) => At::Helping { base, of, finish },
                None => {
                    state.happened.helped = true;
                    self.opened(base)
                }
            },
            At::Intend { base } => {
                state.intents[commit] = Intent::Written;
                if self.safeguards.intent_first { At::Send { base } } else { At::Finishing(Finish::Put) }
            }
            At::Send { base } => {
                state.writes[commit] = Write::Sent { base };
                At::Wait
            }
            At::Wait => match state.writes[commit] {
                Write::Applied if self.safeguards.intent_first => At::Finishing(Finish::Put),
                Write::Applied => At::Intend { base },
                _ => {
                    answer = Some(Answer::No);
                    // Its intent is of no use to anybody.
                    state.intents[commit] = Intent::Deleted;
                    At::Over
                }
            },
            At::Resolving(resolve) => match self.resolve(state, commit, base, resolve) {
                Resolved::Further(resolve) => At::Resolving(resolve),
                Resolved::Happened => At::Finishing(Finish::Put),
                Resolved::Dead => {
                    answer = Some(Answer::No);
                    At::Over
                }
                Resolved::Unknown => {
                    answer = Some(Answer::Unknown);
                    At::Over
                }
            },
            At::Finishing(finish) => {
                if finish == Finish::Forget {
                    answer = Some(Answer::Done);
                }
                self.finish(state, commit, finish).map_or(At::Over, At::Finishing)
            }
            At::Over => At::Over,
        };
        let committer = &mut state.committers[commit];
        committer.at = next;
        if let Some(answer) = answer {
            committer.answer = answer;
        }
    }

    fn opened(&self, base: u8) -> At {
        if self.safeguards.intent_first { At::Intend { base } } else { At::Send { base } }
    }

    fn resolve(&self, state: &mut State, commit: usize, base: u8, step: Resolve) -> Resolved {
        let dead = |state: &mut State| {
            state.intents[commit] = Intent::Deleted;
            Resolved::Dead
        };
        match step {
            Resolve::Read => match self.judge(&state.head, commit, base) {
                Verdict::Happened => Resolved::Happened,
                Verdict::Dead => dead(state),
                Verdict::Unknown => Resolved::Unknown,
                Verdict::Undecided { version } if self.safeguards.fence => {
                    Resolved::Further(Resolve::Fence { base: version })
                }
                Verdict::Undecided { .. } => dead(state),
            },
            Resolve::Fence { base } => {
                if self.fence(state, base) {
                    dead(state)
                } else {
                    Resolved::Further(Resolve::Read)
                }
            }
        }
    }

    fn sweep(&self, state: &mut State, sweeper: usize) {
        state.sweepers[sweeper] = match state.sweepers[sweeper] {
            Sweeper::Idle => Sweeper::Idle,
            Sweeper::Resolving(commit, step) => {
                let base = state.committers[commit].base;
                match self.resolve(state, commit, base, step) {
                    Resolved::Further(step) => Sweeper::Resolving(commit, step),
                    Resolved::Happened => Sweeper::Finishing(commit, Finish::Put),
                    Resolved::Dead | Resolved::Unknown => Sweeper::Idle,
                }
            }
            Sweeper::Finishing(commit, step) => match self.finish(state, commit, step) {
                Some(step) => Sweeper::Finishing(commit, step),
                None => {
                    state.happened.swept = true;
                    Sweeper::Idle
                }
            },
        };
    }

    fn arrive(&self, state: &mut State, commit: usize) {
        let Write::Sent { base } = state.writes[commit] else { return };
        state.writes[commit] = if state.head.version == base {
            self.remember(&mut state.head, base + 1, Some(commit));
            state.head.intent = Some(commit);
            state.chain.push(commit);
            Write::Applied
        } else {
            Write::Refused
        };
    }
}

/// What a step of finding out came to.
enum Resolved {
    Further(Resolve),
    Happened,
    Dead,
    Unknown,
}

impl State {
    /// Nobody is going to carry out this commit's effects any more, should its owner have crashed.
    fn settled(&self, commit: usize) -> bool {
        self.intents[commit] != Intent::Written
    }

    fn carried_out(&self, commit: usize) -> bool {
        self.log.contains(&commit) && self.plain.is_some()
    }
}

impl Model for Commits {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            head: Head::default(),
            chain: Vec::new(),
            intents: vec![Intent::None; self.commits],
            writes: vec![Write::Unsent; self.commits],
            plain: None,
            log: Vec::new(),
            committers: vec![Committer { at: At::Open, base: 0, answer: Answer::None }; self.commits],
            sweepers: vec![Sweeper::Idle; self.sweepers],
            happened: Happened::default(),
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for (commit, committer) in state.committers.iter().enumerate() {
            let waits = committer.at == At::Wait;
            let answered = matches!(state.writes[commit], Write::Applied | Write::Refused);
            if committer.at != At::Over && (!waits || answered) {
                actions.push(Action::Commit(commit));
            }
            if waits {
                actions.push(Action::TimeOut(commit));
            }
            if matches!(state.writes[commit], Write::Sent { .. }) {
                actions.push(Action::Arrive(commit));
            }
        }
        for (index, sweeper) in state.sweepers.iter().enumerate() {
            match sweeper {
                Sweeper::Idle => actions.extend(
                    (0..self.commits)
                        .filter(|commit| state.intents[*commit] == Intent::Written)
                        .map(|commit| Action::Sweep(index, commit)),
                ),
                _ => actions.push(Action::Sweeper(index)),
            }
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Commit(commit) => self.commit(&mut state, commit),
            Action::TimeOut(commit) => state.committers[commit].at = At::Resolving(Resolve::Read),
            Action::Arrive(commit) => self.arrive(&mut state, commit),
            Action::Sweep(sweeper, commit) => state.sweepers[sweeper] = Sweeper::Resolving(commit, Resolve::Read),
            Action::Sweeper(sweeper) => self.sweep(&mut state, sweeper),
        }
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("wholly or not", |_, state: &State| {
                (0..state.intents.len()).all(|commit| {
                    let happened = state.chain.contains(&commit);
                    if happened {
                        !state.settled(commit) || state.carried_out(commit)
                    } else {
                        !state.log.contains(&commit)
                    }
                })
            }),
            Property::always("what was acknowledged is there", |_, state: &State| {
                state.committers.iter().enumerate().all(|(commit, committer)| {
                    committer.answer != Answer::Done || state.chain.contains(&commit) && state.carried_out(commit)
                })
            }),
            Property::always("no means never", |_, state: &State| {
                state
                    .committers
                    .iter()
                    .enumerate()
                    .all(|(commit, committer)| committer.answer != Answer::No || !state.chain.contains(&commit))
            }),
            Property::always("appends follow the chain", |_, state: &State| state.chain.starts_with(&state.log)),
            Property::always("effects follow the chain", |_, state: &State| {
                // Once the last commit's effects are known to be out, the row is its own.
                state.chain.last().is_none_or(|last| !state.settled(*last) || state.plain == Some(*last))
            }),
            Property::sometimes("helped", |_, state: &State| state.happened.helped),
            Property::sometimes("fenced", |_, state: &State| state.happened.fenced),
            Property::sometimes("swept", |_, state: &State| state.happened.swept),
            Property::sometimes("all done", |model: &Commits, state: &State| state.log.len() == model.commits),
        ]
    }
}

//! A unique name, taken and given up by users whose rows are aggregates of their own.
//!
//! *A claim binds only while its owner's row names it.* Taking a name is two commits, first the claim, then the own row,
//! and a rival may come between. There is no clock in the model: where the protocol spares a young claim, a rival here
//! takes it or leaves it, as it likes. What holds then holds for any grace.

use stateright::{Model, Property};

/// What makes taking safe.
#[derive(Clone, Copy, Debug)]
pub struct Safeguards {
    /// A taker touches the aggregate of the former owner before it takes his claim over.
    pub touch: bool,
    /// A taker opens its own row before it takes the claim, and commits on that view.
    pub own_row_first: bool,
    /// A taker commits itself as the owner even if the claim shows it already.
    pub retake: bool,
}

impl Safeguards {
    /// The protocol as it is.
    pub const ALL: Self = Self { touch: true, own_row_first: true, retake: true };
}

/// What one device of a user wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wish {
    /// To have the name.
    Take,
    /// To be called otherwise.
    Leave,
}

/// The model: devices of users, each with one wish for the same name.
#[derive(Clone, Debug)]
pub struct Claims {
    /// What is switched on.
    pub safeguards: Safeguards,
    /// The user of each device, 0 or 1, and its wish.
    pub devices: Vec<(usize, Wish)>,
    /// How often a device starts again after a conflict.
    pub tries: u8,
}

/// An aggregate of one row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct User {
    version: u8,
    names: bool,
}

/// The aggregate of the name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Name {
    version: u8,
    owner: Option<usize>,
}

/// How far a device is. `own` is the version of the own row it will commit on, `name` that of the claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum At {
    Begin,
    OpenName { own: u8 },
    OpenOwner { own: u8, name: u8, owner: usize },
    Touch { own: u8, name: u8, owner: usize, seen: u8 },
    Take { own: u8, name: u8 },
    Name { own: Option<u8> },
    Unname { own: u8 },
    OpenToFree,
    Free { name: u8 },
    Over,
}

/// A device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Device {
    at: At,
    tries: u8,
}

/// Everything there is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    users: [User; 2],
    name: Name,
    devices: Vec<Device>,
    /// Somebody was turned away because the owner's row named the name.
    taken: bool,
    /// Both users have named it, one after the other.
    named: [bool; 2],
}

/// One step of one device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// The next step of the protocol.
    Step(usize),
    /// A taker finds the claim young and leaves it alone.
    Spare(usize),
}

impl Claims {
    fn step(&self, state: &mut State, device: usize) {
        let (me, wish) = self.devices[device];
        let now = state.devices[device];
        let next = match now.at {
            At::Begin if wish == Wish::Leave => match state.users[me] {
                User { names: true, version } => At::Unname { own: version },
                User { names: false, .. } => At::Over,
            },
            At::Begin => At::OpenName { own: state.users[me].version },
            At::OpenName { own } => {
                let name = state.name.version;
                match state.name.owner {
                    Some(owner) if owner != me => At::OpenOwner { own, name, owner },
                    Some(_) if !self.safeguards.retake => self.name_on(own),
                    _ => At::Take { own, name },
                }
            }
            At::OpenOwner { own, name, owner } => match state.users[owner] {
                User { names: true, .. } => {
                    state.taken = true;
                    At::Over
                }
                User { version: seen, .. } if self.safeguards.touch => At::Touch { own, name, owner, seen },
                User { .. } => At::Take { own, name },
            },
            At::Touch { own, name, owner, seen } => {
                if commit(&mut state.users[owner].version, seen) {
                    At::Take { own, name }
                } else {
                    self.again(now)
                }
            }
            At::Take { own, name } => {
                if commit(&mut state.name.version, name) {
                    state.name.owner = Some(me);
                    self.name_on(own)
                } else {
                    self.again(now)
                }
            }
            At::Name { own: None } => At::Name { own: Some(state.users[me].version) },
            At::Name { own: Some(own) } => {
                if commit(&mut state.users[me].version, own) {
                    state.users[me].names = true;
                    state.named[me] = true;
                    At::Over
                } else {
                    self.again(now)
                }
            }
            At::Unname { own } => {
                if commit(&mut state.users[me].version, own) {
                    state.users[me].names = false;
                    At::OpenToFree
                } else {
                    self.again(now)
                }
            }
            At::OpenToFree if state.name.owner == Some(me) => At::Free { name: state.name.version },
            At::OpenToFree => At::Over,
            At::Free { name } => {
                commit(&mut state.name.version, name);
                At::Over
            }
            At::Over => At::Over,
        };
        let device = &mut state.devices[device];
        if next == At::Begin {
            device.tries += 1;
        }
        device.at = next;
    }

    fn name_on(&self, own: u8) -> At {
        At::Name { own: self.safeguards.own_row_first.then_some(own) }
    }

    /// After a conflict everything is read anew, the own row too.
    fn again(&self, device: Device) -> At {
        if device.tries + 1 < self.tries { At::Begin } else { At::Over }
    }
}

/// Writes an aggregate that is expected to be unchanged.
fn commit(version: &mut u8, seen: u8) -> bool {
    let unchanged = *version == seen;
    *version += u8::from(unchanged);
    unchanged
}

impl Model for Claims {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let devices = vec![Device { at: At::Begin, tries: 0 }; self.devices.len()];
        vec![State { users: Default::default(), name: Name::default(), devices, taken: false, named: [false; 2] }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for (index, device) in state.devices.iter().enumerate() {
            match device.at {
                At::Over => {}
                At::OpenOwner { .. } => actions.extend([Action::Step(index), Action::Spare(index)]),
                _ => actions.push(Action::Step(index)),
            }
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut state = state.clone();
        match action {
            Action::Step(device) => self.step(&mut state, device),
            Action::Spare(device) => state.devices[device].at = At::Over,
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("one owner", |_, state: &State| !state.users.iter().all(|user| user.names)),
            // Otherwise looking the name up by its claim would not find the user who has it.
            Property::always("who has it is found", |_, state: &State| {
                state.users.iter().enumerate().all(|(id, user)| !user.names || state.name.owner == Some(id))
            }),
            Property::sometimes("it changes hands", |_, state: &State| state.named == [true; 2]),
            Property::sometimes("it is taken", |_, state: &State| state.taken),
        ]
    }
}

//! The protocols of the store as models, small enough that a checker visits every order of events.
//!
//! An engine of several machines has to keep the store's promises by protocols whose steps others interleave with. Each
//! is modelled here as plain states and actions; the checker is [`stateright`]. Nothing happens by itself in a model: an
//! actor that is never scheduled again has crashed, one that is scheduled late was paused, a message that is never
//! delivered was lost. So every crash, pause and loss is among the orders visited, and a property that holds, holds
//! whatever they are.
//!
//! - [`claim`]: a unique name has one owner.
//! - [`commit`]: rows, effects and appends of a commit happen wholly or not, in the order of the aggregate's commits.
//! - [`log`]: a cursor skips no acknowledged entry.
//!
//! Each model has switches for the safeguards of its protocol. With one of them off a property must fall, otherwise the
//! safeguard is for nothing or the model does not see what it is for; the tests hold both.

pub mod claim;
pub mod commit;
pub mod log;

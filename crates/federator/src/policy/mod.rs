//! Whom to deal with, where the federator is a process of its own: from a file, or from brig.

mod brig;
mod file;

pub use self::{
    brig::{BrigPolicy, BrigPolicyError},
    file::{FilePolicy, FilePolicyError},
};

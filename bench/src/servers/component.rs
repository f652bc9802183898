//! What answers behind a proxy.

use std::{net::SocketAddr, process::Command};

use anyhow::{Context, Result};

use super::Child;
use crate::{
    ground::{Ground, free_address},
    proc::Processes,
};

/// A component that speaks HTTP/1.1: a small program that answers at once with the bytes that Ferrule's brig would send.
pub struct Component {
    /// Where it listens.
    pub address: SocketAddr,
    /// It and all who work for it.
    pub processes: Processes,
    _child: Child,
}

impl Component {
    /// The words for it in a table.
    pub const WHAT: &str = "a small HTTP/1.1 server of the bench that answers the bytes of Ferrule's brig at once";

    /// Starts it.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(ground: &Ground) -> Result<Self> {
        let address = free_address()?;
        let log = ground.folder("component")?.join("log");
        let mut command = Command::new(std::env::current_exe().context("the bench's own program")?);
        command.arg("component").arg(address.to_string());
        let mut child = Child::start(command, &log)?;
        child.wait_for(address, &log)?;
        Ok(Self { address, processes: Processes::of([child.id()]), _child: child })
    }
}

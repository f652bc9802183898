//! Memory and start.

use std::time::Instant;

use anyhow::Result;
use tls::issue::KeyType;

use super::Bench;
use crate::{
    ground::{BACKEND, CALLER, Credentials, Ground},
    load::{Generator, Protocol},
    proc::Memory,
    servers::{Behind, Component, Server},
    stats::{Spread, short},
    table::Table,
};

/// Calls in flight of the load after which memory is looked at.
const IN_FLIGHT: usize = 256;

type Start<'a> = Box<dyn Fn() -> Result<Option<Server>> + 'a>;

/// Memory when idle, for each idle connection, and after a load; the time from start to the first answer.
///
/// # Errors
/// A server does not start, or a call does not go well.
pub async fn size(bench: &Bench) -> Result<()> {
    let ground = Ground::lay().await?;
    let ca = ground.authority("p256", KeyType::EcdsaP256)?;
    let (own, caller): (Credentials, Credentials) = (ca.issue(BACKEND)?, ca.issue(CALLER)?);
    let component = Component::start(&ground)?;
    let generator = Generator::new(&caller)?;
    let (programs, ground, own) = (&bench.programs, &ground, &own);

    println!("## (e) Memory and start\n");
    println!(
        "KiB resident (in brackets with shared pages divided); one server at a time; the component of the bench does not \
         count. {} idle HTTP/2 connections, each used once; the load is {IN_FLIGHT} calls in flight on each protocol. The \
         start is of a process whose files are in memory, until a call by mutual TLS is answered.\n",
        bench.plan.idle_connections
    );
    let mut table =
        Table::new(["server", "idle", "KiB per idle connection", "after load", "start to first answer, ms"]);
    let starts: [Start<'_>; 3] = [
        Box::new(|| Server::ferrule(programs, ground, "ferrule", own).map(Some)),
        Box::new(|| Server::federator(programs, ground, own, &component)),
        Box::new(|| Server::nginx(programs, ground, own, Behind::Component(&component)).map(Some)),
    ];
    for start in starts {
        let mut times = Vec::new();
        // The first start writes what later ones find.
        let mut running = start()?;
        for _ in 0..bench.plan.starts {
            drop(running.take());
            let begun = Instant::now();
            running = start()?;
            if let Some(server) = &running {
                generator.connect(server.address, Protocol::Http2).await?.call().await?;
                times.push(begun.elapsed().as_secs_f64() * 1e3);
            }
        }
        let Some(server) = running else { continue };
        let idle = server.own.memory()?;
        let load = {
            let mut connections = Vec::with_capacity(bench.plan.idle_connections);
            for _ in 0..bench.plan.idle_connections {
                let mut connection = generator.connect(server.address, Protocol::Http2).await?;
                connection.call().await?;
                connections.push(connection);
            }
            server.own.memory()?
        };
        for protocol in Protocol::ALL {
            generator.warm(server.address, protocol, IN_FLIGHT).await?.run(2 * bench.plan.cell).await?;
        }
        let after = server.own.memory()?;
        let grown = load.proportional.saturating_sub(idle.proportional);
        table.row([
            server.name.to_owned(),
            kib(idle),
            short(grown as f64 / bench.plan.idle_connections as f64),
            kib(after),
            Spread::of(times).map_or_else(String::new, |spread| spread.to_string()),
        ]);
    }
    println!("{table}");
    Ok(())
}

fn kib(memory: Memory) -> String {
    format!("{} ({})", memory.resident, memory.proportional)
}

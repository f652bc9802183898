//! New connections with mutual TLS.

use anyhow::Result;
use tls::issue::KeyType;

use super::{Bench, turns, verdict};
use crate::{
    ground::{BACKEND, CALLER, Ground},
    load::{Generator, Sample},
    servers::{Behind, Server},
    stats::{Spread, short},
    table::Table,
};

/// How many connections are being made at a time: enough to keep a server busy, few enough for no queue.
const AT_A_TIME: usize = 8;

/// With P-256 and with RSA of 2048 bits, CA and leaves of the same kind. nginx answers the one call on each connection
/// itself.
///
/// # Errors
/// A server does not start, or a connection does not go well.
pub async fn connections(bench: &Bench) -> Result<()> {
    println!("## (c) New connections with mutual TLS\n");
    println!(
        "One call on each, {AT_A_TIME} at a time, no resumption on either side; nginx answers by `return`, without a \
         component.\n"
    );
    let mut table = Table::new([
        "server",
        "certificates",
        "encryption",
        "CPU µs/connection",
        "connections per CPU second",
        "against nginx",
        "p50 ms",
        "p99 ms",
    ]);
    let mut goals = Vec::new();
    for (kind, key_type, goal) in [("P-256", KeyType::EcdsaP256, 2.0), ("RSA-2048", KeyType::Rsa2048, 1.0)] {
        let ground = Ground::lay().await?;
        let ca = ground.authority("ca", key_type)?;
        let (own, caller) = (ca.issue(BACKEND)?, ca.issue(CALLER)?);
        let generator = Generator::new(&caller)?;
        let servers = [
            Server::ferrule(&bench.programs, &ground, "ferrule", &own)?,
            Server::nginx(&bench.programs, &ground, &own, Behind::Nothing)?,
        ];
        let mut rounds: [Vec<(f64, Sample)>; 2] = Default::default();
        for round in 0..bench.plan.rounds {
            for n in turns(servers.len(), round) {
                let server = &servers[n];
                let before = server.processes.cpu()?;
                let sample = generator.connections(server.address, AT_A_TIME, 2 * bench.plan.cell).await?;
                let cpu = server.processes.cpu()?.saturating_sub(before);
                rounds[n].push((sample.each(cpu), sample));
            }
        }
        let cpu = |n: usize| rounds[n].iter().map(|(cpu, _)| *cpu).collect::<Vec<f64>>();
        for (n, server) in servers.iter().enumerate() {
            let of = |spread: Option<Spread>| spread.map_or_else(|| "–".to_owned(), |s| s.to_string());
            let middle = |part| Spread::of(rounds[n].iter().map(|(_, s)| s.milliseconds(part)));
            // More connections per CPU second is less CPU for each.
            let against = Spread::ratio(&cpu(1), &cpu(n));
            table.row([
                server.name.to_owned(),
                kind.to_owned(),
                generator.encryption(server.address).await?,
                of(Spread::of(cpu(n))),
                of(Spread::of(cpu(n).into_iter().map(|cpu| 1e6 / cpu))),
                of(against),
                middle(0.5).map_or_else(String::new, |s| short(s.median)),
                middle(0.99).map_or_else(String::new, |s| short(s.median)),
            ]);
            if let (0, Some(ratio)) = (n, against) {
                goals.push(format!(
                    "- {kind}: at least {goal:.1} times nginx: {ratio}, {}",
                    verdict(ratio.median >= goal)
                ));
            }
        }
    }
    println!("{table}\nGoals:\n\n{}\n", goals.join("\n"));
    Ok(())
}

//! Calls of other backends on connections that stand.

use anyhow::Result;
use tls::issue::KeyType;

use super::{Bench, turns, verdict};
use crate::{
    ground::{BACKEND, CALLER, Ground},
    load::{Generator, Protocol},
    servers::{Behind, Component, Server},
    stats::{Spread, short},
    table::Table,
};

const IN_FLIGHT: [usize; 3] = [1, 32, 256];

/// Where all servers have the same to do: calls a second, over how many connections or streams.
const PACE: u32 = 4000;
const PACED: usize = 32;

/// One server in one cell, round by round.
#[derive(Clone, Debug, Default)]
struct Series {
    cpu: Vec<f64>,
    p50: Vec<f64>,
    p99: Vec<f64>,
    rate: Vec<f64>,
}

/// Ferrule in one process and as a federator of its own, beside nginx in front of a component.
///
/// # Errors
/// A server does not start, or a call does not go well.
pub async fn inward(bench: &Bench) -> Result<()> {
    let ground = Ground::lay().await?;
    let ca = ground.authority("p256", KeyType::EcdsaP256)?;
    let (own, caller) = (ca.issue(BACKEND)?, ca.issue(CALLER)?);
    let component = Component::start(&ground)?;
    let generator = Generator::new(&caller)?;
    let programs = &bench.programs;
    let mut servers = vec![
        Server::ferrule(programs, &ground, "ferrule", &own)?,
        Server::nginx(programs, &ground, &own, Behind::Component(&component))?,
    ];
    if let Some(federator) = Server::federator(programs, &ground, &own, &component)? {
        servers.push(federator);
    }
    servers.push(Server::nginx(programs, &ground, &own, Behind::Proxy(&component))?);

    println!("## (a), (b) Inward calls on connections that stand\n");
    println!("`brig/api-version`; P-256; {} rounds of {:?} a cell.", bench.plan.rounds, bench.plan.cell);
    for server in &servers {
        println!("- {}: {}", server.name, generator.encryption(server.address).await?);
    }
    println!("\nThe component: {}.\n", Component::WHAT);

    let mut table = Table::new([
        "server",
        "protocol",
        "in flight",
        "CPU µs/call",
        "CPU against nginx → component",
        "p50 ms",
        "p99 ms",
        "p99 against nginx → component",
        "calls/s",
    ]);
    let mut verdicts = Verdicts::default();
    for protocol in Protocol::ALL {
        for in_flight in IN_FLIGHT {
            let all = cell(bench, &generator, &servers, protocol, in_flight, None).await?;
            let nginx = servers.iter().position(|s| s.name == "nginx → component").map(|n| &all[n]);
            for (server, series) in servers.iter().zip(&all) {
                let against = |of: fn(&Series) -> &Vec<f64>| nginx.and_then(|n| Spread::ratio(of(series), of(n)));
                let (cpu, p99) = (against(|s| &s.cpu), against(|s| &s.p99));
                table.row([
                    server.name.to_owned(),
                    protocol.name().to_owned(),
                    in_flight.to_string(),
                    text(Spread::of(series.cpu.iter().copied())),
                    text(cpu),
                    middle(&series.p50),
                    text(Spread::of(series.p99.iter().copied())),
                    text(p99),
                    middle(&series.rate),
                ]);
            }
            verdicts.note(&servers, &all);
        }
    }
    println!("{table}");

    println!(
        "The same at a pace of {PACE} calls a second, by {PACED} callers, so that nobody saturates the machine:\n"
    );
    let mut table = Table::new(["server", "protocol", "p50 ms", "p99 ms", "p99 against nginx → component"]);
    for protocol in Protocol::ALL {
        let all = cell(bench, &generator, &servers, protocol, PACED, Some(PACE)).await?;
        let nginx = servers.iter().position(|s| s.name == "nginx → component").map(|n| &all[n]);
        for (server, series) in servers.iter().zip(&all) {
            let p99 = nginx.and_then(|nginx| Spread::ratio(&series.p99, &nginx.p99));
            table.row([
                server.name.to_owned(),
                protocol.name().to_owned(),
                text(Spread::of(series.p50.iter().copied())),
                text(Spread::of(series.p99.iter().copied())),
                text(p99),
            ]);
        }
        verdicts.note_paced(&servers, &all);
    }
    println!("{table}");
    verdicts.print();
    Ok(())
}

/// All servers in one cell, in turns.
async fn cell(
    bench: &Bench,
    generator: &Generator,
    servers: &[Server],
    protocol: Protocol,
    in_flight: usize,
    pace: Option<u32>,
) -> Result<Vec<Series>> {
    let mut all = vec![Series::default(); servers.len()];
    for round in 0..bench.plan.rounds {
        for n in turns(servers.len(), round) {
            let server = &servers[n];
            let load = generator.warm(server.address, protocol, in_flight).await?;
            let before = server.processes.cpu()?;
            let sample = match pace {
                Some(rate) => load.paced(bench.plan.cell, rate).await?,
                None => load.run(bench.plan.cell).await?,
            };
            let cpu = server.processes.cpu()?.saturating_sub(before);
            let series = &mut all[n];
            series.cpu.push(sample.each(cpu));
            series.p50.push(sample.milliseconds(0.5));
            series.p99.push(sample.milliseconds(0.99));
            series.rate.push(sample.rate());
        }
    }
    Ok(all)
}

/// The worst cell of each goal.
#[derive(Default)]
struct Verdicts {
    one_process: Worst,
    one_process_p99: Worst,
    one_process_paced: Worst,
    federator: Worst,
    federator_single: Worst,
    federator_seen: bool,
}

/// The largest of the middles, with its spread.
#[derive(Default)]
struct Worst(Option<Spread>);

impl Worst {
    fn note(&mut self, ratio: Option<Spread>) {
        let worse = |ratio: &Spread| self.0.is_none_or(|worst| ratio.median > worst.median);
        if let Some(ratio) = ratio.filter(worse) {
            self.0 = Some(ratio);
        }
    }

    fn line(&self, goal: &str, limit: f64) {
        let met = self.0.is_some_and(|worst| worst.median <= limit);
        println!("- {goal}: worst cell {}, {}", text(self.0), verdict(met));
    }
}

impl Verdicts {
    fn note(&mut self, servers: &[Server], all: &[Series]) {
        let of = |name: &str| servers.iter().position(|s| s.name == name).map(|n| &all[n]);
        let Some(nginx) = of("nginx → component") else { return };
        if let Some(ferrule) = of("ferrule serve") {
            self.one_process.note(Spread::ratio(&ferrule.cpu, &nginx.cpu));
            self.one_process_p99.note(Spread::ratio(&ferrule.p99, &nginx.p99));
        }
        if let (Some(federator), Some(proxies)) = (of("ferrule federator → component"), of("nginx → nginx → component"))
        {
            self.federator_seen = true;
            self.federator.note(Spread::ratio(&federator.cpu, &proxies.cpu));
            self.federator_single.note(Spread::ratio(&federator.cpu, &nginx.cpu));
        }
    }

    fn note_paced(&mut self, servers: &[Server], all: &[Series]) {
        let of = |name: &str| servers.iter().position(|s| s.name == name).map(|n| &all[n]);
        if let (Some(ferrule), Some(nginx)) = (of("ferrule serve"), of("nginx → component")) {
            self.one_process_paced.note(Spread::ratio(&ferrule.p99, &nginx.p99));
        }
    }

    fn print(&self) {
        println!("Goals:\n");
        self.one_process.line("one process: fewer CPU µs than nginx → component (below 1.00)", 1.0);
        self.one_process_p99.line("one process: p99 no worse than nginx → component, machine saturated", 1.0);
        self.one_process_paced.line("one process: p99 no worse than nginx → component, at the same pace", 1.0);
        if self.federator_seen {
            self.federator.line("federator: fewer CPU µs than nginx → nginx → component (below 1.00)", 1.0);
            self.federator_single.line("federator: at most 1.3 times nginx → component", 1.3);
        } else {
            println!("- federator: not yet, the program has no `federator`");
        }
        println!();
    }
}

fn text(spread: Option<Spread>) -> String {
    spread.map_or_else(|| "–".to_owned(), |spread| spread.to_string())
}

fn middle(values: &[f64]) -> String {
    Spread::of(values.iter().copied()).map_or_else(|| "–".to_owned(), |spread| short(spread.median))
}

//! Calls to another backend.

use std::time::Duration;

use anyhow::Result;
use services::ClientLimits;
use tls::issue::KeyType;

use super::{Bench, turns, verdict};
use crate::{
    caller::{CallerPlan, CallerResult, Manner, Task},
    ground::{BACKEND, CALLER, Credentials, Ground},
    load::Sample,
    messenger::Messenger,
    proc::Processes,
    servers::{Behind, Component, Server},
    stats::{Spread, short},
    table::Table,
};

/// What is compared: a name, the way of calling, calls at a time, and how often in a run of cells of that length.
const WARM: [(Manner, usize, &str); 4] = [
    (Manner::Warm, 1, "Ferrule, warm pool"),
    (Manner::Habit, 1, "new connection for version and call each"),
    (Manner::Warm, 32, "Ferrule, warm pool"),
    (Manner::Habit, 32, "new connection for version and call each"),
];
const COLD: [(Manner, usize, &str); 2] =
    [(Manner::Cold, 1, "Ferrule, first call"), (Manner::Least, 1, "DNS, one connection, version, call")];

#[derive(Clone, Debug, Default)]
struct Series {
    caller: Vec<f64>,
    remote: Vec<f64>,
    p50: Vec<f64>,
    p99: Vec<f64>,
    rate: Vec<f64>,
}

/// Ferrule's federator in a process of the bench, beside a client with upstream's habit, and the first call beside the
/// least that a first call can do.
///
/// # Errors
/// A server does not start, or a call does not go well.
pub async fn outward(bench: &Bench) -> Result<()> {
    let ground = Ground::lay().await?;
    let ca = ground.authority("p256", KeyType::EcdsaP256)?;
    let (own, caller) = (ca.issue(BACKEND)?, ca.issue(CALLER)?);
    let component = Component::start(&ground)?;
    // The remote is the same for all, and not Ferrule.
    let remote = Server::nginx(&bench.programs, &ground, &own, Behind::Component(&component))?;
    ground.publish(BACKEND, remote.address)?;

    println!("## (d) Outward calls\n");
    println!(
        "`brig/get-user-by-handle` on nginx → component as the remote, P-256. Ferrule: `FederationClient` over \
         `Federator` in a process of the bench, as its components call. Beside it a client that for each call opens one \
         connection for the version query and another for the call, as wire-server's federator does (without DNS, which \
         is in its favour).\n"
    );
    let mut table = Table::new([
        "caller",
        "in flight",
        "caller's CPU µs/call",
        "remote's CPU µs/call",
        "p50 ms",
        "p99 ms",
        "calls/s",
    ]);
    let mut goals = Vec::new();
    for group in [&WARM[..2], &WARM[2..], &COLD[..]] {
        let mut all = vec![Series::default(); group.len()];
        for round in 0..bench.plan.rounds {
            for n in turns(group.len(), round) {
                let (manner, in_flight, _) = group[n];
                measure(bench, &ground, &caller, &remote, (manner, in_flight), &mut all[n]).await?;
            }
        }
        for ((_, in_flight, name), series) in group.iter().zip(&all) {
            let spread = |values: &[f64]| Spread::of(values.iter().copied());
            let text = |values: &[f64]| spread(values).map_or_else(String::new, |s| s.to_string());
            let middle = |values: &[f64]| spread(values).map_or_else(String::new, |s| short(s.median));
            table.row([
                (*name).to_owned(),
                in_flight.to_string(),
                text(&series.caller),
                text(&series.remote),
                text(&series.p50),
                middle(&series.p99),
                middle(&series.rate),
            ]);
        }
        let of = |of: fn(&Series) -> &Vec<f64>| Spread::ratio(of(&all[0]), of(&all[1]));
        let in_words = |ratio: Option<Spread>| ratio.map_or_else(|| "–".to_owned(), |ratio| ratio.to_string());
        if group[0].0 == Manner::Cold {
            let p50 = of(|series| &series.p50);
            let met = p50.is_some_and(|ratio| ratio.median <= 1.25);
            goals.push(format!(
                "- first call, no extra round trip: p50 {} of DNS, one connection, version and call (at most 1.25), {}",
                in_words(p50),
                verdict(met)
            ));
        } else {
            goals.push(format!(
                "- {} in flight, Ferrule of the habit: caller's CPU {}, remote's CPU {}, p50 {}",
                group[0].1,
                in_words(of(|series| &series.caller)),
                in_words(of(|series| &series.remote)),
                in_words(of(|series| &series.p50))
            ));
        }
    }
    println!("{table}\nRatios and goals:\n\n{}\n", goals.join("\n"));
    Ok(())
}

async fn measure(
    bench: &Bench,
    ground: &Ground,
    own: &Credentials,
    remote: &Server,
    (manner, in_flight): (Manner, usize),
    series: &mut Series,
) -> Result<()> {
    let task =
        Task::One { manner, remote: BACKEND.to_owned(), address: remote.address, in_flight, time: bench.plan.cell };
    let answer_time: Duration = ClientLimits::default().answer_time;
    let plan = CallerPlan { dns: ground.dns(), own: own.clone(), answer_time, task };
    let mut caller = Messenger::start("caller", &ground.folder("caller")?, &plan)?;
    let processes = Processes::of([caller.id()?]);
    let _: String = caller.hear().await?;
    let before = (processes.cpu()?, remote.processes.cpu()?);
    caller.go().await?;
    let CallerResult { latencies, elapsed } = caller.hear().await?;
    let sample = Sample::new(latencies, elapsed);
    series.caller.push(sample.each(processes.cpu()?.saturating_sub(before.0)));
    series.remote.push(sample.each(remote.processes.cpu()?.saturating_sub(before.1)));
    series.p50.push(sample.milliseconds(0.5));
    series.p99.push(sample.milliseconds(0.99));
    series.rate.push(sample.rate());
    Ok(())
}

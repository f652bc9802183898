//! What remotes that misbehave cost those that do not.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use anyhow::Result;
use federator::limits::OutboundLimits;
use tls::issue::KeyType;

use super::{Bench, turns, verdict};
use crate::{
    caller::{BadRemote, BadSummary, CallerPlan, Crowd, CrowdResult, Task},
    ground::{CALLER, Credentials, Ground},
    load::Sample,
    messenger::Messenger,
    peers::{Manner, Peer},
    stats::{Spread, short},
    table::Table,
};

/// How many remotes of each kind there are: 120 healthy ones, 20 dead, 20 silent, 20 that trickle, 20 that lie.
const REMOTES: [(Manner, usize); 10] = [
    (Manner::Healthy, 120),
    (Manner::Dead, 20),
    (Manner::Silent, 20),
    (Manner::TrickledHandshake, 7),
    (Manner::TrickledHead, 7),
    (Manner::TrickledBody, 6),
    (Manner::WrongName, 5),
    (Manner::WrongAuthority, 5),
    (Manner::NoTls, 5),
    (Manner::NoHttp, 5),
];

/// The pause between two calls to the same remote: 600 calls a second to healthy ones, 320 to bad ones.
const HEALTHY_PAUSE: Duration = Duration::from_millis(200);
const BAD_PAUSE: Duration = Duration::from_millis(250);

/// By how much bad remotes may raise the p99 of the others.
const GOAL: f64 = 1.1;

/// What bad remotes may cost in memory, in KiB: the bound of the goal "memory bounded".
const MEMORY: u64 = 64 * 1024;

/// The loads of a round: one with bad remotes, two without, whose difference is the noise.
const WITH_BAD: [bool; 3] = [true, false, false];

/// Ferrule's federator calls 200 remotes, of which 80 misbehave, and the same without those.
///
/// # Errors
/// The program is at fault.
pub async fn neighbours(bench: &Bench) -> Result<()> {
    let ground = Ground::lay().await?;
    let ca = ground.authority("p256", KeyType::EcdsaP256)?;
    let stranger = ground.authority("stranger", KeyType::EcdsaP256)?;
    let own = ca.issue(CALLER)?;
    let mut names = Vec::new();
    let mut peers = Vec::new();
    for (manner, count) in REMOTES {
        for n in 0..count {
            let name = format!("{}-{n}.example", format!("{manner:?}").to_lowercase());
            let credentials = match manner {
                Manner::WrongAuthority => stranger.issue(&name)?,
                Manner::WrongName => ca.issue("elsewhere.example")?,
                _ => ca.issue(&name)?,
            };
            names.push((manner, name));
            peers.push(Peer { manner, credentials });
        }
    }
    let mut playing = Messenger::start("peers", &ground.folder("peers")?, &peers)?;
    let addresses: Vec<SocketAddr> = playing.hear().await?;
    for ((_, name), address) in names.iter().zip(addresses) {
        ground.publish(name, address)?;
    }
    let crowd = crowd(bench, &names);

    // With bad remotes, without, without: p99 and p50 by round, and the most memory.
    let mut p99: [Vec<f64>; 3] = Default::default();
    let mut p50: [Vec<f64>; 3] = Default::default();
    let mut peak = [0; 3];
    let (mut bad, mut calls, mut failed) = (BTreeMap::<Manner, BadSummary>::new(), 0, 0);
    for round in 0..bench.plan.neighbour_rounds {
        for n in turns(WITH_BAD.len(), round) {
            let crowd = if WITH_BAD[n] { crowd.clone() } else { Crowd { bad: Vec::new(), ..crowd.clone() } };
            let result = load(bench, &ground, &own, crowd).await?;
            let sample = Sample::new(result.healthy, bench.plan.neighbour_load);
            calls += sample.count();
            failed += result.healthy_failed;
            p99[n].push(sample.milliseconds(0.99));
            p50[n].push(sample.milliseconds(0.5));
            peak[n] = peak[n].max(result.peak);
            for (manner, summary) in result.bad {
                add(bad.entry(manner).or_default(), &summary);
            }
        }
    }
    report(bench, &p99, &p50, &peak);
    judge(&p99, &peak, &bad, (calls, failed));
    Ok(())
}

fn crowd(bench: &Bench, names: &[(Manner, String)]) -> Crowd {
    let (healthy, bad): (Vec<_>, Vec<_>) = names.iter().cloned().partition(|(manner, _)| *manner == Manner::Healthy);
    let remote = |(manner, domain)| {
        let deadline = deadline(manner).min(bench.plan.neighbour_answer);
        BadRemote { domain, manner, deadline }
    };
    Crowd {
        healthy: healthy.into_iter().map(|(_, name)| name).collect(),
        bad: bad.into_iter().map(remote).collect(),
        healthy_pause: HEALTHY_PAUSE,
        bad_pause: BAD_PAUSE,
        time: bench.plan.neighbour_load,
    }
}

/// When the step must have ended in which a call to such a remote fails.
fn deadline(manner: Manner) -> Duration {
    let limits = OutboundLimits::default();
    match manner {
        Manner::Healthy | Manner::TrickledBody => Duration::MAX,
        Manner::Dead => limits.connect_all,
        Manner::Silent | Manner::TrickledHandshake | Manner::WrongName | Manner::WrongAuthority | Manner::NoTls => {
            limits.handshake
        }
        Manner::TrickledHead | Manner::NoHttp => limits.answer_head,
    }
}

async fn load(bench: &Bench, ground: &Ground, own: &Credentials, crowd: Crowd) -> Result<CrowdResult> {
    let answer_time = bench.plan.neighbour_answer;
    let plan = CallerPlan { dns: ground.dns(), own: own.clone(), answer_time, task: Task::Crowd(crowd) };
    let mut caller = Messenger::start("caller", &ground.folder("caller")?, &plan)?;
    let _: String = caller.hear().await?;
    caller.go().await?;
    caller.hear().await
}

fn add(sum: &mut BadSummary, one: &BadSummary) {
    sum.calls += one.calls;
    sum.answered += one.answered;
    sum.late += one.late;
    sum.longest = sum.longest.max(one.longest);
    sum.deadline = one.deadline;
}

fn report(bench: &Bench, p99: &[Vec<f64>; 3], p50: &[Vec<f64>; 3], peak: &[u64; 3]) {
    println!("## Neighbours\n");
    println!(
        "200 remotes: 120 healthy ones, called 600 times a second; 80 bad ones, called 320 times a second. {} rounds, in \
         each a load of {:?} with the bad ones and two without, each by a new process that is connected to the healthy ones; \
         latencies count from when a call was due. The limits are the product's, but an answer has {:?} as a whole.\n",
        bench.plan.neighbour_rounds, bench.plan.neighbour_load, bench.plan.neighbour_answer
    );
    let mut table = Table::new(["load", "p50 ms", "p99 ms", "peak memory, KiB"]);
    for (n, name) in ["with 80 bad remotes", "without", "without, again"].into_iter().enumerate() {
        let text = |values: &[f64]| Spread::of(values.iter().copied()).map_or_else(String::new, |s| s.to_string());
        table.row([name.to_owned(), text(&p50[n]), text(&p99[n]), peak[n].to_string()]);
    }
    println!("{table}");
}

fn judge(p99: &[Vec<f64>; 3], peak: &[u64; 3], bad: &BTreeMap<Manner, BadSummary>, (calls, failed): (usize, usize)) {
    let mut table =
        Table::new(["bad remotes", "calls", "of them answered", "longest, s", "deadline, s", "not over by then"]);
    for (manner, summary) in bad {
        table.row([
            format!("{manner:?}"),
            summary.calls.to_string(),
            summary.answered.to_string(),
            short(f64::from(summary.longest) / 1e6),
            short(summary.deadline.as_secs_f64()),
            summary.late.to_string(),
        ]);
    }
    println!("{table}");

    let clean: Vec<f64> = p99[1].iter().zip(&p99[2]).map(|(one, other)| f64::midpoint(*one, *other)).collect();
    let noise = Spread::of(p99[1].iter().zip(&p99[2]).map(|(one, other)| one.max(*other) / one.min(*other)));
    let ratio = Spread::ratio(&p99[0], &clean);
    let within = matches!((ratio, noise), (Some(ratio), Some(noise)) if ratio.median <= GOAL.max(noise.median));
    let text = |spread: Option<Spread>| spread.map_or_else(|| "–".to_owned(), |s| s.to_string());
    println!("Goals:\n");
    println!(
        "- p99 with bad remotes against the mean of the two without: {} (two without against each other: {}), {}",
        text(ratio),
        text(noise),
        verdict(within)
    );
    let more = peak[0].saturating_sub(peak[1].min(peak[2]));
    println!("- memory: {more} KiB more at the peak with bad remotes (at most {MEMORY}), {}", verdict(more <= MEMORY));
    let late: usize = bad.values().map(|summary| summary.late).sum();
    println!("- bad calls that were not over by their deadline: {late}, {}", verdict(late == 0));
    println!("- calls to healthy remotes that failed: {failed} of {calls}, {}\n", verdict(failed == 0));
}

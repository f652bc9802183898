//! The transcript: what happened, in words.

use std::{io::Write, time::Duration};

use anyhow::Result;
use owo_colors::OwoColorize;
use serde_json::json;
use services::{Hop, Step};

use super::acts::{PASSWORD, Played, Stage};
use crate::output::Styles;

/// The label around an error that a remote answered with.
const REMOTE_ERROR: &str = "federation-remote-error";

/// Prints what stands on the stage.
pub fn scenery(stage: &Stage) {
    let s = Styles::of_stdout();
    let ready = stage.lab.ready_file();
    let mut out = anstream::stdout().lock();
    let _ = writeln!(
        out,
        "{}\n\n  {:<11} {:<27} {:<24} other backends",
        "Three Wire backends on this machine".style(s.strong),
        "backend",
        "infrastructure domain",
        "clients",
    );
    for b in &ready.backends {
        let infra = b.infra.to_string();
        let _ = writeln!(out, "  {:<11} {infra:<27} {:<24} {}", b.domain.to_string(), b.api, b.federation);
    }
    let _ = writeln!(
        out,
        "\n  name server {}, one CA, all up in {} with Alice, Bob and Carol registered",
        ready.dns,
        duration(stage.took)
    );
}

/// Prints an act.
pub fn act(number: usize, played: &Played) {
    let s = Styles::of_stdout();
    let mut out = anstream::stdout().lock();
    let _ = writeln!(out, "\n{}", format!("{number}. {}", played.title).style(s.strong));
    for hop in &played.hops {
        let (component, what) = words(hop);
        let took = if hop.took.is_zero() { String::new() } else { format!("  {}", duration(hop.took)) };
        let _ = writeln!(
            out,
            "   {:<10} {:<10} {what}{}",
            hop.backend.to_string(),
            component.style(s.name),
            took.style(s.faint)
        );
    }
    let (mark, style) = if played.held { ("✓", s.good) } else { ("✗", s.bad) };
    let took = format!("({})", duration(played.took));
    let _ = writeln!(out, "   {} {} {}", mark.style(style), played.outcome, took.style(s.faint));
}

/// Prints whether every step held.
pub fn verdict(held: bool) {
    let s = Styles::of_stdout();
    let mut out = anstream::stdout().lock();
    let _ = if held {
        writeln!(out, "\n{}", "Every step held.".style(s.good))
    } else {
        writeln!(out, "\n{}", "A step did not hold.".style(s.bad))
    };
}

/// Prints commands that work against the backends while they are up.
pub fn commands(stage: &Stage) {
    let ready = stage.lab.ready_file();
    let (Some(a), Some(b)) = (ready.backend("a.example"), ready.backend("b.example")) else { return };
    let mut out = anstream::stdout().lock();
    let certificate = a.data.join("federation.pem");
    let key = a.data.join("federation-key.pem");
    let port = b.federation.port();
    let _ = writeln!(
        out,
        "
The backends stay up until Ctrl-C. To try by hand:

  TOKEN=$(curl -s {api}/v12/login -H 'content-type: application/json' \\
    -d '{{\"email\":\"alice@a.example\",\"password\":\"{PASSWORD}\"}}' | sed 's/.*\"access_token\":\"\\([^\"]*\\)\".*/\\1/')
  curl -s {api}/v12/self -H \"authorization: Bearer $TOKEN\"
  curl -s '{api}/v12/search/contacts?q=bob&domain=b.example' -H \"authorization: Bearer $TOKEN\"

  # as a.example's federator, straight at b.example's ingress
  curl -s https://{infra}:{port}/federation/brig/api-version -d '[]' \\
    --resolve {infra}:{port}:{ip} --cacert {ca} \\
    --cert {cert} --key {key} \\
    -H 'wire-origin-domain: a.example'",
        api = a.api,
        infra = b.infra,
        ip = b.federation.ip(),
        ca = ready.ca.display(),
        cert = certificate.display(),
        key = key.display(),
    );
}

/// The whole demonstration as one document.
pub fn json(stage: &Stage, played: &[Played], held: bool) -> Result<String> {
    let acts: Vec<_> = played
        .iter()
        .map(|p| {
            json!({
                "title": p.title, "held": p.held, "outcome": p.outcome,
                "took_us": micros(p.took), "steps": p.hops,
            })
        })
        .collect();
    let ready = stage.lab.ready_file();
    let document = json!({"held": held, "start_us": micros(stage.took), "laboratory": ready, "acts": acts});
    Ok(serde_json::to_string_pretty(&document)?)
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn duration(duration: Duration) -> String {
    let millis = duration.as_secs_f64() * 1e3;
    if millis < 0.05 { format!("{} µs", duration.as_micros()) } else { format!("{millis:.1} ms") }
}

/// The component that took a step, and the step in words.
fn words(hop: &Hop) -> (String, String) {
    match &hop.step {
        Step::Asked { remote, component, rpc } => {
            ("federator".into(), format!("is asked to call {rpc} of {remote}'s {component}"))
        }
        Step::Policy { remote, allowed, strategy } => {
            let verdict = if *allowed { "is allowed" } else { "is NOT allowed" };
            ("federator".into(), format!("allow list: {remote} {verdict} ({strategy})"))
        }
        Step::Discovery { domain, targets, ttl, cached, error } => {
            let what = match error {
                Some(error) => format!("failed: {error}"),
                None => format!("{} for {} s", targets.join(", "), ttl.as_secs()),
            };
            let how = if *cached { "known" } else { "asked" };
            ("federator".into(), format!("DNS ({how}): SRV of {domain}: {what}"))
        }
        Step::Connected { target, address, reused, tls, names, error } => {
            let place = address.map_or_else(|| target.clone(), |a| format!("{target} at {a}"));
            let what = match (error, reused) {
                (Some(error), _) => format!("cannot connect to {place}: {error}"),
                (None, true) => format!("uses the open connection to {place}"),
                (None, false) => format!(
                    "connects to {place}: {}, its certificate names {}",
                    tls.as_deref().unwrap_or("TLS"),
                    names.join(", ")
                ),
            };
            ("federator".into(), what)
        }
        Step::Answered { status, label } => {
            let what = match label.as_deref() {
                None => format!("has the answer: {status}"),
                Some(REMOTE_ERROR) => {
                    format!("has an error as the answer, which the caller gets inside {status} {REMOTE_ERROR}")
                }
                Some(label) => format!("has no answer; the caller gets {status} {label}"),
            };
            ("federator".into(), what)
        }
        Step::Peer { address, names, refused } => {
            let what = match refused {
                Some(reason) => format!("refuses the peer at {address}: {reason}"),
                None => format!("accepts the certificate of the peer at {address}: {}", names.join(", ")),
            };
            ("ingress".into(), what)
        }
        Step::Identity { origin, targets, matched } => {
            let what = match matched {
                Some(name) => format!("the certificate carries {name}: the peer is {origin}"),
                None => format!("the certificate carries none of {}: the peer is NOT {origin}", targets.join(", ")),
            };
            ("federator".into(), what)
        }
        Step::Dispatched { component, rpc, version, status } => {
            let version = version.map(|v| format!(" in version {v}")).unwrap_or_default();
            (component.to_string(), format!("answers {rpc}{version}: {status}"))
        }
    }
}

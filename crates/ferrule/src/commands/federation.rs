//! `ferrule federation`: the allow list of a running backend, by its internal listener.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use backend::{
    client::{Answer, Call, Target, json},
    config,
};
use serde_json::{Value, json};
use types::{Domain, SearchPolicy};

use super::FederationCommand;

/// Carries out one of the commands.
pub async fn run(command: FederationCommand) -> Result<ExitCode> {
    match command {
        FederationCommand::Allow { config, domain, search_policy } => {
            allow(&internal(&config.config)?, &domain, search_policy.into()).await
        }
        FederationCommand::Deny { config, domain } => deny(&internal(&config.config)?, &domain).await,
        FederationCommand::List { config, json } => list(&internal(&config.config)?, json).await,
    }
}

fn internal(file: &std::path::Path) -> Result<Target> {
    Ok(backend::internal_target(&config::load(file, std::env::vars_os())?))
}

async fn allow(target: &Target, domain: &Domain, search_policy: SearchPolicy) -> Result<ExitCode> {
    let known = remotes(target).await?;
    let entry = known["remotes"].as_array().into_iter().flatten().find(|r| r["domain"] == domain.as_str());
    // An existing entry keeps its team restriction: only what was asked for changes.
    let restriction = entry.map_or_else(|| json!({"tag": "allow_all", "value": null}), |e| e["restriction"].clone());
    let body = json!({"domain": domain, "search_policy": search_policy, "restriction": restriction});
    let call = match entry {
        Some(_) => Call::put(target, format!("/i/federation/remotes/{domain}"), &body),
        None => Call::post(target, "/i/federation/remotes", &body),
    };
    done(&call.send().await.context(NOT_RUNNING)?)?;
    println!("{domain} is allowed");
    if known["strategy"] == "allowNone" {
        println!("but the strategy is allowNone: nobody is let in until it is changed");
    }
    Ok(ExitCode::SUCCESS)
}

async fn deny(target: &Target, domain: &Domain) -> Result<ExitCode> {
    let call = Call::new(target, http::Method::DELETE, format!("/i/federation/remotes/{domain}"));
    done(&call.send().await.context(NOT_RUNNING)?)?;
    println!("{domain} is not allowed any more");
    if remotes(target).await?["strategy"] == "allowAll" {
        println!("but the strategy is allowAll: everybody is let in until it is changed");
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(target: &Target, as_json: bool) -> Result<ExitCode> {
    let known = remotes(target).await?;
    if as_json {
        println!("{known}");
        return Ok(ExitCode::SUCCESS);
    }
    println!("strategy: {}", known["strategy"].as_str().unwrap_or("?"));
    for remote in known["remotes"].as_array().into_iter().flatten() {
        let text = |key: &str| remote[key].as_str().unwrap_or("?").to_owned();
        let teams = match remote["restriction"]["value"].as_array() {
            Some(teams) => format!("  for {} teams", teams.len()),
            None => String::new(),
        };
        println!("{}  {}{teams}", text("domain"), text("search_policy"));
    }
    Ok(ExitCode::SUCCESS)
}

const NOT_RUNNING: &str = "is the backend running? Its internal listener does not answer";

async fn remotes(target: &Target) -> Result<Value> {
    let answer = Call::get(target, "/i/federation/remotes").send().await.context(NOT_RUNNING)?;
    done(&answer)?;
    Ok(json(&answer))
}

fn done(answer: &Answer) -> Result<()> {
    if answer.status().is_success() {
        return Ok(());
    }
    let body = json(answer);
    bail!("{}: {}", answer.status(), body["message"].as_str().unwrap_or_default());
}

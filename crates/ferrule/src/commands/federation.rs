//! `ferrule federation`: the allow list of a running backend, by its internal listener.

use std::{path::Path, process::ExitCode};

use anyhow::{Context, Result, bail};
use backend::{
    client::{Answer, Call, Target, json},
    config,
};
use serde_json::{Value, json};
use types::{Domain, SearchPolicy};

use super::FederationCommand;
use crate::output;

/// Carries out one of the commands.
pub async fn run(command: FederationCommand) -> Result<ExitCode> {
    match command {
        FederationCommand::Allow { config, domain, search_policy } => {
            Running::of(&config.config)?.allow(&domain, search_policy.map(Into::into)).await
        }
        FederationCommand::Deny { config, domain } => Running::of(&config.config)?.deny(&domain).await,
        FederationCommand::List { config, json } => Running::of(&config.config)?.list(json).await,
    }
}

/// A backend that runs with the configuration.
struct Running {
    internal: Target,
    federates: bool,
}

const NOT_RUNNING: &str = "is the backend running? Its internal listener does not answer";

impl Running {
    fn of(file: &Path) -> Result<Self> {
        let config = config::load(file, std::env::vars_os())?;
        Ok(Self { internal: backend::internal_target(&config), federates: config.federating().is_some() })
    }

    async fn allow(&self, domain: &Domain, search_policy: Option<SearchPolicy>) -> Result<ExitCode> {
        let known = self.remotes().await?;
        let entry = known["remotes"].as_array().into_iter().flatten().find(|r| r["domain"] == domain.as_str());
        // Of an existing entry only what was asked for changes.
        let kept = |key: &str| entry.map(|entry| entry[key].clone());
        let restriction = kept("restriction").unwrap_or_else(|| json!({"tag": "allow_all", "value": null}));
        let search_policy = match search_policy {
            Some(policy) => json!(policy),
            None => kept("search_policy").unwrap_or_else(|| json!(SearchPolicy::ExactHandleSearch)),
        };
        let body = json!({"domain": domain, "search_policy": search_policy, "restriction": restriction});
        let unchanged = entry == Some(&body);
        let call = match entry {
            Some(_) => Call::put(&self.internal, format!("/i/federation/remotes/{domain}"), &body),
            None => Call::post(&self.internal, "/i/federation/remotes", &body),
        };
        // An entry of the file cannot be changed, and need not be if it says this already.
        if !unchanged {
            done(&call.send().await.context(NOT_RUNNING)?)?;
        }
        output::line(format_args!("{domain} is allowed, with {}", text(&search_policy)))?;
        if !self.federates {
            output::line(format_args!(
                "but federation is switched off here: nobody is let in until it is switched on"
            ))?;
        } else if known["strategy"] == "allowNone" {
            output::line(format_args!("but the strategy is allowNone: nobody is let in until it is changed"))?;
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn deny(&self, domain: &Domain) -> Result<ExitCode> {
        let call = Call::new(&self.internal, http::Method::DELETE, format!("/i/federation/remotes/{domain}"));
        done(&call.send().await.context(NOT_RUNNING)?)?;
        output::line(format_args!("{domain} is not allowed any more"))?;
        if self.remotes().await?["strategy"] == "allowAll" {
            output::line(format_args!("but the strategy is allowAll: everybody is let in until it is changed"))?;
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn list(&self, as_json: bool) -> Result<ExitCode> {
        let known = self.remotes().await?;
        if as_json {
            output::line(format_args!("{known}"))?;
            return Ok(ExitCode::SUCCESS);
        }
        if self.federates {
            output::line(format_args!("strategy: {}", text(&known["strategy"])))?;
        } else {
            output::line(format_args!("federation is switched off here"))?;
        }
        for remote in known["remotes"].as_array().into_iter().flatten() {
            let teams = match remote["restriction"]["value"].as_array() {
                Some(teams) => format!("  for {} teams", teams.len()),
                None => String::new(),
            };
            output::line(format_args!("{}  {}{teams}", text(&remote["domain"]), text(&remote["search_policy"])))?;
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn remotes(&self) -> Result<Value> {
        let answer = Call::get(&self.internal, "/i/federation/remotes").send().await.context(NOT_RUNNING)?;
        done(&answer)?;
        Ok(json(&answer))
    }
}

fn done(answer: &Answer) -> Result<()> {
    if answer.status().is_success() {
        return Ok(());
    }
    let body = json(answer);
    match (body["message"].as_str(), body["label"].as_str()) {
        (Some(message), Some(label)) => bail!("{message} ({} {label})", answer.status().as_u16()),
        _ => bail!("the internal listener answered with {}: {body}", answer.status().as_u16()),
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}

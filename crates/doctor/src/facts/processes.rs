//! The other processes of a backend that is not one process, and the calls that go by them.

use std::{net::SocketAddr, time::Instant};

use backend::{
    client::{Call, Target},
    config::{Answering, HostPort},
};
use federation_api::Component;
use http::HeaderName;
use serde_json::Value;
use tokio::{net::lookup_host, time::timeout};
use types::Domain;

use super::{
    listener::reachable,
    probe::{self, Reply},
    site::{Shape, Site},
};
use crate::limits;

/// A port of another process, or of this one as another sees it, and whether it answers `GET /i/status`.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// The option that names it.
    pub(crate) option: &'static str,
    pub(crate) place: String,
    /// Why it does not answer.
    pub(crate) answer: Result<(), String>,
}

/// The ports between processes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Processes {
    /// The federator's.
    pub(crate) federator: Vec<Asked>,
    /// The components'.
    pub(crate) components: Vec<Asked>,
}

impl Processes {
    /// Asks at each.
    pub(crate) async fn look_at(site: &Site) -> Self {
        match &site.shape {
            Shape::Whole(_) | Shape::Alone(_) => Self::default(),
            Shape::Components { federator, listen, .. } => Self {
                federator: vec![called("components.federator", federator).await],
                components: vec![status("components.listen", reachable(*listen)).await],
            },
            Shape::Federator(config) => {
                let mut federator = vec![status("outward.listen", reachable(config.outward.listen)).await];
                if let Some(behind) = &config.inward.behind_proxy {
                    federator.push(status("inward.behind_proxy.listen", reachable(behind.listen)).await);
                }
                let mut components = Vec::new();
                for (option, place) in named(&config.components) {
                    components.push(called(option, place).await);
                }
                Self { federator, components }
            }
        }
    }
}

fn named(answering: &Answering) -> impl Iterator<Item = (&'static str, &HostPort)> {
    let Answering { brig, galley, cargohold } = answering;
    let all = [("components.brig", brig), ("components.galley", galley), ("components.cargohold", cargohold)];
    all.into_iter().filter_map(|(option, place)| Some((option, place.as_ref()?)))
}

async fn called(option: &'static str, place: &HostPort) -> Asked {
    match resolved(place).await {
        Ok(address) => Asked { place: place.to_string(), ..status(option, address).await },
        Err(error) => Asked { option, place: place.to_string(), answer: Err(error) },
    }
}

async fn status(option: &'static str, address: SocketAddr) -> Asked {
    let asked = timeout(limits::OWN_LISTENERS, Call::get(&Target::Tcp(address), "/i/status").send()).await;
    let answer = match asked {
        Ok(Ok(answer)) if answer.status().is_success() => Ok(()),
        Ok(Ok(answer)) => Err(format!("it answers GET /i/status with {}", answer.status().as_u16())),
        Ok(Err(error)) => Err(super::local::told(&error)),
        Err(_) => Err("no answer in time".into()),
    };
    Asked { option, place: address.to_string(), answer }
}

/// The first address of a host; within a cluster it is the system that knows its name.
pub(crate) async fn resolved(place: &HostPort) -> Result<SocketAddr, String> {
    let found = timeout(limits::OWN_LISTENERS, lookup_host((place.host.as_str(), place.port))).await;
    let mut found = found.map_err(|_| "it was not looked up in time".to_owned())?.map_err(|error| error.to_string())?;
    found.next().ok_or_else(|| "the name has no address".to_owned())
}

/// What the outside federator made of a call.
#[derive(Clone, Debug)]
pub(crate) enum Carried {
    /// It came back with what the remote answered.
    There(Reply),
    /// It got no further than the federator.
    Stopped { status: u16, label: String, message: String },
    /// The federator was not reached, or its answer is not a federator's.
    Lost(String),
}

/// Calls by the outside federator, as components make them.
pub(crate) struct Outside<'a> {
    pub(crate) federator: &'a HostPort,
    pub(crate) own_domain: &'a Domain,
}

impl Outside<'_> {
    /// Makes a call.
    pub(crate) async fn call(
        &self,
        target: &Domain,
        rpc: &str,
        version: Option<u32>,
        body: &Value,
        id: &str,
    ) -> Carried {
        let address = match resolved(self.federator).await {
            Ok(address) => address,
            Err(error) => return Carried::Lost(error),
        };
        let path = format!("/rpc/{target}/{}/{rpc}", Component::Brig);
        let mut call = Call::post(&Target::Tcp(address), path, body)
            .header(HeaderName::from_static("wire-origin-domain"), self.own_domain.as_str())
            .header(HeaderName::from_static("wire-origin-request-id"), id);
        if let Some(version) = version {
            call = call.header(HeaderName::from_static("x-wire-api-version"), version.to_string());
        }
        let started = Instant::now();
        match call.send().await {
            Ok(answer) => carried(probe::answer(answer.status().as_u16(), answer.into_body(), started.elapsed())),
            Err(error) => Carried::Lost(super::local::told(&error)),
        }
    }
}

/// What a federator's answer says of the remote's (`federation.md` §5.1).
pub(crate) fn carried(reply: Reply) -> Carried {
    let Reply::Answer { status, label, message, body, took } = reply else {
        return Carried::Lost("no answer".into());
    };
    match label {
        _ if (200..=299).contains(&status) => {
            Carried::There(Reply::Answer { status, label: None, message, body, took })
        }
        Some(label) if label == "federation-remote-error" => {
            let error: Value = serde_json::from_slice(&body).unwrap_or_default();
            let inner = &error["inner"];
            let text = |key: &str| inner[key].as_str().map(str::to_owned);
            let status = inner["code"].as_u64().and_then(|code| u16::try_from(code).ok());
            match status {
                Some(status) => Carried::There(Reply::Answer {
                    status,
                    label: text("label").filter(|label| label != "unknown-error"),
                    message: text("message").unwrap_or_default(),
                    body: inner.to_string().into(),
                    took,
                }),
                None => Carried::Stopped { status: 533, label, message },
            }
        }
        Some(label) => Carried::Stopped { status, label, message },
        None => Carried::Lost(format!("it answered {status}: {message}")),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(status: u16, body: &str) -> Carried {
        carried(probe::answer(status, body.to_owned().into(), Duration::ZERO))
    }

    #[test]
    fn what_the_remote_said_is_told_from_what_the_federator_said() {
        let remote = json!({"code": 400, "label": "federation-denied", "message": "no"});
        let remote = json!({"code": 533, "label": "federation-remote-error", "message": "…", "inner": remote});
        let Carried::There(Reply::Answer { status, label, .. }) = read(533, &remote.to_string()) else { panic!() };
        assert_eq!((status, label.as_deref()), (400, Some("federation-denied")));
        let page = json!({"code": 400, "label": "unknown-error", "message": "<center>nginx</center>"});
        let page = json!({"code": 533, "label": "federation-remote-error", "message": "…", "inner": page});
        let Carried::There(Reply::Answer { status, label, message, .. }) = read(533, &page.to_string()) else {
            panic!()
        };
        assert_eq!((status, label, message.as_str()), (400, None, "<center>nginx</center>"));
        let own = json!({"code": 400, "label": "federation-denied", "message": "not here"});
        assert!(
            matches!(read(400, &own.to_string()), Carried::Stopped { status: 400, label, .. } if label == "federation-denied")
        );
        assert!(matches!(read(200, "null"), Carried::There(_)));
        assert!(matches!(read(404, "Not Found"), Carried::Lost(_)));
    }

    proptest! {
        #[test]
        fn any_answer_can_be_read(status in 100u16..1000, body in "\\PC{0,80}", inner in any::<i64>()) {
            let _ = read(status, &body);
            let _ = read(status, &json!({"label": "federation-remote-error", "inner": {"code": inner, "label": body}}).to_string());
        }
    }
}

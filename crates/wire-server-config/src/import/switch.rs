//! Is federation on?

use super::draft::{Draft, agreed};
use crate::options::{Options, Problem};

/// The switches, each with its newer name; a setup has all of them, or those of its time.
const SWITCHES: [[&str; 2]; 4] = [
    ["brig.config.enableFederation", "brig.config.enableFederator"],
    ["galley.config.enableFederation", "galley.config.enableFederator"],
    ["cargohold.config.enableFederation", "cargohold.config.enableFederator"],
    ["background-worker.config.enableFederation", "background-worker.config.enableFederator"],
];
const TAGS: [&str; 2] = ["tags.federation", "tags.federator"];
const INGRESS: &str = "federator.enabled";
const ADDITIONAL: &str = "config.isAdditionalIngress";
const TLS: &str = "tls.enabled";

/// Whether the values switch federation on. They must all say the same; those that say nothing are told.
pub(super) fn federating(options: &Options<'_>, draft: &mut Draft) -> bool {
    let names = || SWITCHES.into_iter().flatten().chain(TAGS).chain([INGRESS]);
    let found: Vec<_> = names().filter_map(|path| options.flag(path).map(|on| (path, on))).collect();
    let any = found.iter().any(|(_, on)| *on);
    let exclusions = [options.flag(ADDITIONAL), options.flag(TLS)];
    if any {
        excluded(options, exclusions);
    }
    let on = agreed(
        options,
        found,
        "federation is on in one place and off in another",
        ToString::to_string,
        "Ferrule federates as a whole: set all of them to the same",
    );
    // Where they contradict each other, the rest is looked at as well: an operator wants to hear of all at once.
    let Some((paths, on)) = on else { return any };
    if !on {
        draft.became(&paths, "federation is off: there is no section [federation]");
        return false;
    }
    draft.set(&paths, "federation", "enabled", true);
    missing(&paths, draft);
    true
}

/// Says which switches are not on although others are: in wire-server they are off by default.
fn missing(set: &[&str], draft: &mut Draft) {
    let unset = |names: &[&str]| !names.iter().any(|name| set.contains(name));
    let groups = SWITCHES[..3].iter().map(|names| &names[..]).chain([&TAGS[..], &[INGRESS]]);
    let absent: Vec<&str> = groups.filter(|names| unset(names)).map(|names| names[0]).collect();
    if !absent.is_empty() {
        draft.warn(format!(
            "{}: not set, which means off in wire-server, although others are on; Ferrule federates as a whole",
            absent.join(", ")
        ));
    }
}

/// What wire-server's charts refuse together with federation.
fn excluded(options: &Options<'_>, [additional, tls]: [Option<bool>; 2]) {
    if additional == Some(true) {
        options.problem(Problem::of(
            [ADDITIONAL, INGRESS],
            "these values are of an additional ingress, and multi-ingress and federation cannot be configured \
             together; import the values of the main ingress",
        ));
    }
    if tls == Some(false) {
        options.problem(Problem::of([TLS, INGRESS], "federation needs TLS; switch it on, or switch federation off"));
    }
}

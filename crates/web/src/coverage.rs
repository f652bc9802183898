//! The coverage table `docs/coverage.md`, made of the declarations and of what components answer of them.

use std::fmt::Write as _;

use federation_api::{Kind, RpcInfo};
use public_api::{EndpointInfo, access::AccessKind, operations};

/// The table: what is built, and what of wire-server's API is not built yet. `answered` are the RPCs that components
/// answer; an endpoint is declared when it is built, an RPC long before.
pub fn markdown(answered: &[RpcInfo]) -> String {
    let mut text = String::from(
        "# Coverage\n\nWhat Ferrule answers, and what it does not answer yet. Made of the declarations by\n\
         `FERRULE_BLESS=1 cargo test -p backend coverage`; a test compares.\n\
         What Wire's architecture documents say of federation stands in [documents.md](documents.md), statement by\n\
         statement, each with the tests that hold it.\n",
    );
    endpoints(&mut text);
    rpcs(&mut text, answered);
    open_operations(&mut text);
    text
}

fn endpoints(text: &mut String) {
    let list: Vec<&EndpointInfo> = public_api::endpoints().collect();
    let _ = writeln!(text, "\n## Endpoints: {}\n", list.len());
    text.push_str(
        "| method | path | versions | component | who may call | what it does |\n|---|---|---|---|---|---|\n",
    );
    let mut rows: Vec<_> =
        list.iter().map(|info| (info.is_internal(), info.path, info.method.as_str(), info)).collect();
    rows.sort_by_key(|row| (row.0, row.1, row.2));
    for (_, path, method, info) in rows {
        let who = match info.access {
            AccessKind::Anyone => "everybody",
            AccessKind::Cookie => "cookie",
            AccessKind::Internal => "internal",
            AccessKind::User => "access token",
        };
        let (versions, component, summary) = (info.versions, info.component, info.summary.trim());
        let _ = writeln!(text, "| {method} | `{path}` | {versions} | {component} | {who} | {summary} |");
    }
}

fn rpcs(text: &mut String, answered: &[RpcInfo]) {
    let rpcs = federation_api::rpcs();
    let count = rpcs.iter().filter(|rpc| answered.contains(rpc)).count();
    let _ = writeln!(text, "\n## RPCs: {count} of {} answered\n", rpcs.len());
    text.push_str("| component | RPC | versions | kind | answered |\n|---|---|---|---|---|\n");
    for rpc in rpcs {
        let kind = match rpc.kind {
            Kind::Call => "call",
            Kind::Notification => "notification",
            Kind::Stream => "stream",
        };
        let versions = match (rpc.versions.from.0, rpc.versions.until) {
            (0, None) => "all".to_owned(),
            (from, None) => format!("from {from}"),
            (from, Some(until)) if until.0 == from + 1 => from.to_string(),
            (from, Some(until)) => format!("{from} to {}", until.0.saturating_sub(1)),
        };
        let yes = if answered.contains(rpc) { "yes" } else { "" };
        let _ = writeln!(text, "| {} | `{}` | {versions} | {kind} | {yes} |", rpc.component, rpc.name);
    }
}

fn open_operations(text: &mut String) {
    let newest = public_api::Version(15);
    let built = |operation: &operations::Operation| {
        let mut current = public_api::endpoints().filter(|info| info.versions.contains(newest));
        current.any(|info| operation.is(info.method.as_str(), info.path))
    };
    let all = operations::v15().count();
    let open: Vec<_> = operations::v15().filter(|operation| !built(operation)).collect();
    let _ =
        writeln!(text, "\n## Operations of wire-server's API v15 that are not built yet: {} of {all}\n", open.len());
    for operation in open {
        let _ = writeln!(text, "- {} `{}`", operation.method, operation.path);
    }
}

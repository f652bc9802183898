//! What the facts mean: one plain function for each check.

pub(crate) mod answers;
pub(crate) mod configuration;
pub(crate) mod dns;
pub(crate) mod ingress;
pub(crate) mod own_tls;
pub(crate) mod partner;
pub(crate) mod processes;

/// `1 certificate`, `2 certificates`.
fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

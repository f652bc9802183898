//! Helm values of wire-server's charts.

use wire_server_config::{import::import, values::Values};

/// One or more files of values, with `\n---\n` between them, the later ones put over the earlier. Whatever they say, it
/// can be imported or the problems can be named.
pub fn helm_values(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut merged = Values::default();
    for file in text.split("\n---\n") {
        let Ok(values) = Values::read(file) else { return };
        merged.put_over(values);
    }
    if let Err(problems) = import(&merged) {
        assert!(!problems.is_empty(), "refused without a reason");
    }
}

//! The operations of wire-server's API v15: the yardstick for what is built.

/// One operation: a method and a path without version prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Operation {
    /// The HTTP method.
    pub method: &'static str,
    /// The path; names of captures are wire-server's.
    pub path: &'static str,
}

/// All of them, in the order of their paths.
pub fn v15() -> impl Iterator<Item = Operation> {
    let lines = include_str!("operations-v15.txt").lines();
    lines.filter_map(|line| line.split_once(' ')).map(|(method, path)| Operation { method, path })
}

impl Operation {
    /// Whether that method and path mean it. Captures count by their place, not by their name.
    pub fn is(self, method: &str, path: &str) -> bool {
        let shape = |path: &'_ str| -> Vec<String> {
            path.split('/').map(|part| if part.starts_with('{') { "{}" } else { part }.to_owned()).collect()
        };
        self.method == method && shape(self.path) == shape(path)
    }
}

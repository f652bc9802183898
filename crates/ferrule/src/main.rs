//! Ferrule.
fn main() {}

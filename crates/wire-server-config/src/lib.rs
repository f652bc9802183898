//! Reads what wire-server's operators have.
//!
//! - [`federator`] is the file of wire-server's federator, for a federator that stands in its place.
//! - [`values`] are the Helm values of its charts, merged as Helm merges them.
//! - [`mod@import`] makes a configuration of Ferrule of such values.
//!
//! Everything is a plain function from text to plain data: what touches files is the command line's.

pub mod federator;
pub mod import;
pub mod limits;
mod options;
pub mod values;
mod yaml;

pub use options::Problem;
pub use yaml::YamlError;

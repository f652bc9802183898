//! What must hold for any bytes from outside.
//!
//! Each target is a plain function that panics where a promise is broken. The fuzzer in `fuzz/` calls them with bytes of
//! its own making; the test of this crate calls them with the seed corpus, `fuzz/corpus`, in which whatever the fuzzer
//! once found stands beside the seeds.
//!
//! Targets speak to the product through its public face, and take their input in the form in which it comes from
//! outside: DER, a DNS message, JSON, the lines of a request.

mod certificate_header;
mod certificate_names;
mod domain;
mod federator_yaml;
mod forwarded_for;
mod head;
mod helm_values;
mod outward_request;
mod rpc_json;
mod rpc_request;
mod runtime;
mod srv_answer;

pub use certificate_header::certificate_header;
pub use certificate_names::certificate_names;
pub use domain::domain;
pub use federator_yaml::federator_yaml;
pub use forwarded_for::forwarded_for;
pub use helm_values::helm_values;
pub use outward_request::outward_request;
pub use rpc_json::rpc_json;
pub use rpc_request::rpc_request;
pub use srv_answer::srv_answer;

/// A target: its name, which is that of its corpus, and its function.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: &[Target] = &[
    ("certificate_header", certificate_header),
    ("certificate_names", certificate_names),
    ("domain", domain),
    ("federator_yaml", federator_yaml),
    ("forwarded_for", forwarded_for),
    ("helm_values", helm_values),
    ("outward_request", outward_request),
    ("rpc_json", rpc_json),
    ("rpc_request", rpc_request),
    ("srv_answer", srv_answer),
];

#[cfg(test)]
mod tests {
    use std::{
        fs,
        path::{Path, PathBuf},
    };

    use super::TARGETS;

    /// Fewer seeds than this do not lead a fuzzer far.
    const LEAST_SEEDS: usize = 4;

    fn fuzz() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
    }

    #[test]
    fn every_input_of_the_corpus() {
        for (name, target) in TARGETS {
            let folder = fuzz().join("corpus").join(name);
            let mut inputs: Vec<PathBuf> = fs::read_dir(&folder)
                .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
                .map(|entry| entry.unwrap().path())
                .collect();
            inputs.sort();
            assert!(inputs.len() >= LEAST_SEEDS, "{name} has {} seeds", inputs.len());
            for input in inputs {
                // The name of the input that fails is the last line of the output.
                println!("{}", input.display());
                target(&fs::read(&input).unwrap());
            }
        }
    }

    #[test]
    fn the_fuzzer_has_every_target() {
        let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
        for (name, _) in TARGETS {
            assert!(manifest.contains(&format!("name = \"{name}\"")), "{name} is no binary of fuzz/Cargo.toml");
            let main = fs::read_to_string(fuzz().join(format!("fuzz_targets/{name}.rs"))).unwrap();
            assert!(main.contains(&format!("fuzz_targets::{name}(")), "fuzz_targets/{name}.rs calls something else");
        }
        assert_eq!(manifest.matches("[[bin]]").count(), TARGETS.len(), "fuzz/Cargo.toml has a binary of no target");
    }

    /// Every target can fail: an input that breaks no promise passes, and the targets do look at what they get.
    #[test]
    fn nothing_and_anything() {
        for (_, target) in TARGETS {
            target(b"");
            target(&[0xff; 64]);
            target("ä\u{0}\u{202e}\r\n: \r\n\r\n".as_bytes());
        }
    }
}

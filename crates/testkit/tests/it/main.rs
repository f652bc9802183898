//! The build keeps to the floors of `ARCHITECTURE.md`, and pages name what there is.
#![allow(clippy::unwrap_used, reason = "tests")]

mod documents;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

/// Components: whoever the federator must not know by name.
const COMPONENTS: [&str; 8] = ["brig", "cannon", "cargohold", "galley", "gundeck", "proxy", "restund", "spar"];

#[test]
fn dependencies_point_down_the_floors() {
    let metadata = metadata();
    let complaints = against_the_floors(&floors(&architecture()), &metadata);
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn the_federator_names_no_component_and_no_store() {
    let metadata = metadata();
    let known: BTreeSet<String> = reachable(&metadata, "federator");
    assert!(known.contains("services"), "the graph is read: {known:?}");
    let forbidden: Vec<&str> = COMPONENTS.iter().chain(&["store"]).copied().filter(|c| known.contains(*c)).collect();
    assert!(forbidden.is_empty(), "the federator depends on {forbidden:?}");
}

#[test]
fn one_integration_test_binary_a_crate() {
    let complaints = with_several_tests(&metadata());
    assert!(complaints.is_empty(), "more than one: {complaints:?}");
}

#[test]
fn testkit_is_used_by_tests_only() {
    for (package, dependencies) in normal_dependencies(&metadata()) {
        assert!(!dependencies.contains("testkit"), "{package} uses testkit outside its tests");
    }
}

#[test]
fn offences_are_found() {
    let floors = floors("| floor | crate |\n|---|---|\n| 2 | `a` `b` | x |\n| 1 | `c` | y |\n");
    assert_eq!(floors, BTreeMap::from([("a".into(), 2), ("b".into(), 2), ("c".into(), 1)]));
    let package = |name: &str, dependencies: Value, tests: usize| {
        let targets: Vec<Value> = (0..tests).map(|n| json!({"kind": ["test"], "name": format!("t{n}")})).collect();
        json!({"name": name, "dependencies": dependencies, "targets": targets})
    };
    let on = |name: &str, kind: Value| json!({"name": name, "kind": kind, "path": format!("/x/{name}")});
    let metadata = json!({"packages": [
        package("a", json!([on("b", Value::Null), on("c", Value::Null)]), 1),
        package("b", json!([on("a", json!("dev"))]), 0),
        package("c", json!([on("a", Value::Null)]), 2),
        package("d", json!([]), 0),
        json!({"name": "e", "dependencies": [], "targets": [
            {"kind": ["test"], "name": "it"},
            {"kind": ["test"], "name": "faults", "required-features": ["faults"]},
        ]}),
    ]});
    let complaints = against_the_floors(&floors, &metadata);
    assert_eq!(
        complaints,
        [
            "a (floor 2) uses b (floor 2)",
            "c (floor 1) uses a (floor 2)",
            "d stands on no floor of ARCHITECTURE.md",
            "e stands on no floor of ARCHITECTURE.md"
        ]
    );
    assert_eq!(with_several_tests(&metadata), ["c"]);
    assert_eq!(reachable(&metadata, "c"), BTreeSet::from(["a".into(), "b".into(), "c".into()]));
}

/// What breaks the rule that a crate uses only crates on lower floors.
fn against_the_floors(floors: &BTreeMap<String, u32>, metadata: &Value) -> Vec<String> {
    let all = normal_dependencies(metadata);
    let mut complaints = Vec::new();
    for (package, dependencies) in &all {
        let Some(floor) = floors.get(package) else {
            complaints.push(format!("{package} stands on no floor of ARCHITECTURE.md"));
            continue;
        };
        for dependency in dependencies {
            match floors.get(dependency) {
                Some(below) if below < floor => {}
                Some(above) => complaints.push(format!("{package} (floor {floor}) uses {dependency} (floor {above})")),
                None => complaints.push(format!("{package} uses {dependency}, which stands on no floor")),
            }
        }
    }
    complaints.extend(floors.keys().filter(|name| !all.contains_key(*name)).map(|name| format!("there is no {name}")));
    complaints
}

/// One that needs a feature is built by the stage that asks for it, and by no other.
fn with_several_tests(metadata: &Value) -> Vec<String> {
    let is_test = |target: &&Value| {
        let of_all = target["required-features"].as_array().is_none_or(Vec::is_empty);
        of_all && target["kind"].as_array().is_some_and(|kinds| kinds.iter().any(|k| k == "test"))
    };
    let tests = |package: &Value| package["targets"].as_array().into_iter().flatten().filter(is_test).count();
    packages(metadata).iter().filter(|package| tests(package) > 1).map(name).collect()
}

/// The table of `ARCHITECTURE.md`: `| 3 | `crate` `crate` | … |`.
fn floors(architecture: &str) -> BTreeMap<String, u32> {
    let mut floors = BTreeMap::new();
    for line in architecture.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let (Some(floor), Some(crates)) = (cells.get(1).and_then(|cell| cell.parse().ok()), cells.get(2)) else {
            continue;
        };
        for name in crates.split('`').skip(1).step_by(2) {
            floors.insert(name.to_owned(), floor);
        }
    }
    floors
}

/// Of each crate of the workspace, the crates of the workspace that it uses outside its tests.
fn normal_dependencies(metadata: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let used = |package: &Value| {
        let all = package["dependencies"].as_array().into_iter().flatten();
        all.filter(|d| d["kind"].is_null() && d["path"].is_string()).map(name).collect()
    };
    packages(metadata).iter().map(|package| (name(package), used(package))).collect()
}

/// Every crate of the workspace that one uses, directly or not, itself included.
fn reachable(metadata: &Value, from: &str) -> BTreeSet<String> {
    let all = normal_dependencies(metadata);
    let mut found = BTreeSet::new();
    let mut next = vec![from.to_owned()];
    while let Some(package) = next.pop() {
        next.extend(all.get(&package).into_iter().flatten().filter(|d| !found.contains(*d)).cloned());
        found.insert(package);
    }
    found
}

fn packages(metadata: &Value) -> &[Value] {
    metadata["packages"].as_array().map_or(&[], Vec::as_slice)
}

fn name(of: &Value) -> String {
    of["name"].as_str().unwrap_or_default().to_owned()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn architecture() -> String {
    std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap()
}

fn metadata() -> Value {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

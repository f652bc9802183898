//! What `sslscan` finds out about a listener.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context, Result};
use tempfile::TempDir;
use testkit::process::{run, scratch};

use super::peer::Door;

/// The elements of its report that have attributes, in their order.
pub struct Report(Vec<Element>);

/// One of them.
pub struct Element {
    name: String,
    attributes: BTreeMap<String, String>,
}

impl Element {
    /// An attribute; empty where it is absent.
    pub fn get(&self, name: &str) -> &str {
        self.attributes.get(name).map(String::as_str).unwrap_or_default()
    }
}

impl Report {
    /// Scans the door.
    pub fn of(door: &Door) -> Result<Self> {
        let folder = TempDir::with_prefix_in("sslscan-", scratch())?;
        let file = folder.path().join("report.xml");
        let arguments = [
            format!("--xml={}", file.display()),
            format!("--sni-name={}", door.infra),
            "--no-colour".to_owned(),
            door.address.to_string(),
        ];
        let ended = run(Path::new("sslscan"), arguments)?;
        let text = std::fs::read_to_string(&file).with_context(|| format!("{}{}", ended.stdout, ended.stderr))?;
        Ok(Self::read(&text))
    }

    fn read(text: &str) -> Self {
        Self(text.split('<').skip(1).filter_map(|tag| element(tag.split('>').next()?)).collect())
    }

    /// All elements of that name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.0.iter().filter(move |element| element.name == name)
    }

    /// The versions of SSL and TLS that are spoken.
    pub fn protocols(&self) -> Vec<String> {
        let spoken = self.all("protocol").filter(|protocol| protocol.get("enabled") == "1");
        let mut spoken: Vec<String> = spoken.map(|p| format!("{} {}", p.get("type"), p.get("version"))).collect();
        spoken.sort();
        spoken
    }

    /// The cipher suites that are accepted with that version.
    pub fn suites(&self, version: &str) -> Vec<String> {
        let accepted = self.all("cipher").filter(|cipher| cipher.get("sslversion") == version);
        let mut accepted: Vec<String> = accepted.map(|cipher| cipher.get("cipher").to_owned()).collect();
        accepted.sort();
        accepted.dedup();
        accepted
    }
}

/// `name one="1" two="2" /`, without the brackets around it.
fn element(tag: &str) -> Option<Element> {
    let (name, mut rest) = tag.split_once(' ')?;
    let mut attributes = BTreeMap::new();
    while let Some((key, value)) = rest.split_once("=\"") {
        let (value, after) = value.split_once('"')?;
        attributes.insert(key.trim().to_owned(), value.to_owned());
        rest = after;
    }
    Some(Element { name: name.to_owned(), attributes })
}

#[test]
fn a_report_is_read() {
    let report = Report::read(
        "<?xml version=\"1.0\"?>\n<document title=\"x\"><ssltest host=\"h\">\n  <protocol type=\"tls\" version=\"1.2\" \
         enabled=\"1\" />\n<protocol type=\"ssl\" version=\"3\" enabled=\"0\" /><cipher status=\"accepted\" \
         sslversion=\"TLSv1.2\" cipher=\"A-B\" /><pk error=\"false\" type=\"EC\" bits=\"256\" /></ssltest></document>",
    );
    assert_eq!(report.protocols(), ["tls 1.2"]);
    assert_eq!((report.suites("TLSv1.2"), report.suites("TLSv1.3")), (vec!["A-B".to_owned()], vec![]));
    assert_eq!(report.all("pk").map(|pk| pk.get("bits")).collect::<Vec<_>>(), ["256"]);
}

//! Programs of others, calling as a foreign backend would.

use std::{net::SocketAddr, path::PathBuf, process::Stdio, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::{io::AsyncWriteExt, process::Command, time::timeout};
use types::Domain;

/// A program ends within this, or the test has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program that speaks TLS and HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// curl over HTTP/1.1.
    CurlHttp1,
    /// curl over HTTP/2.
    CurlHttp2,
    /// nghttp, which speaks HTTP/2 only.
    Nghttp,
    /// `openssl s_client` with a request of HTTP/1.1 on its standard input, over the newest TLS.
    OpenSsl,
    /// The same over TLS 1.2.
    OpenSslTls12,
}

impl Program {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::CurlHttp1, Self::CurlHttp2, Self::Nghttp, Self::OpenSsl, Self::OpenSslTls12];
}

/// The ingress as these programs find it.
pub struct Door {
    /// Where it listens.
    pub address: SocketAddr,
    /// The infrastructure domain, for SNI and the check of its certificate.
    pub infra: Domain,
    /// The file with the CA.
    pub ca: PathBuf,
}

/// Files with a certificate chain and its key.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The chain.
    pub certificate: PathBuf,
    /// The key.
    pub key: PathBuf,
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The method.
    pub method: &'a str,
    /// The path.
    pub path: &'a str,
    /// `Wire-Origin-Domain`, if it is sent.
    pub origin: Option<&'a str>,
}

/// What was answered.
#[derive(Debug)]
pub struct Answered {
    /// The status.
    pub status: u16,
    /// The label of the error; empty where there is none.
    pub label: String,
}

/// The body of every request, which is that of `api-version`.
const BODY: &str = "[]";

impl Program {
    /// Asks, showing that certificate or none.
    ///
    /// # Errors
    /// The program fails before there is an answer.
    pub async fn ask(self, door: &Door, shown: Option<&Shown>, question: Question<'_>) -> Result<Answered> {
        match self {
            Self::CurlHttp1 | Self::CurlHttp2 => self.curl(door, shown, question).await,
            Self::Nghttp => nghttp(door, shown, question).await,
            Self::OpenSsl | Self::OpenSslTls12 => self.s_client(door, shown, question).await,
        }
    }

    async fn curl(self, door: &Door, shown: Option<&Shown>, question: Question<'_>) -> Result<Answered> {
        let (option, version) = if self == Self::CurlHttp1 { ("--http1.1", "1.1") } else { ("--http2", "2") };
        let Door { address, infra, ca } = door;
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", option, "--request", question.method, "--data", BODY]);
        command.arg("--cacert").arg(ca);
        command.args(["--resolve", &format!("{infra}:{}:{}", address.port(), address.ip())]);
        if let Some(origin) = question.origin {
            command.args(["--header", &format!("wire-origin-domain: {origin}")]);
        }
        if let Some(shown) = shown {
            command.arg("--cert").arg(&shown.certificate).arg("--key").arg(&shown.key);
        }
        command.args(["--write-out", "\n%{http_code} %{http_version} %{ssl_verify_result}"]);
        command.arg(format!("https://{infra}:{}{}", address.port(), question.path));
        let output = said(command, "").await?;
        let (body, facts) = output.rsplit_once('\n').context("curl says how it went")?;
        let facts: Vec<&str> = facts.split(' ').collect();
        ensure!(facts.get(1..) == Some(&[version, "0"]), "curl used another protocol: {facts:?}");
        Ok(Answered { status: facts[0].parse()?, label: label(body) })
    }

    /// What the ingress sends until it closes, as a message of HTTP/1.1.
    async fn s_client(self, door: &Door, shown: Option<&Shown>, question: Question<'_>) -> Result<Answered> {
        let mut command = s_client(door, shown);
        command.args(["-quiet", "-verify_quiet", "-verify_return_error", "-alpn", "http/1.1"]);
        if self == Self::OpenSslTls12 {
            command.arg("-tls1_2");
        }
        let origin = question.origin.map(|origin| format!("wire-origin-domain: {origin}\r\n")).unwrap_or_default();
        let request = format!(
            "{} {} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-length: {}\r\n{origin}\r\n{BODY}",
            question.method,
            question.path,
            door.infra,
            BODY.len(),
        );
        let output = said(command, &request).await?;
        let status = output.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).context(output.clone())?;
        let (_, body) = output.split_once("\r\n\r\n").context("an answer has an end of its headers")?;
        Ok(Answered { status: status.parse()?, label: label(body) })
    }
}

/// `openssl s_client` at the door, with the certificate to show.
pub fn s_client(door: &Door, shown: Option<&Shown>) -> Command {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", &door.address.to_string()]);
    command.args(["-servername", door.infra.as_str(), "-verify_hostname", door.infra.as_str()]);
    command.arg("-CAfile").arg(&door.ca);
    if let Some(shown) = shown {
        command.arg("-cert").arg(&shown.certificate).arg("-cert_chain").arg(&shown.certificate);
        command.arg("-key").arg(&shown.key);
    }
    command
}

/// nghttp does not check the certificate of the server by itself.
async fn nghttp(door: &Door, shown: Option<&Shown>, question: Question<'_>) -> Result<Answered> {
    let output = said(nghttp_command(door, shown, question), BODY).await?;
    let status = statuses(&output).first().copied().with_context(|| output.clone())?;
    // Its own lines begin with `[` and a time, or with blanks; the body stands between them, and a line of its own
    // follows on the same line.
    let body = output.lines().find(|line| line.starts_with('{')).unwrap_or_default();
    Ok(Answered { status, label: label(body) })
}

/// nghttp, told to say what it receives, with the request's body on its standard input.
pub fn nghttp_command(door: &Door, shown: Option<&Shown>, question: Question<'_>) -> Command {
    let mut command = Command::new("nghttp");
    command.args(["--verbose", "--no-verify-peer", "--data", "-"]);
    command.arg(format!("--header=:method: {}", question.method));
    command.arg(format!("--header=:authority: {}", door.infra));
    if let Some(origin) = question.origin {
        command.arg(format!("--header=wire-origin-domain: {origin}"));
    }
    if let Some(shown) = shown {
        command.arg(format!("--cert={}", shown.certificate.display())).arg(format!("--key={}", shown.key.display()));
    }
    command.arg(format!("https://{}{}", door.address, question.path));
    command
}

/// The statuses in what nghttp says it received.
pub fn statuses(output: &str) -> Vec<u16> {
    let lines = output.lines().filter(|line| line.contains(" recv "));
    lines.filter_map(|line| line.split_once(":status: ")?.1.get(..3)?.parse().ok()).collect()
}

/// Runs a program to its end with that on its standard input; what it printed.
pub async fn said(mut command: Command, input: &str) -> Result<String> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let what = format!("{:?}", command.as_std().get_program());
    let mut child = command.spawn().with_context(|| what.clone())?;
    let mut stdin = child.stdin.take().context("its input")?;
    let (written, ended) = tokio::join!(
        async {
            let written = stdin.write_all(input.as_bytes()).await;
            drop(stdin);
            written
        },
        timeout(PATIENCE, child.wait_with_output()),
    );
    let output = ended.with_context(|| format!("{what} does not end"))??;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // Whoever was answered before he had said everything may see his pipe closed.
    if text.is_empty() {
        written?;
        anyhow::bail!("{what} ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(text)
}

/// The label of the Wire error that a text begins with.
fn label(body: &str) -> String {
    let value: Option<Value> = serde_json::Deserializer::from_str(body).into_iter().next().and_then(Result::ok);
    value.and_then(|value| value["label"].as_str().map(str::to_owned)).unwrap_or_default()
}

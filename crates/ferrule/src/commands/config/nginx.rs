//! `ferrule config nginx`: nginx as ingress in front of a federator.

use std::{fmt::Write, net::SocketAddr, path::PathBuf, process::ExitCode};

use anyhow::{Context, Result, bail};
use backend::config;
use clap::Args;
use types::Domain;

use crate::output;

/// Options that are missing are taken from `[federation]` of a configuration.
#[derive(Debug, Args)]
pub struct NginxArgs {
    /// A configuration of `ferrule serve`, whose section `[federation]` has what is not given
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The infrastructure domain
    #[arg(long, value_name = "DOMAIN")]
    infra: Option<Domain>,
    /// The certificate chain that is shown to other backends
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// Its key
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// The CA certificates that other backends' certificates are signed by, in one file
    #[arg(long, value_name = "FILE")]
    client_ca: Option<PathBuf>,
    /// How many signatures may lie between one of them and a certificate [default: 2]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u8).range(1..=6))]
    verify_depth: Option<u8>,
    /// The federator's listener for an ingress
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8081")]
    federator: SocketAddr,
    /// The port for other backends
    #[arg(long, value_name = "PORT", default_value_t = 443)]
    port: u16,
}

/// Prints the server block.
pub fn run(args: NginxArgs) -> Result<ExitCode> {
    let text = server_block(&ingress(args)?);
    output::line(format_args!("{}", text.trim_end()))?;
    Ok(ExitCode::SUCCESS)
}

/// What nginx is told.
struct Ingress {
    infra: Domain,
    certificate: String,
    key: String,
    client_ca: String,
    verify_depth: u8,
    federator: SocketAddr,
    port: u16,
}

fn ingress(args: NginxArgs) -> Result<Ingress> {
    let federation = match &args.config {
        Some(file) => Some(
            config::load(file, std::env::vars_os())?
                .federation
                .with_context(|| format!("{} has no section [federation]", file.display()))?,
        ),
        None => None,
    };
    let federation = federation.as_ref();
    let set = |path: &PathBuf| !path.as_os_str().is_empty();
    let infra = args.infra.or_else(|| federation.map(|federation| federation.infra.clone()));
    let certificate = args.certificate.or_else(|| federation.map(|f| f.certificate.clone())).filter(set);
    let key = args.key.or_else(|| federation.map(|f| f.key.clone())).filter(set);
    let client_ca = match (args.client_ca, federation.map(|federation| federation.ca.as_slice())) {
        (Some(file), _) => file,
        (None, Some([file])) => file.clone(),
        (None, Some([_, _, ..])) => {
            bail!("nginx takes CA certificates from one file, and federation.ca names several; give one by --client-ca")
        }
        (None, _) => bail!("give the CA certificates of other backends by --client-ca"),
    };
    let verify_depth = args.verify_depth.or(federation.map(|federation| federation.verify_depth)).unwrap_or(2);
    Ok(Ingress {
        infra: infra.context("give the infrastructure domain by --infra")?,
        certificate: quoted(&certificate.context("give the own certificate by --certificate")?)?,
        key: quoted(&key.context("give the key of the own certificate by --key")?)?,
        client_ca: quoted(&client_ca)?,
        verify_depth,
        federator: args.federator,
        port: args.port,
    })
}

/// A path as nginx reads it.
fn quoted(path: &std::path::Path) -> Result<String> {
    let text = path.to_str().with_context(|| format!("{} is not UTF-8", path.display()))?;
    if text.contains(|c: char| c.is_control() || "\"\\$".contains(c)) {
        bail!("{} has characters that mean something to nginx", path.display());
    }
    Ok(format!("\"{text}\""))
}

/// As wire-server's ingress is set (`federation.md` §2.3).
fn server_block(ingress: &Ingress) -> String {
    let Ingress { infra, certificate, key, client_ca, verify_depth, federator, port } = ingress;
    // nginx counts intermediates, `verify_depth` signatures.
    let intermediates = verify_depth - 1;
    let mut text = String::new();
    write!(
        text,
        r#"# The ingress of a federator: TLS ends here, certificates of other backends are judged here.
# To stand in the http section of nginx. Made by `ferrule config nginx`.
server {{
    listen {port} ssl http2;
    listen [::]:{port} ssl http2;
    server_name {infra};

    ssl_certificate {certificate};
    ssl_certificate_key {key};
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_ciphers ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384;
    ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384;
    ssl_prefer_server_ciphers on;

    # Whoever shows no certificate of these CAs is answered 400.
    ssl_client_certificate {client_ca};
    ssl_verify_client on;
    # Intermediates between CA and certificate: one less than verify_depth, which counts signatures.
    ssl_verify_depth {intermediates};

    # Certificates travel in a header and are large.
    large_client_header_buffers 16 32k;
    proxy_buffer_size 16k;
    proxy_buffers 8 16k;
    client_max_body_size 1024m;

    # Only calls: the federator's own pages (/i/status, /i/metrics) are nobody else's business.
    location /federation/ {{
        proxy_pass http://{federator};
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $host;
        # Replaces whatever a caller sent under this name.
        proxy_set_header X-SSL-Certificate $ssl_client_escaped_cert;
        # A backend tells here whose call it passes on.
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        # Answers are passed on as they come.
        proxy_buffering off;
    }}

    location / {{
        return 404;
    }}
}}
"#
    )
    .expect("writing to a string");
    text
}

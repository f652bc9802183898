//! `ferrule config nginx`: nginx as ingress in front of a federator.

use std::{
    fmt::Write,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    process::ExitCode,
    str::FromStr,
};

use anyhow::{Context, Result, bail};
use backend::config::{self, Either};
use clap::Args;
use types::Domain;

use crate::output;

/// Options that are missing are taken from a configuration.
#[derive(Debug, Args)]
pub struct NginxArgs {
    /// A configuration of `ferrule serve` or of `ferrule federator`, wire-server's federator.yaml too, which has what is not
    /// given
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
    /// The federator's listener for an ingress [default: 127.0.0.1:8081]
    #[arg(long, value_name = "ADDRESS:PORT")]
    federator: Option<SocketAddr>,
    /// The port for other backends
    #[arg(long, value_name = "PORT", default_value_t = 443)]
    port: u16,
    /// The addresses to listen on [default: all of IPv4 and of IPv6]
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    address: Vec<IpAddr>,
    /// The nginx that is to read it, such as 1.27.4: from 1.25.1 on HTTP/2 is switched on by a line of its own. Without it
    /// the older form is printed, which every nginx takes, the newer ones with a warning
    #[arg(long, value_name = "VERSION")]
    nginx_version: Option<NginxVersion>,
}

/// Prints the server block.
pub fn run(args: NginxArgs) -> Result<ExitCode> {
    let text = server_block(&ingress(args)?);
    output::line(format_args!("{}", text.trim_end()))?;
    Ok(ExitCode::SUCCESS)
}

/// A version of nginx, as `nginx -v` prints it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct NginxVersion([u16; 3]);

impl NginxVersion {
    /// The first with `http2 on`, where `http2` behind `listen` is deprecated.
    const WITH_HTTP2_ON: Self = Self([1, 25, 1]);
}

impl FromStr for NginxVersion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.trim().trim_start_matches("nginx/");
        let mut parts = number.split('.').map(str::parse::<u16>);
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(Ok(major)), Some(Ok(minor)), Some(Ok(patch)), None) => Ok(Self([major, minor, patch])),
            _ => Err("expected a version of nginx, such as 1.22.1".to_owned()),
        }
    }
}

/// What nginx is told.
struct Ingress {
    infra: Domain,
    certificate: String,
    key: String,
    client_ca: String,
    verify_depth: u8,
    federator: SocketAddr,
    listen: Vec<SocketAddr>,
    http2_on: bool,
}

/// What a configuration says of an ingress. Paths are empty where they are not set.
#[derive(Default)]
struct Configured {
    infra: Option<Domain>,
    certificate: PathBuf,
    key: PathBuf,
    ca: Vec<PathBuf>,
    verify_depth: Option<u8>,
    federator: Option<SocketAddr>,
}

fn configured(file: &Path) -> Result<Configured> {
    match config::load_either(file, std::env::vars_os())? {
        Either::Backend(config) => {
            let federation =
                config.federation.with_context(|| format!("{} has no section [federation]", file.display()))?;
            Ok(Configured {
                infra: Some(federation.infra),
                certificate: federation.certificate,
                key: federation.key,
                ca: federation.ca,
                verify_depth: Some(federation.verify_depth),
                federator: None,
            })
        }
        Either::Federator(config, _) => {
            let behind = config.inward.behind_proxy.map(|behind| behind.listen);
            let own = config.inward.ingress;
            let shown = own.as_ref().and_then(|own| own.certificate.clone().zip(own.key.clone()));
            // As wire-server has it with `useSharedFederatorSecret`: one certificate for both directions.
            let (certificate, key) = shown.unwrap_or((config.tls.certificate, config.tls.key));
            Ok(Configured {
                infra: own.as_ref().map(|own| own.infra.clone()),
                certificate,
                key,
                ca: config.tls.ca,
                verify_depth: own.map(|own| own.verify_depth),
                federator: behind.map(nearest),
            })
        }
    }
}

/// How a listener on every address is called from the same machine.
fn nearest(listen: SocketAddr) -> SocketAddr {
    match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => (Ipv4Addr::LOCALHOST, listen.port()).into(),
        IpAddr::V6(ip) if ip.is_unspecified() => (Ipv6Addr::LOCALHOST, listen.port()).into(),
        _ => listen,
    }
}

fn ingress(args: NginxArgs) -> Result<Ingress> {
    let configured = args.config.as_deref().map(configured).transpose()?.unwrap_or_default();
    let set = |path: &PathBuf| !path.as_os_str().is_empty();
    let certificate = args.certificate.or(Some(configured.certificate)).filter(set);
    let key = args.key.or(Some(configured.key)).filter(set);
    let client_ca = match (args.client_ca, configured.ca.as_slice()) {
        (Some(file), _) => file,
        (None, [file]) => file.clone(),
        (None, [_, _, ..]) => {
            bail!(
                "nginx takes CA certificates from one file, and the configuration names several; give one by --client-ca"
            )
        }
        (None, []) => bail!("give the CA certificates of other backends by --client-ca"),
    };
    let addresses = match args.address.is_empty() {
        true => vec![Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()],
        false => args.address,
    };
    Ok(Ingress {
        infra: args.infra.or(configured.infra).context("give the infrastructure domain by --infra")?,
        certificate: quoted(&certificate.context("give the own certificate by --certificate")?)?,
        key: quoted(&key.context("give the key of the own certificate by --key")?)?,
        client_ca: quoted(&client_ca)?,
        verify_depth: args.verify_depth.or(configured.verify_depth).unwrap_or(2),
        federator: args.federator.or(configured.federator).unwrap_or_else(|| (Ipv4Addr::LOCALHOST, 8081).into()),
        listen: addresses.into_iter().map(|address| SocketAddr::new(address, args.port)).collect(),
        http2_on: args.nginx_version.is_some_and(|version| version >= NginxVersion::WITH_HTTP2_ON),
    })
}

/// A path as nginx reads it.
fn quoted(path: &Path) -> Result<String> {
    let text = path.to_str().with_context(|| format!("{} is not UTF-8", path.display()))?;
    if text.contains(|c: char| c.is_control() || "\"\\$".contains(c)) {
        bail!("{} has characters that mean something to nginx", path.display());
    }
    Ok(format!("\"{text}\""))
}

/// As wire-server's ingress is set (`federation.md` §2.3).
fn server_block(ingress: &Ingress) -> String {
    let Ingress { infra, certificate, key, client_ca, verify_depth, federator, listen, http2_on } = ingress;
    // nginx counts intermediates, `verify_depth` signatures.
    let intermediates = verify_depth - 1;
    let http2 = if *http2_on { "" } else { " http2" };
    let mut listening: String = listen.iter().map(|at| format!("    listen {} ssl{http2};\n", address(*at))).collect();
    if *http2_on {
        listening.push_str("    http2 on;\n");
    }
    let mut text = String::new();
    write!(
        text,
        r#"# The ingress of a federator: TLS ends here, certificates of other backends are judged here.
# To stand in the http section of nginx. Made by `ferrule config nginx`.
server {{
{listening}    server_name {infra};

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

/// Where nginx listens; a port alone means every address of IPv4.
fn address(listen: SocketAddr) -> String {
    match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => listen.port().to_string(),
        _ => listen.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_nginx() {
        for (text, http2_on) in [
            ("1.22.1", Some(false)),
            ("1.25.0", Some(false)),
            ("1.25.1", Some(true)),
            ("nginx/1.27.4", Some(true)),
            ("2.0.0", Some(true)),
            ("1.25", None),
            ("1.25.1.2", None),
            ("new", None),
        ] {
            let version = text.parse::<NginxVersion>().ok();
            assert_eq!(version.map(|version| version >= NginxVersion::WITH_HTTP2_ON), http2_on, "{text}");
        }
    }
}

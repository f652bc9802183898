//! nginx as operators of wire-server have it in front of a federator: mutual TLS, the certificate in a header.

use std::{fmt::Write, fs, net::SocketAddr, os::unix::fs::MetadataExt, process::Command};

use anyhow::{Context, Result};

use super::{Child, Component, Programs, Server};
use crate::{
    ground::{BACKEND, Credentials, Ground, free_address, infra},
    proc::Processes,
};

/// What stands behind the ingress.
#[derive(Clone, Copy)]
pub enum Behind<'a> {
    /// Nothing: nginx itself answers, with a body of its configuration.
    Nothing,
    /// The component.
    Component(&'a Component),
    /// A second nginx, without TLS, and behind it the component: the shape of ingress, federator, component.
    Proxy(&'a Component),
}

impl Server {
    /// nginx with the same mutual TLS as Ferrule's ingress.
    ///
    /// # Errors
    /// It does not start.
    pub fn nginx(programs: &Programs, ground: &Ground, credentials: &Credentials, behind: Behind<'_>) -> Result<Self> {
        let address = free_address()?;
        let (name, component, child) = match behind {
            Behind::Nothing => {
                let child = start(programs, ground, "nginx-alone", address, &ingress(address, credentials, None))?;
                ("nginx", None, child)
            }
            Behind::Component(component) => {
                let text = ingress(address, credentials, Some(component.address));
                let child = start(programs, ground, "nginx-component", address, &text)?;
                ("nginx → component", Some(component), child)
            }
            Behind::Proxy(component) => {
                // Two listeners of one nginx: its workers do the work of both, and no process is counted twice.
                let second = free_address()?;
                let text = ingress(address, credentials, Some(second)) + &proxy(second, component.address);
                let child = start(programs, ground, "nginx-proxy", address, &text)?;
                ("nginx → nginx → component", Some(component), child)
            }
        };
        let own = Processes::of([child.id()]);
        let processes = component.map_or_else(|| own.clone(), |component| own.clone().and(&component.processes));
        Ok(Self { name, address, processes, own, _child: child })
    }
}

fn start(programs: &Programs, ground: &Ground, folder: &str, address: SocketAddr, http: &str) -> Result<Child> {
    let folder = ground.folder(folder)?;
    let at = folder.display();
    // Workers of another user could not write into the folder.
    let user = if fs::metadata(&folder)?.uid() == 0 { "user root;\n" } else { "" };
    let mut text = format!(
        "daemon off;\n{user}worker_processes auto;\npid {at}/pid;\nerror_log {at}/error.log warn;\n\
         events {{ worker_connections 8192; }}\nhttp {{\naccess_log off;\nkeepalive_requests 100000000;\n\
         keepalive_timeout 120s;\nhttp2_max_concurrent_streams 128;\n"
    );
    for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        let _ = writeln!(text, "{kind}_temp_path {at}/{kind};");
    }
    text.push_str(http);
    text.push_str("}\n");
    let config = folder.join("nginx.conf");
    fs::write(&config, text).with_context(|| config.display().to_string())?;
    let mut command = Command::new(&programs.nginx);
    command.arg("-p").arg(&folder).arg("-c").arg(&config).arg("-e").arg(folder.join("error.log"));
    let log = folder.join("log");
    let mut child = Child::start(command, &log)?;
    child.wait_for(address, &log)?;
    Ok(child)
}

/// The listener with mutual TLS. Where nothing stands behind it, it answers itself.
fn ingress(listen: SocketAddr, credentials: &Credentials, upstream: Option<SocketAddr>) -> String {
    let host = infra(BACKEND);
    let answer = match upstream {
        Some(_) => "proxy_pass http://behind-ingress/federation/;\nproxy_http_version 1.1;\n\
             proxy_set_header Connection \"\";\nproxy_set_header X-SSL-Certificate $ssl_client_escaped_cert;\n\
             proxy_set_header Wire-Origin-IP $remote_addr;\n"
            .to_owned(),
        None => format!("default_type application/json;\nreturn 200 '{}';\n", crate::component::versions()),
    };
    let upstream = upstream.map_or_else(String::new, |address| pool("behind-ingress", address));
    format!(
        "{upstream}server {{\nlisten {listen} ssl http2 backlog=4096;\nserver_name {host};\n\
         ssl_certificate {certificate};\nssl_certificate_key {key};\nssl_client_certificate {ca};\n\
         ssl_verify_client on;\nssl_verify_depth 1;\nssl_session_cache off;\nssl_session_tickets off;\n\
         ssl_protocols TLSv1.2 TLSv1.3;\n\
         ssl_ciphers ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384;\n\
         location /federation/brig/ {{\n{answer}}}\n}}\n",
        certificate = credentials.certificate.display(),
        key = credentials.key.display(),
        ca = credentials.ca.display(),
    )
}

/// A listener without TLS that passes on.
fn proxy(listen: SocketAddr, component: SocketAddr) -> String {
    format!(
        "{}server {{\nlisten {listen} backlog=4096;\nlocation / {{\nproxy_pass http://behind-proxy;\n\
         proxy_http_version 1.1;\nproxy_set_header Connection \"\";\n}}\n}}\n",
        pool("behind-proxy", component)
    )
}

fn pool(name: &str, address: SocketAddr) -> String {
    format!("upstream {name} {{\nserver {address};\nkeepalive 256;\nkeepalive_requests 100000000;\n}}\n")
}

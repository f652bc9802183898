//! What is there already when the page begins: Let's Encrypt, and a wire-server that federates.

use std::path::Path;

use anyhow::{Result, ensure};

use super::{
    machines::Machines,
    page::{Seat, What},
};

/// From here the cluster of the wire-server is looked after.
pub const ADMIN: &str = "admin.example.net";

const LETS_ENCRYPT: &str = "acme-v02.api.letsencrypt.org";

/// Let's Encrypt, the ingress of the wire-server and two of its pods. The folders `lets-encrypt` and `wire-server` say what
/// runs there.
pub const MACHINES: [(&str, &str); 4] =
    [(LETS_ENCRYPT, "192.0.2.80"), ("example.net", "203.0.113.40"), ("brig", "10.0.0.2"), ("federator", "10.0.0.3")];

/// Names that all machines have in `/etc/hosts`: Let's Encrypt, and the services of the cluster.
pub const HOSTS: &str = "192.0.2.80 acme-v02.api.letsencrypt.org\n10.0.0.2 brig galley cargohold\n\
                         10.0.0.3 federator\n10.0.0.4 nginz\n";

/// The zone of the wire-server.
pub const ZONES: [&str; 1] = ["example.net"];

const RECORDS: &str = "_wire-server-federator._tcp.example.net. 600 IN SRV 0 10 443 federator.wire.example.net.
federator.wire.example.net. 600 IN A 203.0.113.40
";

/// Starts an ACME server in the place of Let's Encrypt, which these machines believe.
pub fn lets_encrypt(machines: &mut Machines, believing: &[&str]) -> Result<()> {
    play(machines, LETS_ENCRYPT, "lets-encrypt/acme")?;
    believing.iter().try_for_each(|machine| play(machines, machine, "lets-encrypt/trust"))
}

/// Whether that is done where the wire-server is looked after.
pub fn is_at_cluster(what: &What) -> bool {
    matches!(what, What::Shell { places, .. } if places.iter().any(|seat| seat.machine == ADMIN))
}

/// Lets a wire-server federate with the partner, as it did long before the page comes to it.
pub fn wire_server(machines: &mut Machines) -> Result<()> {
    machines.publish(ZONES[0], RECORDS)?;
    for (machine, script) in [
        ("brig", "brig"),
        ("federator", "federator"),
        ("example.net", "ingress"),
        ("partner.example", "partner"),
        (ADMIN, "admin"),
    ] {
        play(machines, machine, &format!("wire-server/{script}"))?;
    }
    Ok(())
}

/// Carries out a script that is not on the page.
fn play(machines: &mut Machines, machine: &str, script: &str) -> Result<()> {
    let seat = Seat { user: "root".into(), machine: machine.into() };
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/operators").join(script);
    let ended = machines.type_at(&seat, &file.display().to_string())?;
    ensure!(ended.status.success(), "{seat}: {script}: {}", ended.stdout);
    Ok(())
}

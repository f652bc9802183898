//! The commands: what each takes, and where it is carried out.

mod cert;
mod config;
mod demo;
mod dev;
mod doctor;
mod federation;
mod federator;
mod init;
mod runtime;
mod serve;
mod status;
mod store;

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, str::FromStr};

use anyhow::Result;
use clap::{Args, Parser, Subcommand, ValueEnum};
use types::{Domain, FederationStrategy, SearchPolicy};

/// A Wire backend in one binary: end-to-end-encrypted messaging that federates.
#[derive(Debug, Parser)]
#[command(name = "ferrule", version, about, propagate_version = true)]
pub struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows three backends on this machine find each other, and answer those whom they trust
    Demo(DemoArgs),
    /// Starts throwaway federated backends for developers of clients
    Dev(DevArgs),
    /// Runs a backend
    Serve(ConfigFile),
    Federator(federator::FederatorArgs),
    /// Says whether the backend or the federator that runs with a configuration serves; the exit status is 0 if it does
    Status(ConfigFile),
    /// Writes a configuration, token keys and a federation CA, and says what to put into DNS
    Init(InitArgs),
    /// Makes, renews and explains certificates for federation
    #[command(subcommand)]
    Cert(cert::CertCommand),
    /// Shows or checks a configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Says which other backends are allowed; the backend must be running
    #[command(subcommand)]
    Federation(FederationCommand),
    /// Checks, counts, dumps and backs up what is stored
    #[command(subcommand)]
    Store(store::StoreCommand),
    /// Looks at DNS, TLS, trust both ways, allow lists and round trips, and says what to fix
    ///
    /// The exit status is 0 if all is well, 1 if there are warnings, 2 if something failed, and 3 if nothing could be
    /// examined, as with a command line that makes no sense.
    Doctor(DoctorArgs),
}

#[derive(Debug, Args)]
struct DoctorArgs {
    /// The backends to look at beside the own one [default: every one that is allowed by name]
    #[arg(value_name = "DOMAIN")]
    domains: Vec<Domain>,
    /// The configuration file [env: FERRULE_CONFIG] [default: ferrule.toml]
    // Not by clap's `env`: what is in the environment for other commands does not contradict `--ready-file`.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Examines a backend of a laboratory: the file that `ferrule dev --ready-file` wrote
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    ready_file: Option<PathBuf>,
    /// Which backend of the laboratory [default: the first]
    #[arg(long, value_name = "DOMAIN", requires = "ready_file")]
    backend: Option<Domain>,
    /// The Helm values of the wire-server that the backend belongs to, later files over earlier ones: whether they agree
    /// with each other and with the configuration is looked at too
    #[arg(long, value_name = "FILE", num_args = 1..)]
    helm: Vec<PathBuf>,
    /// Prints one JSON document instead of text
    #[arg(long)]
    json: bool,
    /// The public address as clients have it: whether the internal API can be reached is tried there too
    #[arg(long, value_name = "URL", value_parser = doctor::public_address)]
    from_outside: Option<http::Uri>,
}

#[derive(Debug, Args)]
struct DemoArgs {
    /// Ends after the demonstration; the exit status says whether every step held
    #[arg(long)]
    exit: bool,
    /// Prints one JSON document instead of text
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct DevArgs {
    /// The backend domains, separated by commas
    #[arg(long, value_delimiter = ',', required = true)]
    backends: Vec<Domain>,
    /// A backend that runs elsewhere: it gets an SRV record and a certificate
    #[arg(long = "peer", value_name = "DOMAIN=ADDRESS:PORT")]
    peers: Vec<Peer>,
    /// Writes the description of everything to this file once it is up
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    /// Keeps data here and finds it again; otherwise it goes away
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Whom the backends allow
    #[arg(long, value_enum, default_value_t = Strategy::Listed)]
    strategy: Strategy,
    /// The TTL of the SRV records, in seconds
    #[arg(long, default_value_t = 600)]
    ttl: u32,
}

#[derive(Clone, Debug)]
struct Peer(lab::PeerPlan);

impl FromStr for Peer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (domain, address) = text.split_once('=').ok_or("expected DOMAIN=ADDRESS:PORT")?;
        let domain = domain.parse::<Domain>().map_err(|e| format!("{domain}: {e}"))?;
        let address = address
            .parse::<SocketAddr>()
            .map_err(|_| format!("`{address}` is not an IP address with a port, such as `127.0.0.1:8443`"))?;
        Ok(Self(lab::PeerPlan { domain, address }))
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Strategy {
    /// Nobody
    #[value(name = "allowNone")]
    Nobody,
    /// Those that are listed: all backends and peers of this laboratory
    #[value(name = "allowDynamic")]
    Listed,
    /// Everybody
    #[value(name = "allowAll")]
    Everybody,
}

impl From<Strategy> for FederationStrategy {
    fn from(strategy: Strategy) -> Self {
        match strategy {
            Strategy::Nobody => Self::AllowNone,
            Strategy::Listed => Self::AllowDynamic,
            Strategy::Everybody => Self::AllowAll,
        }
    }
}

#[derive(Debug, Args)]
struct ConfigFile {
    /// The configuration file
    #[arg(long, value_name = "FILE", env = ConfigFile::VARIABLE, default_value = ConfigFile::DEFAULT)]
    config: PathBuf,
}

impl ConfigFile {
    const VARIABLE: &str = "FERRULE_CONFIG";
    const DEFAULT: &str = "ferrule.toml";
}

#[derive(Debug, Args)]
struct InitArgs {
    /// The folder to write into
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// The backend domain: part of every user's identity, never to be changed
    #[arg(long)]
    domain: Domain,
    /// The infrastructure domain, where other backends reach this one [default: federator.wire.DOMAIN]
    #[arg(long)]
    infra: Option<Domain>,
    /// The folder for data, as the configuration names it; a relative one counts from the folder written into
    #[arg(long, value_name = "DIR", default_value = "data")]
    data: String,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Prints the configuration in force: file, environment and defaults
    Show(ConfigFile),
    /// Says whether a backend could start with the configuration
    Check(ConfigFile),
    /// Makes a configuration of the Helm values of a wire-server
    ///
    /// Values of the charts wire-server, nginx-ingress-services and federator are understood, their secrets as well;
    /// later files win, as Helm has it. What contradicts itself is an error, and then nothing is written.
    ImportHelm {
        /// The files of values
        #[arg(required = true, value_name = "FILE")]
        values: Vec<PathBuf>,
        /// The folder to write into
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// The folder for data, as the configuration names it; a relative one counts from the folder written into
        #[arg(long, value_name = "DIR", default_value = "data")]
        data: String,
    },
    /// Prints a server block for nginx as the ingress in front of a federator
    Nginx(config::nginx::NginxArgs),
}

#[derive(Debug, Subcommand)]
enum FederationCommand {
    /// Allows a backend, or changes what its users may find here
    ///
    /// This backend must be running: it is asked by its internal listener, and the change counts at once.
    Allow {
        #[command(flatten)]
        config: ConfigFile,
        /// The backend domain
        domain: Domain,
        /// What its users may find here [default: as before; exact_handle_search for a new one]
        #[arg(long, value_enum)]
        search_policy: Option<Search>,
    },
    /// Takes a backend off the allow list
    ///
    /// This backend must be running: it is asked by its internal listener, and the change counts at once.
    Deny {
        #[command(flatten)]
        config: ConfigFile,
        /// The backend domain
        domain: Domain,
    },
    /// Lists strategy and allowed backends
    ///
    /// This backend must be running: it is asked by its internal listener.
    List {
        #[command(flatten)]
        config: ConfigFile,
        /// Prints JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Search {
    /// Nothing
    #[value(name = "no_search")]
    Nothing,
    /// A user whose handle is known exactly
    #[value(name = "exact_handle_search")]
    ExactHandle,
    /// Users by handle and by name
    #[value(name = "full_search")]
    Full,
}

impl From<Search> for SearchPolicy {
    fn from(search: Search) -> Self {
        match search {
            Search::Nothing => Self::NoSearch,
            Search::ExactHandle => Self::ExactHandleSearch,
            Search::Full => Self::FullSearch,
        }
    }
}

/// Says what is wrong with a command line, or the help that it asks for; and how the process ends.
pub fn refuse(error: &clap::Error) -> ExitCode {
    let _ = error.print();
    match error.exit_code() {
        0 => ExitCode::SUCCESS,
        // The doctor's other statuses speak of what was examined.
        _ if std::env::args_os().nth(1).is_some_and(|command| command == "doctor") => doctor::UNABLE.into(),
        status => u8::try_from(status).map_or(ExitCode::FAILURE, ExitCode::from),
    }
}

/// Carries out a command.
pub fn run(line: CommandLine) -> Result<ExitCode> {
    match line.command {
        Command::Demo(args) => runtime::block_on(demo::run(args)),
        Command::Dev(args) => runtime::block_on(dev::run(args)),
        Command::Serve(args) => serve::run(&args.config),
        Command::Federator(args) => federator::run(args),
        Command::Status(args) => runtime::block_on(async { status::run(&args.config).await }),
        Command::Init(args) => init::run(&args),
        Command::Cert(command) => cert::run(&command),
        Command::Config(ConfigCommand::Show(args)) => config::show(&args.config),
        Command::Config(ConfigCommand::Check(args)) => config::check(&args.config),
        Command::Config(ConfigCommand::ImportHelm { values, out, data }) => {
            config::import_helm::run(&values, &out, &data)
        }
        Command::Config(ConfigCommand::Nginx(args)) => config::nginx::run(args),
        Command::Federation(command) => runtime::block_on(federation::run(command)),
        Command::Store(command) => store::run(command),
        Command::Doctor(args) => runtime::block_on(doctor::run(args)),
    }
}

//! What the scenarios stand on: one runtime, and the backends that several of them share.

mod between;
mod network;
mod standalone;
mod target;
mod way;

use std::{
    future::Future,
    path::Path,
    sync::{LazyLock, OnceLock},
    time::{Duration, Instant},
};

use testkit::{
    World,
    process::{Dev, DevPlan},
    recording::RecordingPlan,
};
use tokio::{net::TcpListener, runtime::Runtime, sync::OnceCell, time::timeout};

pub use between::both_directions;
pub use network::Network;
pub use standalone::{Pair, Standalone};
pub use target::Target;
pub use way::Way;

/// How long one scenario may take. Above every deadline of the backends, so that a test sees their own answer.
const DEADLINE: Duration = Duration::from_secs(120);

/// The program under test.
pub fn ferrule() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_ferrule"))
}

/// Runs a scenario. All of them share a runtime, so that what they share keeps running between them.
pub fn run<T>(scenario: impl Future<Output = T>) -> T {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
    });
    RUNTIME.block_on(async { timeout(DEADLINE, scenario).await.expect("the scenario ends in time") })
}

/// Backends of `ferrule dev`, `a.example`, `b.example` and the peer `x.example`; or those of a given ready-file.
pub async fn dev() -> &'static Dev {
    static DEV: OnceCell<(Dev, TcpListener)> = OnceCell::const_new();
    let shared = DEV.get_or_init(|| async {
        // The peer's port is held but nobody answers there: scenarios that play the called peer have backends of
        // their own.
        let held = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let plan = DevPlan {
            backends: vec!["a.example".into(), "b.example".into()],
            peers: vec![("x.example".into(), held.local_addr().unwrap())],
            ..DevPlan::default()
        };
        (Dev::given_or_start(ferrule(), &plan).unwrap(), held)
    });
    &shared.await.0
}

/// A `ferrule serve` in a network of the test's own, with small limits.
pub async fn network() -> &'static Network {
    static NETWORK: OnceCell<Network> = OnceCell::const_new();
    NETWORK.get_or_init(|| async { Network::start(SMALL_LIMITS).await.unwrap() }).await
}

/// A `ferrule serve` with a `ferrule federator` for its calls to and from others, in a network of the test's own, with
/// small limits.
pub async fn pair() -> (&'static World, &'static Pair) {
    static PAIR: OnceCell<(World, Pair)> = OnceCell::const_new();
    let both = PAIR.get_or_init(|| async {
        let world = World::new().await.unwrap();
        let pair = Pair::start(&world, "pair.example", SMALL_LIMITS).await.unwrap();
        (world, pair)
    });
    let (world, pair) = both.await;
    (world, pair)
}

/// Deadlines that are short enough for a test to wait for them, and long enough for a busy machine.
pub const SMALL_LIMITS: &str = "
connect = 1000
connect_all = 2500
handshake = 2000
answer_headers = 2000
answer_idle = 2000
inward_handshake = 2000
request_headers = 2000
request_idle = 2000
waiting_calls = 8
dns_try = 1000
dns_tries = 2
";

/// The same for a recording backend.
pub fn small_plan() -> RecordingPlan {
    const SECOND: Duration = Duration::from_secs(1);
    let mut plan = RecordingPlan::default();
    let outbound = &mut plan.limits.outbound;
    (outbound.connect, outbound.connect_all) = (SECOND, SECOND * 5 / 2);
    (outbound.handshake, outbound.answer_head, outbound.answer_idle) = (SECOND * 2, SECOND * 2, SECOND * 2);
    outbound.waiting_calls = 8;
    let ingress = &mut plan.limits.ingress;
    (ingress.handshake, ingress.headers, ingress.body_idle) = (SECOND * 2, SECOND * 2, SECOND * 2);
    (plan.limits.dns.tries, plan.limits.dns.try_timeout) = (2, SECOND);
    plan
}

/// Whether the longer variants of tests run.
pub fn long() -> bool {
    static LONG: OnceLock<bool> = OnceLock::new();
    *LONG.get_or_init(|| std::env::var_os("FERRULE_TEST_LONG").is_some())
}

/// Runs something and tells how long it took.
pub async fn timed<T>(what: impl Future<Output = T>) -> (T, Duration) {
    let start = Instant::now();
    let result = what.await;
    (result, start.elapsed())
}

/// Makes of scenarios tests against four kinds of targets, the first of which is named.
macro_rules! with_targets {
    ($first:ident: $($scenario:ident),*) => { $(
        mod $scenario {
            use crate::support::{Target, run};

            #[test]
            fn brig() {
                run(async { super::$scenario(&Target::$first().await).await });
            }

            #[test]
            fn recording() {
                run(async { super::$scenario(&Target::recording().await).await });
            }

            #[test]
            fn federator() {
                run(async { super::$scenario(&Target::standalone().await).await });
            }

            #[test]
            fn federator_and_brig() {
                run(async { super::$scenario(&Target::pair().await).await });
            }
        }
    )* };
}

/// Makes of a scenario tests: against `ferrule dev` (or the backends of a given ready-file), which has Ferrule's brig
/// behind the federator, against the recording component, and both again with `ferrule federator` as a process between.
macro_rules! both {
    ($($scenario:ident),* $(,)?) => { crate::support::with_targets! { dev: $($scenario),* } };
}

/// The same for scenarios that need DNS, the CA and limits in their hands: `ferrule serve` in the place of
/// `ferrule dev`.
macro_rules! both_in_a_network {
    ($($scenario:ident),* $(,)?) => { crate::support::with_targets! { served: $($scenario),* } };
}

/// The same for calls to others: a client's search at Ferrule's brig, or a typed call by a component.
macro_rules! both_ways {
    ($($scenario:ident),* $(,)?) => { $(
        mod $scenario {
            use crate::support::{Way, run};

            #[test]
            fn brig() {
                run(async { super::$scenario(&Way::client().await).await });
            }

            #[test]
            fn recording() {
                run(async { super::$scenario(&Way::component().await).await });
            }

            #[test]
            fn federator() {
                run(async { super::$scenario(&Way::component_outside().await).await });
            }

            #[test]
            fn federator_and_brig() {
                run(async { super::$scenario(&Way::client_outside().await).await });
            }
        }
    )* };
}

pub(crate) use {both, both_in_a_network, both_ways, with_targets};

//! SIGTERM: a process ends in good order, and no request is lost by it (as `testkit::load` defines it).

use std::{
    fs,
    net::SocketAddr,
    time::{Duration, Instant},
};

use testkit::{
    http1::{Call, Place},
    load::{Asked, Connection, Door, Habit, Load, Outcome, Tally},
    process::Child,
};
use tokio::{net::TcpStream, task::JoinSet};

use super::scene::{Alone, Backend, until};
use crate::support::run;

/// Within which a process that was asked to end has ended: no request here takes long, so that what remains is the time for
/// requests on their way, and for clients to read last words.
const DRAINED: Duration = Duration::from_secs(8);

#[test]
fn a_backend_under_load_ends_without_losing_a_request() {
    run(async {
        let mut backend = Backend::start(&[]).await;
        let asked = [backend.edge(), backend.ingress()];
        ends_under_load(backend.served.child(), &asked).await;
    });
}

#[test]
fn a_federator_under_load_ends_without_losing_a_request() {
    run(async {
        let mut alone = Alone::start(|_| "refresh = 50".into(), &[]).await;
        alone.components.heard().await.unwrap();
        let asked = [alone.outward(), alone.ingress()];
        ends_under_load(alone.federated.child(), &asked).await;
    });
}

#[test]
fn what_reached_a_backend_together_with_the_signal_is_answered() {
    run(async {
        let mut backend = Backend::start(&[]).await;
        let asked = [backend.edge(), backend.ingress()];
        answers_what_has_come(backend.served.child(), &asked).await;
    });
}

#[test]
fn what_reached_a_federator_together_with_the_signal_is_answered() {
    run(async {
        let mut alone = Alone::start(|_| "refresh = 50".into(), &[]).await;
        alone.components.heard().await.unwrap();
        let asked = [alone.outward(), alone.ingress()];
        answers_what_has_come(alone.federated.child(), &asked).await;
    });
}

#[test]
fn a_backend_takes_requests_while_those_who_spread_them_notice_that_it_ends() {
    run(async {
        let mut backend = Backend::start(&[DELAY]).await;
        let edge = backend.edge();
        let Door::Clear(place) = edge.door else { panic!("it is in clear") };
        let asked = [edge, backend.ingress()];
        tells_before_it_ends(backend.served.child(), (place, "/status"), &asked).await;
    });
}

#[test]
fn a_federator_takes_calls_while_those_who_spread_them_notice_that_it_ends() {
    run(async {
        let mut alone = Alone::start(|_| "refresh = 50".into(), &[DELAY]).await;
        alone.components.heard().await.unwrap();
        let outward = alone.federated.outward;
        let asked = [alone.outward(), alone.ingress()];
        tells_before_it_ends(alone.federated.child(), (outward, "/i/ready"), &asked).await;
    });
}

/// Long enough to see it on a busy machine.
const DELAY: (&str, &str) = ("FERRULE_DRAIN_DELAY", "4");

#[test]
fn the_second_signal_ends_the_delay_and_cuts_no_request() {
    const LONG: (&str, &str) = ("FERRULE_DRAIN_DELAY", "600");
    run(async {
        let mut backend = Backend::start(&[LONG]).await;
        let asked = [backend.edge(), backend.ingress()];
        let Door::Clear(place) = asked[0].door else { panic!("it is in clear") };
        let loads: Vec<_> =
            asked.iter().flat_map(|asked| Habit::ALL.map(|habit| (habit, Load::begin(asked, habit, 2)))).collect();
        let child = backend.served.child();
        child.send("-TERM").unwrap();
        let ready = async || Call::get(&Place::Tcp(place), "/status").send().await.unwrap();
        until("it says that it ends", async || ready().await.status == 503).await;
        for (_, load) in &loads {
            load.answered(40).await.unwrap();
        }
        let asked_at = Instant::now();
        child.send("-TERM").unwrap();
        for (habit, load) in loads {
            assert_eq!(load.end().await.unwrap().lost, [] as [String; 0], "{habit:?}");
        }
        assert!(child.wait().unwrap().success(), "{}", child.output().1);
        assert!(asked_at.elapsed() < DRAINED, "{:?}", asked_at.elapsed());
        assert!(!child.output().1.contains("are cut"), "{}", child.output().1);
    });
}

/// Once it is asked to end it says so to whoever asks whether to send requests, and takes them all the same.
async fn tells_before_it_ends(child: &mut Child, (place, path): (SocketAddr, &str), listeners: &[Asked]) {
    let ready = async || Call::get(&Place::Tcp(place), path).send().await.unwrap();
    ready().await.expect_status(200);
    let asked_at = Instant::now();
    child.send("-TERM").unwrap();
    until("it says that it ends", async || ready().await.status == 503).await;
    assert!(ready().await.text().contains("about to end"));
    for asked in listeners {
        for http2 in [false, true] {
            let mut new = Connection::open(&asked.door, http2).await.unwrap().expect("somebody listens");
            let outcomes = new.ask(&asked.request).await.unwrap();
            let answered = outcomes.iter().all(|outcome| matches!(outcome, Outcome::Answered { last: false }));
            assert!(answered && !outcomes.is_empty(), "as ever: {outcomes:?}");
        }
    }
    assert!(child.wait().unwrap().success(), "{}", child.output().1);
    let took = asked_at.elapsed();
    let delay = Duration::from_secs(DELAY.1.parse().unwrap());
    assert!(took >= delay && took < delay + DRAINED, "{took:?}");
}

/// Clients of every habit, on each listener, until nobody listens.
async fn ends_under_load(child: &mut Child, listeners: &[Asked]) {
    let loads: Vec<_> =
        listeners.iter().flat_map(|asked| Habit::ALL.map(|habit| (habit, Load::begin(asked, habit, 2)))).collect();
    for (_, load) in &loads {
        load.answered(40).await.unwrap();
    }
    let asked_at = Instant::now();
    child.send("-TERM").unwrap();
    for (habit, load) in loads {
        let Tally { answered, last, again, lost } = load.end().await.unwrap();
        eprintln!("{habit:?}: {answered} answered, {last} as the last, {again} to be sent again, {} lost", lost.len());
        assert_eq!(lost, [] as [String; 0]);
        // A connection that is kept is told that it ends: by the last answer, or by GOAWAY.
        if habit.keeps && !habit.http2 {
            assert!(last >= 2 && again == 0, "{habit:?}");
        }
    }
    assert!(child.wait().unwrap().success(), "{}", child.output().1);
    assert!(asked_at.elapsed() < DRAINED, "{:?}", asked_at.elapsed());
}

/// Requests on connections old and new that lie before the process when it learns that it is to end: it is stopped for as
/// long as that takes.
async fn answers_what_has_come(child: &mut Child, listeners: &[Asked]) {
    let mut connections = Vec::new();
    for asked in listeners {
        for http2 in [false, true] {
            let mut kept = Connection::open(&asked.door, http2).await.unwrap().expect("somebody listens");
            kept.ask(&asked.request).await.unwrap();
            connections.push((format!("kept, HTTP/2 {http2}"), asked.clone(), kept));
        }
    }
    child.send("-STOP").unwrap();
    let pid = child.pid();
    until("the process stands still", async || is_stopped(pid)).await;
    let mut asking = JoinSet::new();
    for (name, asked, mut kept) in connections {
        asking.spawn(async move { (name, kept.ask(&asked.request).await, kept) });
    }
    for asked in listeners {
        let address = match &asked.door {
            Door::Clear(address) => *address,
            Door::Mutual(caller) => caller.address(),
        };
        for (http2, number) in [(false, 1), (true, 2), (false, 3), (true, 4)] {
            // The kernel accepts it; the process has not.
            let stream = TcpStream::connect(address).await.unwrap();
            let asked = asked.clone();
            asking.spawn(async move {
                let mut fresh = Connection::over(stream, &asked.door, http2).await.expect("a handshake");
                (format!("fresh {number}, HTTP/2 {http2}"), fresh.ask(&asked.request).await, fresh)
            });
        }
    }
    child.send("-TERM").unwrap();
    child.send("-CONT").unwrap();
    let asked_at = Instant::now();
    while let Some(asked) = asking.join_next().await {
        let (name, outcomes, connection) = asked.unwrap();
        for outcome in outcomes.unwrap_or_else(|lost| panic!("{name}: {lost:#}")) {
            // As the last, or just before the process heard of the signal. On HTTP/2 the end may be there before the request
            // has left, and then says so.
            let told_before = outcome == Outcome::Again && name == "kept, HTTP/2 true";
            assert!(told_before || matches!(outcome, Outcome::Answered { .. }), "{name}: {outcome:?}");
        }
        connection.ended().await.unwrap_or_else(|broken| panic!("{name}: {broken:#}"));
    }
    assert!(child.wait().unwrap().success(), "{}", child.output().1);
    assert!(asked_at.elapsed() < DRAINED, "{:?}", asked_at.elapsed());
}

fn is_stopped(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
}

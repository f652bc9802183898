//! Components of other processes: honest ones, slow ones, dying ones and those that talk nonsense.

use std::{
    collections::BTreeMap,
    future::poll_fn,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Wake, Waker},
    time::Duration,
};

use bytes::Bytes;
use federation_api::Component;
use federator::{
    component::HttpComponent,
    limits::{ComponentLimits, HEADER_BYTES},
};
use futures_util::FutureExt;
use http::{Request, Response};
use http_body_util::BodyExt;
use services::{Body, FederationComponent};
use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};
use types::{SeededRng, TraceContext};

use crate::support::{
    PATIENCE,
    peer::{black_hole, refusing},
    plain::{Answer, Scripted, header_lines},
    soon,
};

/// The limit under test, where one is to be run into.
const SHORT: Duration = Duration::from_millis(150);
const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

fn component(address: impl ToString, change: impl FnOnce(&mut ComponentLimits)) -> HttpComponent {
    // None of these is run into by accident.
    let mut limits = ComponentLimits { connect: PATIENCE, answer_head: PATIENCE, ..ComponentLimits::default() };
    limits.answer_idle = PATIENCE;
    change(&mut limits);
    HttpComponent::new(Component::Brig, &address.to_string(), limits).unwrap()
}

fn at(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

fn request(rpc: &str) -> Request<Bytes> {
    let request = Request::post(format!("/federation/{rpc}")).header("wire-origin-domain", "b.example");
    request.body(Bytes::from_static(b"\"foo\"")).unwrap()
}

/// The whole answer; `None` where it breaks off.
async fn whole(answer: Response<Body>) -> Option<Answer> {
    let (head, body) = answer.into_parts();
    let body = soon(body.collect()).await.ok()?.to_bytes();
    Some(Answer { status: head.status.as_u16(), headers: head.headers, body })
}

async fn call(component: &HttpComponent, rpc: &str) -> Option<Answer> {
    whole(soon(component.handle(request(rpc))).await).await
}

/// What is told of a component that gives no answer, and nothing of why.
async fn assert_fails(component: &HttpComponent, why: &str) {
    let answer = call(component, "x").await.unwrap();
    assert_eq!(answer.told(), (500, "server-error".into()), "{why}");
    assert_eq!(answer.header_names(), ["content-type"], "{why}");
}

#[tokio::test]
async fn a_call_goes_out_as_it_is_and_its_answer_comes_back_as_it_is() {
    let answer = "HTTP/1.1 404 Not Found\r\ncontent-type: text/x\r\ntransfer-encoding: chunked\r\n\r\n\
        2\r\nno\r\n1;ext=1\r\n!\r\n0\r\n\r\n";
    let brig = Scripted::always(answer).await;
    let component = component(brig.address, |_| {});
    let trace = TraceContext::root(&SeededRng::new(1));
    let mut asked = request("get-user-by-handle");
    asked.extensions_mut().insert(trace.clone());
    let answer = whole(soon(component.handle(asked)).await).await.unwrap();
    assert_eq!((answer.status, answer.text().as_str()), (404, "no!"));
    assert_eq!(answer.headers["content-type"], "text/x");
    let requests = brig.requests();
    assert!(requests[0].starts_with("POST /federation/get-user-by-handle HTTP/1.1\r\n"), "{requests:?}");
    assert!(requests[0].ends_with("\r\n\r\n\"foo\""), "{requests:?}");
    let expected = [
        "content-length: 5".to_owned(),
        format!("host: {}", brig.address),
        format!("traceparent: {}", trace.traceparent()),
        "wire-origin-domain: b.example".to_owned(),
    ];
    assert_eq!(header_lines(&requests[0]), expected);
}

#[tokio::test]
async fn connections_are_kept_and_used_again() {
    let brig = Scripted::always(OK).await;
    let component = component(brig.address, |_| {});
    for _ in 0..20 {
        assert_eq!(call(&component, "x").await.unwrap().status, 200);
    }
    assert_eq!(brig.requests().len(), 20);
    assert!(brig.connections() < 10, "{} connections", brig.connections());
}

/// Runs work, and counts how often it was woken.
async fn counting_wakes<T>(work: impl Future<Output = T>) -> (T, usize) {
    struct Counter {
        wakes: AtomicUsize,
        task: Mutex<Option<Waker>>,
    }

    impl Wake for Counter {
        fn wake(self: Arc<Self>) {
            self.wakes.fetch_add(1, Ordering::Relaxed);
            self.task.lock().unwrap().as_ref().unwrap().wake_by_ref();
        }
    }

    let counter = Arc::new(Counter { wakes: AtomicUsize::new(0), task: Mutex::default() });
    let waker = Waker::from(Arc::clone(&counter));
    let mut work = pin!(work);
    let done = poll_fn(|cx| {
        *counter.task.lock().unwrap() = Some(cx.waker().clone());
        work.as_mut().poll(&mut Context::from_waker(&waker))
    });
    (soon(done).await, counter.wakes.load(Ordering::Relaxed))
}

/// Each wake is a pass through the scheduler; what a connection and its answer tell each other must cost none.
#[tokio::test]
async fn a_call_is_woken_by_what_comes_from_the_component_alone() {
    const PIECES: usize = 5;
    let asked = Arc::new(Notify::new());
    let more = Arc::clone(&asked);
    let brig = Scripted::start(move |mut visit| {
        let more = Arc::clone(&more);
        async move {
            while let Some(request) = visit.request().await {
                if request.contains("/whole") {
                    visit.raw.say(OK).await;
                    continue;
                }
                visit.raw.say("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
                for _ in 0..PIECES {
                    more.notified().await;
                    visit.raw.say("2\r\nok\r\n").await;
                }
                more.notified().await;
                visit.raw.say("0\r\n\r\n").await;
            }
        }
    })
    .await;
    let component = component(brig.address, |_| {});
    // From here on there is a connection.
    call(&component, "whole").await.unwrap();
    for _ in 0..3 {
        let (answer, wakes) = counting_wakes(async { whole(component.handle(request("whole")).await).await }).await;
        assert_eq!((answer.unwrap().text().as_str(), wakes), ("ok", 1), "head and body come at once");

        let (answer, wakes) = counting_wakes(component.handle(request("pieces"))).await;
        assert_eq!(wakes, 1, "the head");
        let mut body = answer.into_body();
        let (collected, wakes) = counting_wakes(async {
            let mut collected = Vec::new();
            loop {
                // The next piece is not there yet when it is first waited for.
                let mut frame = pin!(body.frame());
                assert!((&mut frame).now_or_never().is_none());
                asked.notify_one();
                match frame.await {
                    Some(frame) => collected.extend_from_slice(&frame.unwrap().into_data().unwrap()),
                    None => return collected,
                }
            }
        })
        .await;
        assert_eq!(
            (collected.as_slice(), wakes),
            ("ok".repeat(PIECES).as_bytes(), PIECES + 1),
            "each piece, and the end"
        );
    }
    assert_eq!(brig.connections(), 1);
}

/// RFC 9110 §15.2: a client passes over interim answers.
#[tokio::test]
async fn interim_answers_are_passed_over() {
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n";
    let brig = Scripted::always(format!("{interim}{OK}")).await;
    let answer = call(&component(brig.address, |_| {}), "x").await.unwrap();
    assert_eq!((answer.status, answer.header_names()), (200, vec!["content-length".to_owned()]));
}

#[tokio::test]
async fn a_component_that_cannot_be_reached_is_a_fault_of_ours() {
    let (port, _socket) = refusing();
    assert_fails(&component(at(port), |_| {}), "it refuses").await;
    assert_fails(&component("nowhere.invalid:8080", |_| {}), "it has no address").await;

    let (port, _sockets) = black_hole();
    let began = Instant::now();
    assert_fails(&component(at(port), |limits| limits.connect = SHORT), "it does not accept").await;
    assert!(began.elapsed() >= SHORT && began.elapsed() < PATIENCE / 2, "{:?}", began.elapsed());
}

#[tokio::test]
async fn no_answer_in_time_ends_the_call_and_its_connection() {
    let silent = Scripted::start(|mut visit| async move { while visit.request().await.is_some() {} }).await;
    let trickling = Scripted::start(|mut visit| async move {
        visit.request().await;
        for byte in OK.bytes().cycle().take(20).chain(std::iter::repeat(b'x')) {
            if !visit.raw.say([byte]).await {
                return;
            }
            sleep(SHORT / 10).await;
        }
    })
    .await;
    let nothing_but_interim = Scripted::start(|mut visit| async move {
        visit.request().await;
        while visit.raw.say("HTTP/1.1 102 Processing\r\n\r\n").await {
            sleep(SHORT / 10).await;
        }
    })
    .await;
    for (what, brig) in
        [("silence", silent), ("a head that trickles", trickling), ("102 for ever", nothing_but_interim)]
    {
        let component = component(brig.address, |limits| limits.answer_head = SHORT);
        let began = Instant::now();
        assert_fails(&component, what).await;
        assert!(began.elapsed() >= SHORT && began.elapsed() < PATIENCE / 2, "{what}: {:?}", began.elapsed());
        brig.until_ended(1).await;
        assert_eq!((brig.requests().len(), brig.connections()), (1, 1), "{what}");
    }
}

#[tokio::test]
async fn an_answer_that_falls_silent_breaks_off() {
    let brig = Scripted::start(|mut visit| async move {
        visit.request().await;
        visit.raw.say("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nfirst").await;
        visit.raw.rest().await;
    })
    .await;
    let component = component(brig.address, |limits| limits.answer_idle = SHORT);
    let answer = soon(component.handle(request("x"))).await;
    let mut body = answer.into_body();
    assert_eq!(soon(body.frame()).await.unwrap().unwrap().into_data().unwrap(), "first");
    let began = Instant::now();
    let error = soon(body.frame()).await.unwrap().unwrap_err();
    assert!(error.to_string().contains("nothing for"), "{error}");
    assert!(began.elapsed() >= SHORT && began.elapsed() < PATIENCE / 2, "{:?}", began.elapsed());
    drop(body);
    brig.until_ended(1).await;
}

/// What counts is silence, not how long the whole takes; and not what the reader takes for himself.
#[tokio::test]
async fn an_answer_may_trickle_and_be_read_slowly() {
    const BYTES: usize = 40;
    let idle = Duration::from_secs(1);
    let brig = Scripted::start(|mut visit| async move {
        visit.request().await;
        visit.raw.say(format!("HTTP/1.1 200 OK\r\ncontent-length: {BYTES}\r\n\r\n")).await;
        for _ in 0..BYTES {
            visit.raw.say("x").await;
            sleep(Duration::from_millis(35)).await;
        }
        visit.raw.rest().await;
    })
    .await;
    let component = component(brig.address, |limits| limits.answer_idle = idle);
    let began = Instant::now();
    assert_eq!(call(&component, "x").await.unwrap().body.len(), BYTES);
    assert!(began.elapsed() > idle, "{:?}", began.elapsed());

    let brig = Scripted::always(OK).await;
    let component = self::component(brig.address, |limits| limits.answer_idle = SHORT);
    let answer = soon(component.handle(request("x"))).await;
    sleep(SHORT * 3).await;
    assert_eq!(whole(answer).await.unwrap().body, "ok");
}

#[tokio::test]
async fn an_answer_that_is_cut_short_is_never_taken_for_whole() {
    for cut in [
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nfirst",
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfir",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nfirst\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\nfirst",
    ] {
        let brig = Scripted::start(move |mut visit| async move {
            visit.request().await;
            visit.raw.say(cut).await;
        })
        .await;
        let answer = soon(component(brig.address, |_| {}).handle(request("x"))).await;
        assert_eq!(answer.status(), 200, "{cut:?}");
        assert_eq!(whole(answer).await, None, "{cut:?}");
        assert_eq!(brig.requests().len(), 1, "{cut:?}");
    }
}

#[tokio::test]
async fn what_is_no_answer_is_a_fault_of_ours_and_the_call_is_not_repeated() {
    let many: String = (0..200).map(|n| format!("x-{n}: y\r\n")).collect();
    for garbage in [
        "",
        "\r\n\r\n",
        "garbage\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx",
        "HTTP/1.1 200",
        "HTTP/1.1 abc OK\r\n\r\n",
        "HTTP/1.1 99 Low\r\n\r\n",
        "HTTP/1.1 1000 High\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        "HTTP/9.9 200 OK\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok!",
        "HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nbad name: x\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nnul: \0\r\ncontent-length: 2\r\n\r\nok",
        "\x15\x03\x01\x00\x02\x02\x16",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        &format!("HTTP/1.1 200 OK\r\n{many}content-length: 2\r\n\r\nok"),
        &format!("HTTP/1.1 200 OK\r\nx: {}\r\ncontent-length: 2\r\n\r\nok", "y".repeat(1 << 20)),
    ] {
        let shown = &garbage[..garbage.len().min(80)];
        let said = garbage.to_owned();
        let brig = Scripted::start(move |mut visit| {
            let said = said.clone();
            async move {
                visit.request().await;
                visit.raw.say(&said).await;
            }
        })
        .await;
        assert_fails(&component(brig.address, |_| {}), shown).await;
        assert_eq!((brig.requests().len(), brig.connections()), (1, 1), "{shown:?}");
    }
}

#[tokio::test]
async fn the_headers_of_an_answer_may_be_so_long_and_no_longer() {
    let answer = |bytes: usize| format!("HTTP/1.1 200 OK\r\nx: {}\r\ncontent-length: 2\r\n\r\nok", "y".repeat(bytes));
    let brig = Scripted::always(answer(HEADER_BYTES - 100)).await;
    assert_eq!(call(&component(brig.address, |_| {}), "x").await.unwrap().status, 200);
    // Counted is what was read, so that it may be a piece more.
    let brig = Scripted::always(answer(2 * HEADER_BYTES)).await;
    assert_fails(&component(brig.address, |_| {}), "headers that are too long").await;
}

/// A component that was reading a call when it died may have acted on it.
#[tokio::test]
async fn a_call_that_was_written_is_never_sent_again() {
    let brig = Scripted::start(|mut visit| async move {
        while visit.request().await.is_some_and(|request| !request.starts_with("POST /federation/fatal")) {
            visit.raw.say(OK).await;
        }
    })
    .await;
    let component = component(brig.address, |_| {});
    for round in 1..=3 {
        assert_eq!(call(&component, "x").await.unwrap().status, 200, "{round}");
        // On the connection that was kept, or on a new one.
        assert_eq!(call(&component, "fatal").await.unwrap().told(), (500, "server-error".into()));
        let fatal = brig.requests().iter().filter(|request| request.contains("/fatal")).count();
        assert_eq!(fatal, round);
    }
}

/// Each connection is closed with the last byte of its answer, so that the next call may meet one that is being closed.
#[tokio::test]
async fn a_call_that_meets_a_closing_connection_reaches_the_component_at_most_once() {
    let brig = Scripted::start(|mut visit| async move {
        visit.request().await;
        visit.raw.say(OK).await;
    })
    .await;
    let component = Arc::new(component(brig.address, |_| {}));
    let answered = Arc::new(Mutex::new(BTreeMap::new()));
    let callers: Vec<_> = (0..4)
        .map(|caller| {
            let (component, answered) = (Arc::clone(&component), Arc::clone(&answered));
            tokio::spawn(async move {
                for n in 0..50 {
                    let rpc = format!("call-{caller}-{n}");
                    let status = call(&component, &rpc).await.map(|answer| answer.status);
                    answered.lock().unwrap().insert(rpc, status);
                }
            })
        })
        .collect();
    for caller in callers {
        soon(caller).await.unwrap();
    }
    let requests = brig.requests();
    let answered = answered.lock().unwrap();
    let mut good = 0;
    for (rpc, status) in answered.iter() {
        let seen = requests.iter().filter(|request| request.starts_with(&format!("POST /federation/{rpc} "))).count();
        match status {
            Some(200) => {
                assert_eq!(seen, 1, "{rpc}");
                good += 1;
            }
            Some(500) | None => assert!(seen <= 1, "{rpc} was seen {seen} times"),
            other => panic!("{rpc}: {other:?}"),
        }
    }
    assert_eq!(answered.len(), 200);
    // Whoever finds a connection closed takes another one; only what was written already is lost.
    assert!(good > 100, "{good} of 200");
}

/// Nobody is given what was written before he asked.
#[tokio::test]
async fn an_answer_that_nobody_asked_for_is_no_answer_to_the_next_call() {
    let poison = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison";
    let brig = Scripted::always(format!("{OK}{poison}")).await;
    let component = component(brig.address, |_| {});
    for round in 0..10 {
        assert_eq!(call(&component, "x").await.unwrap().text(), "ok", "{round}");
    }
}

/// What happens to a connection while it is kept is seen before a call is written to it: no answer is taken from it, and the
/// call goes out on another one.
#[tokio::test]
async fn a_call_does_not_go_out_on_a_connection_that_went_bad_while_it_was_kept() {
    for bad in ["", "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison", "x", "HTTP/1.1 408 Request Timeout\r\n\r\n"] {
        let (go, gone) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (wait, tell) = (Arc::clone(&go), Arc::clone(&gone));
        let brig = Scripted::start(move |mut visit| {
            let (wait, tell) = (Arc::clone(&wait), Arc::clone(&tell));
            async move {
                let first = visit.request().await.is_some_and(|request| request.contains("/first"));
                visit.raw.say(OK).await;
                if first {
                    wait.notified().await;
                    visit.raw.say(bad).await;
                    if bad.is_empty() {
                        drop(visit);
                    } else {
                        tell.notify_one();
                        visit.request().await;
                        return;
                    }
                    tell.notify_one();
                }
            }
        })
        .await;
        let component = component(brig.address, |_| {});
        assert_eq!(call(&component, "first").await.unwrap().text(), "ok", "{bad:?}");
        go.notify_one();
        soon(gone.notified()).await;
        // The operating system has it; let the runtime see it.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(call(&component, "second").await.unwrap().text(), "ok", "{bad:?}");
        assert_eq!((brig.requests().len(), brig.connections()), (2, 2), "{bad:?}");
    }
}

#[tokio::test]
async fn large_calls_and_large_answers_pass_whole() {
    const LENGTH: usize = 8 << 20;
    let brig = Scripted::start(|mut visit| async move {
        let request = visit.request().await.unwrap();
        let zeros = request.bytes().filter(|byte| *byte == b'0').count();
        visit.raw.say(format!("HTTP/1.1 200 OK\r\ncontent-length: {zeros}\r\n\r\n{}", "1".repeat(zeros))).await;
        visit.raw.rest().await;
    })
    .await;
    let component = component(brig.address, |_| {});
    let request = Request::post("/federation/x").body(Bytes::from(vec![b'0'; LENGTH])).unwrap();
    let answer = whole(soon(component.handle(request)).await).await.unwrap();
    // The head has some of its own.
    assert!(answer.body.len() >= LENGTH && answer.body.iter().all(|byte| *byte == b'1'), "{}", answer.body.len());
}

/// An answer may come before the call is read whole: then the rest is not waited for, and the connection not kept.
#[tokio::test]
async fn an_early_answer_is_an_answer() {
    let brig = Scripted::start(|mut visit| async move {
        visit.raw.head().await;
        visit.raw.say("HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno").await;
        visit.raw.rest().await;
    })
    .await;
    let component = component(brig.address, |_| {});
    for _ in 0..3 {
        let request = Request::post("/federation/x").body(Bytes::from(vec![b'0'; 32 << 20])).unwrap();
        let answer = whole(soon(component.handle(request)).await).await.unwrap();
        assert_eq!((answer.status, answer.text().as_str()), (413, "no"));
    }
    assert_eq!(brig.connections(), 3);
}

#[tokio::test]
async fn connections_that_nobody_uses_are_closed() {
    let brig = Scripted::always(OK).await;
    let component = component(brig.address, |limits| limits.idle = SHORT);
    assert_eq!(call(&component, "x").await.unwrap().status, 200);
    brig.until_ended(1).await;
    assert_eq!(call(&component, "x").await.unwrap().status, 200);
    assert_eq!(brig.connections(), 2);
}

#[tokio::test]
async fn only_so_many_unused_connections_stay_open() {
    const CALLS: usize = 5;
    const KEPT: usize = 2;
    let all_here = Arc::new(tokio::sync::Barrier::new(CALLS));
    let together = Arc::clone(&all_here);
    let brig = Scripted::start(move |mut visit| {
        let together = Arc::clone(&together);
        async move {
            visit.request().await;
            together.wait().await;
            visit.raw.say(OK).await;
            while visit.request().await.is_some() {
                visit.raw.say(OK).await;
            }
        }
    })
    .await;
    let component = component(brig.address, |limits| limits.idle_connections = KEPT);
    let calls = (0..CALLS).map(|_| call(&component, "x"));
    for answer in futures_util::future::join_all(calls).await {
        assert_eq!(answer.unwrap().status, 200);
    }
    brig.until_ended(CALLS - KEPT).await;
    // Those that are left do for as many calls.
    for _ in 0..3 {
        assert_eq!(call(&component, "x").await.unwrap().status, 200);
    }
    assert_eq!(brig.connections(), CALLS);
}

#[tokio::test]
async fn whoever_leaves_ends_the_call() {
    let brig = Scripted::start(|mut visit| async move {
        let request = visit.request().await.unwrap();
        if request.contains("/endless") {
            visit.raw.say("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
            while visit.raw.say(format!("4000\r\n{}\r\n", "x".repeat(0x4000))).await {}
        }
        visit.raw.rest().await;
    })
    .await;
    let component = Arc::new(component(brig.address, |_| {}));
    // Amid the answer.
    let mut body = soon(component.handle(request("endless"))).await.into_body();
    soon(body.frame()).await.unwrap().unwrap();
    drop(body);
    brig.until_ended(1).await;
    // Before it.
    let began = Arc::new(Notify::new());
    let (calling, begun) = (Arc::clone(&component), Arc::clone(&began));
    let waiting = tokio::spawn(async move {
        begun.notify_one();
        calling.handle(request("silent")).await
    });
    began.notified().await;
    while brig.requests().len() < 2 {
        tokio::task::yield_now().await;
    }
    waiting.abort();
    brig.until_ended(2).await;
}

#[tokio::test]
async fn no_domain_has_all_calls_to_a_component() {
    // The bodies never end.
    let brig = Scripted::start(|mut visit| async move {
        visit.request().await;
        visit.raw.say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\no").await;
        visit.request().await;
    })
    .await;
    let component = component(brig.address, |limits| (limits.calls, limits.calls_per_domain) = (3, 2));
    let ask = async |origin: &str| {
        let mut asked = request("x");
        asked.headers_mut().insert("wire-origin-domain", origin.parse().unwrap());
        soon(component.handle(asked)).await
    };
    let (first, second) = (ask("b.example").await, ask("b.example").await);
    assert_eq!((first.status().as_u16(), second.status().as_u16()), (200, 200));
    let beyond = ask("b.example").await;
    assert_eq!((beyond.status().as_u16(), &beyond.headers()["retry-after"]), (503, &"1".parse().unwrap()));
    let other = ask("c.example").await;
    assert_eq!(other.status(), 200, "others have their room");
    assert_eq!(ask("d.example").await.status(), 503, "until there is none");
    assert_eq!(brig.connections(), 3, "a call that is refused connects to nobody");
    drop(second);
    assert_eq!(ask("d.example").await.status(), 200);
    drop((first, other));
}

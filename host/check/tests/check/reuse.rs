//! Connections that are kept from one check to the next.

use crate::http2::serve;
use crate::target::{Target, answer, read_request};
use crate::{PATIENT, assert_up, check_with};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::mpsc;
use uptime_check::Checker;
use uptime_core::check::CheckReport;
use uptime_core::monitor::{CheckSpec, HttpSpec, HttpVersions};

/// What a target does to the requests of one connection: answer so many, and then close.
async fn answering_each(count: usize, headers: &'static str, connections: Arc<AtomicUsize>) -> Target {
    Target::raw(move |mut stream| {
        let connections = Arc::clone(&connections);
        async move {
            connections.fetch_add(1, SeqCst);
            for _ in 0..count {
                let request = read_request(&mut stream).await;
                if request.is_empty() {
                    return;
                }
                assert!(!request.contains("connection: close"), "{request}");
                let _ = stream.write_all(answer("200 OK", headers, "ok").as_bytes()).await;
            }
            // The one after is read, and never answered.
            read_request(&mut stream).await;
        }
    })
    .await
}

fn keeping(target: &Target) -> HttpSpec {
    HttpSpec { reuse: true, ..target.http("/") }
}

async fn checks<const N: usize>(spec: HttpSpec) -> [CheckReport; N] {
    let (checker, spec) = (Checker::new().expect("a checker"), CheckSpec::Http(spec));
    let mut reports = Vec::new();
    for _ in 0..N {
        let report = check_with(&checker, &spec, PATIENT).await;
        assert_up(&report);
        reports.push(report);
    }
    reports.try_into().expect("as many")
}

#[tokio::test]
async fn the_next_check_has_the_same_connection() {
    let connections = Arc::default();
    let target = answering_each(usize::MAX, "", Arc::clone(&connections)).await;
    let [first, second, third] = checks(keeping(&target)).await;
    assert_eq!([&first, &second, &third].map(|report| report.hops[0].reused), [false, true, true]);
    assert_eq!(connections.load(SeqCst), 1);
    assert_eq!((first.address(), first.address()), (second.address(), third.address()));
    assert!(first.phases().connect.is_some() && second.phases().connect.is_none(), "{second:?}");
    assert!(second.phases().first_byte.is_some_and(|took| took < Duration::from_secs(1)), "{second:?}");
}

#[tokio::test]
async fn one_that_dies_under_the_request_is_replaced() {
    let connections = Arc::default();
    let target = answering_each(1, "", Arc::clone(&connections)).await;
    let [first, second] = checks(keeping(&target)).await;
    assert_eq!([first.hops[0].reused, second.hops[0].reused], [false, false]);
    assert_eq!(second.hops.len(), 1, "{second:?}");
    assert_eq!(connections.load(SeqCst), 2);
}

#[tokio::test]
async fn one_that_was_closed_is_not_used() {
    let connections = Arc::default();
    let target = answering_each(usize::MAX, "connection: close\r\n", Arc::clone(&connections)).await;
    let [_, second] = checks(keeping(&target)).await;
    assert!(!second.hops[0].reused);
    assert_eq!(connections.load(SeqCst), 2);
}

#[tokio::test]
async fn one_that_is_closed_while_it_waits_is_let_go() {
    let (told, mut closings) = mpsc::unbounded_channel();
    let target = Target::raw(move |mut stream| {
        let told = told.clone();
        async move {
            read_request(&mut stream).await;
            let _ = stream.write_all(answer("200 OK", "", "ok").as_bytes()).await;
            let _ = stream.shutdown().await;
            // Our side closes when it has noticed; until then this waits.
            let rest = read_request(&mut stream).await;
            let _ = told.send(rest);
        }
    })
    .await;
    let checker = Checker::new().expect("a checker");
    assert_up(&check_with(&checker, &CheckSpec::Http(keeping(&target)), PATIENT).await);
    let closed = tokio::time::timeout(PATIENT, closings.recv()).await.expect("the look once a second");
    assert_eq!(closed.as_deref(), Some(""), "no request came over it");
}

#[tokio::test]
async fn what_must_not_be_sent_twice_has_its_own() {
    let connections: Arc<AtomicUsize> = Arc::default();
    let target = Target::raw({
        let connections = Arc::clone(&connections);
        move |mut stream| {
            let connections = Arc::clone(&connections);
            async move {
                connections.fetch_add(1, SeqCst);
                let request = read_request(&mut stream).await;
                assert!(request.contains("connection: close"), "{request}");
                let _ = stream.write_all(answer("200 OK", "", "ok").as_bytes()).await;
            }
        }
    })
    .await;
    let [_, _] = checks(HttpSpec { method: "POST".into(), ..keeping(&target) }).await;
    assert_eq!(connections.load(SeqCst), 2);
}

#[tokio::test]
async fn http2_is_kept_as_well() {
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    let target = Target::raw(move |stream| {
        counted.fetch_add(1, SeqCst);
        serve(stream, |_, _, mut respond| {
            respond.send_response(http::Response::new(()), true).expect("an open stream");
        })
    })
    .await;
    let spec = HttpSpec { versions: HttpVersions::Http2, ..keeping(&target) };
    let [_, second] = checks(spec).await;
    assert!(second.hops[0].reused, "{second:?}");
    assert_eq!(connections.load(SeqCst), 1);
}

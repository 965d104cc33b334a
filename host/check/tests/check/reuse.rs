//! Connections that are kept from one check to the next.

use crate::http2::serve;
use crate::target::{Target, answer, read_request};
use crate::tls::{Authority, acceptor, params};
use crate::{PATIENT, assert_up, check_with};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{Notify, mpsc};
use uptime_check::Checker;
use uptime_core::check::CheckReport;
use uptime_core::monitor::{CertificateDays, CheckSpec, HttpSpec, HttpVersions};

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
                assert!(!request.contains("Connection: close"), "{request}");
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
async fn no_more_are_kept_than_may_be() {
    let checker = Checker::new().expect("a checker");
    checker.hold_beside(2);
    let targets = [
        answering_each(usize::MAX, "", Arc::default()).await,
        answering_each(usize::MAX, "", Arc::default()).await,
    ];
    for (index, reused) in [(0, false), (0, true), (1, false), (0, false), (0, true)] {
        let report = check_with(&checker, &CheckSpec::Http(keeping(&targets[index])), PATIENT).await;
        assert_up(&report);
        assert_eq!(report.hops[0].reused, reused, "the one of the other went");
    }
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
    let checked = Arc::new(Notify::new());
    let wait = Arc::clone(&checked);
    let target = Target::raw(move |mut stream| {
        let (told, wait) = (told.clone(), Arc::clone(&wait));
        async move {
            read_request(&mut stream).await;
            let _ = stream.write_all(answer("200 OK", "", "ok").as_bytes()).await;
            wait.notified().await;
            let _ = stream.shutdown().await;
            // Our side closes when it has noticed; until then this waits.
            let rest = read_request(&mut stream).await;
            let _ = told.send(rest);
        }
    })
    .await;
    let checker = Checker::new().expect("a checker");
    assert_up(&check_with(&checker, &CheckSpec::Http(keeping(&target)), PATIENT).await);
    checked.notify_one();
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
                assert!(request.contains("Connection: close"), "{request}");
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

#[tokio::test]
async fn one_whose_certificate_would_be_blamed_is_replaced() {
    let authority = Authority::new("trusted");
    let mut soon = params(&["127.0.0.1"]);
    soon.not_after = (SystemTime::now() + Duration::from_hours(252)).into();
    let acceptors = [soon, params(&["127.0.0.1"])]
        .map(|params| acceptor(authority.issue(&params), &[&rustls::version::TLS13]));
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    let target = Target::raw(move |stream| {
        // The certificate is renewed after the first connection.
        let acceptor = acceptors[counted.fetch_add(1, SeqCst).min(1)].clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let mut request = [0; 4096];
            while stream.read(&mut request).await.is_ok_and(|count| count > 0) {
                let _ = stream.write_all(answer("200 OK", "", "ok").as_bytes()).await;
            }
        }
    })
    .await;
    let checker = authority.checker();
    let mut spec = keeping(&target);
    spec.url = format!("https://{}/", target.address).parse().expect("a URL");
    for (warning, reused) in [(None, false), (None, true), (Some(30), false), (Some(30), true)] {
        spec.expect.certificate_days = CertificateDays { warning, critical: None };
        let report = check_with(&checker, &CheckSpec::Http(spec.clone()), PATIENT).await;
        assert_up(&report);
        assert!(!report.is_degraded(), "the new certificate is valid for long: {report:?}");
        assert_eq!((report.hops[0].reused, report.hops.len()), (reused, 1), "{report:?}");
    }
    assert_eq!(connections.load(SeqCst), 2);
}

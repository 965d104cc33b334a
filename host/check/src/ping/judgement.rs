//! From the echoes of a check to its verdict. Pure.

use std::net::IpAddr;
use std::time::Duration;
use uptime_core::check::{Echoes, Failure, FailureClass, RoundTrips};
use uptime_core::duration;
use uptime_core::monitor::PingSpec;

/// What became of the echoes of one check.
#[derive(Default)]
pub(super) struct Answers {
    /// One for each echo, in the order of sending; `None`: it did not come back.
    pub(super) round_trips: Vec<Option<Duration>>,
    pub(super) undelivered: u32,
    /// Who said so, and why.
    pub(super) undeliverable: Option<(IpAddr, String)>,
}

impl Answers {
    pub(super) fn sent(&self) -> u32 {
        u32::try_from(self.round_trips.len()).unwrap_or(u32::MAX)
    }

    fn received(&self) -> u32 {
        u32::try_from(self.round_trips.iter().flatten().count()).unwrap_or(u32::MAX)
    }

    /// How many may still come back.
    pub(super) fn open(&self) -> u32 {
        self.sent().saturating_sub(self.received()).saturating_sub(self.undelivered)
    }

    /// The longest that one needed so far.
    pub(super) fn slowest(&self) -> Option<Duration> {
        self.round_trips.iter().flatten().max().copied()
    }

    pub(super) fn echoes(&self) -> Echoes {
        Echoes { sent: self.sent(), received: self.received(), round_trips: self.round_trips() }
    }

    fn round_trips(&self) -> Option<RoundTrips> {
        let took: Vec<Duration> = self.round_trips.iter().flatten().copied().collect();
        let count = u32::try_from(took.len()).ok()?;
        let differences = took.windows(2).map(|pair| pair[0].abs_diff(pair[1])).sum::<Duration>();
        Some(RoundTrips {
            min: took.iter().min().copied()?,
            mean: took.iter().sum::<Duration>().checked_div(count)?,
            max: took.iter().max().copied()?,
            jitter: differences.checked_div(count - 1).unwrap_or_default(),
        })
    }
}

/// The verdict: of what does not hold the first, in the order reachable, loss, round trips. Where all holds, what is
/// worth a warning.
pub(super) fn judge(spec: &PingSpec, address: IpAddr, answers: &Answers) -> Result<Vec<Failure>, Failure> {
    let echoes = answers.echoes();
    if let (None, Some((from, reason))) = (echoes.round_trips, &answers.undeliverable) {
        let message = format!("pinging {address}: {from} says {reason}");
        return Err(Failure::new(FailureClass::Unreachable, message));
    }
    if let Some(failure) = lost(address, &echoes, spec.loss_below) {
        return Err(failure);
    }
    let round_trips = echoes.round_trips;
    for (what, took, limit) in [
        ("the mean round trip", round_trips.map(|times| times.mean), spec.latency_below),
        ("the shortest round trip", round_trips.map(|times| times.min), spec.min_below),
        ("the longest round trip", round_trips.map(|times| times.max), spec.max_below),
        ("the jitter", round_trips.map(|times| times.jitter), spec.jitter_below),
    ] {
        if let (Some(took), Some(limit)) = (took, limit)
            && took >= limit
        {
            return Err(slow(address, what, took, &format!("below {}", duration::format(limit))));
        }
    }
    let mut warnings = Vec::new();
    if let Some(limit) = spec.loss_degraded {
        warnings.extend(lost(address, &echoes, limit));
    }
    if let (Some(times), Some(limit)) = (round_trips, spec.degraded_above)
        && times.mean > limit
    {
        let expected = format!("at most {}", duration::format(limit));
        warnings.push(slow(address, "the mean round trip", times.mean, &expected));
    }
    Ok(warnings)
}

/// The failure when a share of `below` percent or more is lost, and something is.
fn lost(address: IpAddr, echoes: &Echoes, below: u8) -> Option<Failure> {
    let (sent, lost) = (echoes.sent, echoes.sent.saturating_sub(echoes.received));
    if lost == 0 || lost * 100 < u32::from(below) * sent {
        return None;
    }
    let message = format!("pinging {address}: {lost} of {sent} echoes did not come back");
    let failure = Failure::new(FailureClass::Loss, message);
    Some(failure.with(format!("a loss below {below} %"), format!("{} %", lost * 100 / sent)))
}

fn slow(address: IpAddr, what: &str, took: Duration, expected: &str) -> Failure {
    let message = format!("pinging {address}: {what} was {took:.1?}");
    Failure::new(FailureClass::Latency, message).with(expected, format!("{took:.1?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn answers(round_trips: &[Option<u64>]) -> Answers {
        Answers { round_trips: round_trips.iter().map(|took| took.map(ms)).collect(), ..Answers::default() }
    }

    const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn spec(change: impl Fn(&mut PingSpec)) -> PingSpec {
        let mut spec = uptime_core::target::ping("192.0.2.1".into());
        change(&mut spec);
        spec
    }

    #[test]
    fn the_evidence_is_in_the_order_of_sending() {
        let echoes = answers(&[Some(10), None, Some(40), Some(20)]).echoes();
        // From 10 to 40 and from 40 to 20: 30 and 20.
        let expected = RoundTrips { min: ms(10), mean: ms(70) / 3, max: ms(40), jitter: ms(25) };
        assert_eq!(echoes, Echoes { sent: 4, received: 3, round_trips: Some(expected) });
        let single = answers(&[None, Some(7)]).echoes().round_trips;
        let expected = RoundTrips { min: ms(7), mean: ms(7), max: ms(7), jitter: Duration::ZERO };
        assert_eq!(single, Some(expected));
        assert_eq!(answers(&[None]).echoes(), Echoes { sent: 1, received: 0, round_trips: None });
    }

    /// What came back, what is asked of it, and the failure with its words.
    type Row = (&'static [Option<u64>], fn(&mut PingSpec), Option<FailureClass>, &'static str);

    #[test]
    fn loss_and_round_trips_are_judged_by_their_limits() {
        const ALL: &[Option<u64>] = &[Some(10), Some(30)];
        const SOME: &[Option<u64>] = &[Some(10), None, Some(10), Some(10)];
        const SLOW: Option<FailureClass> = Some(FailureClass::Latency);
        const LOST: Option<FailureClass> = Some(FailureClass::Loss);
        let table: [Row; 16] = [
            (ALL, |_| {}, None, ""),
            (SOME, |_| {}, None, ""),
            (&[], |_| {}, None, ""),
            (&[None, None, None], |_| {}, LOST, "3 of 3 echoes did not come back"),
            (SOME, |spec| spec.loss_below = 25, LOST, "1 of 4 echoes did not come back"),
            (SOME, |spec| spec.loss_below = 26, None, ""),
            (ALL, |spec| spec.loss_below = 0, None, ""),
            (ALL, |spec| spec.latency_below = Some(ms(20)), SLOW, "the mean round trip was 20.0ms"),
            (ALL, |spec| spec.latency_below = Some(ms(21)), None, ""),
            (ALL, |spec| spec.min_below = Some(ms(10)), SLOW, "the shortest round trip was 10.0ms"),
            (ALL, |spec| spec.min_below = Some(ms(11)), None, ""),
            (ALL, |spec| spec.max_below = Some(ms(30)), SLOW, "the longest round trip was 30.0ms"),
            (ALL, |spec| spec.max_below = Some(ms(31)), None, ""),
            (ALL, |spec| spec.jitter_below = Some(ms(20)), SLOW, "the jitter was 20.0ms"),
            (ALL, |spec| spec.jitter_below = Some(ms(21)), None, ""),
            // The loss comes before the round trips of the rest.
            (
                SOME,
                |spec| (spec.loss_below, spec.min_below) = (1, Some(ms(1))),
                LOST,
                "1 of 4 echoes did not come back",
            ),
        ];
        for (round_trips, change, class, words) in table {
            let spec = spec(change);
            let failure = judge(&spec, ADDRESS, &answers(round_trips)).err();
            let message = failure.as_ref().map(|failure| failure.message.as_str()).unwrap_or_default();
            assert_eq!(failure.as_ref().map(|failure| failure.class), class, "{spec:?}");
            assert_eq!(message.strip_prefix("pinging 192.0.2.1: ").unwrap_or_default(), words, "{spec:?}");
        }
        let failure = judge(&spec(|_| {}), ADDRESS, &answers(&[None])).expect_err("nothing came back");
        assert_eq!(failure.expected.as_deref(), Some("a loss below 100 %"));
        assert_eq!(failure.got.as_deref(), Some("100 %"));
    }

    #[test]
    fn what_is_not_as_it_should_be_is_a_warning() {
        let found = answers(&[Some(10), None, Some(30), Some(20)]);
        let degraded = spec(|spec| (spec.loss_degraded, spec.degraded_above) = (Some(25), Some(ms(19))));
        let warnings = judge(&degraded, ADDRESS, &found).expect("it is up");
        let told: Vec<_> = warnings
            .iter()
            .map(|told| (told.class, told.expected.as_deref().unwrap_or_default(), told.got.as_deref()))
            .collect();
        assert_eq!(
            told,
            [
                (FailureClass::Loss, "a loss below 25 %", Some("25 %")),
                (FailureClass::Latency, "at most 19ms", Some("20.0ms")),
            ]
        );
        let well = spec(|spec| (spec.loss_degraded, spec.degraded_above) = (Some(26), Some(ms(20))));
        assert_eq!(judge(&well, ADDRESS, &found), Ok(Vec::new()));
    }

    #[test]
    fn who_says_that_it_is_unreachable_is_told() {
        let mut found = answers(&[None, None, None]);
        found.undelivered = 3;
        found.undeliverable = Some(([192, 0, 2, 254].into(), "host unreachable".into()));
        let failure = judge(&spec(|_| {}), ADDRESS, &found).expect_err("nothing came back");
        assert_eq!(failure.message, "pinging 192.0.2.1: 192.0.2.254 says host unreachable");
        assert_eq!((failure.class, found.open()), (FailureClass::Unreachable, 0));
        found.round_trips[1] = Some(ms(1));
        found.undelivered = 2;
        assert_eq!((judge(&spec(|_| {}), ADDRESS, &found), found.open()), (Ok(Vec::new()), 0));
    }
}

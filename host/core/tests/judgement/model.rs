//! What the judgement and the announcement must come to, the opposite way of doing it: the model keeps every outcome
//! and every notice there ever was, and recounts them for each step. It is slow, and short enough to be believed.
//!
//! It knows nothing of the code that it is a model of: times are whole numbers of any unit, incidents are numbered
//! from 0 in the order in which they open.

/// What a check found, the worst last. One that found nothing out is `None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Up,
    Degraded,
    Down,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Degraded,
    Down,
    Critical,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Rules {
    pub interval: i64,
    pub confirm: usize,
    pub recover: usize,
    /// So many failures of the last so many outcomes.
    pub window: Option<(usize, usize)>,
    pub critical_failures: Option<usize>,
    pub critical_after: Option<i64>,
    pub remind: Option<i64>,
    pub remind_most: u32,
    pub flapping: bool,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    slot: i64,
    start: i64,
    level: Level,
    after_silence: bool,
}

#[derive(Clone, Copy, Debug)]
pub struct Incident {
    pub severity: Severity,
    pub started_at: i64,
    /// Its first failure as `Down`; where it is degraded, as its start.
    pub since: i64,
    pub failures: usize,
    pub ended_at: Option<i64>,
    pub acknowledged_until: Option<i64>,
    pub muted: bool,
    /// The last reminder that was due when something was told, or could have been.
    pub reminded: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    FlappingStart,
    FlappingEnd { open: Option<usize> },
    End(usize),
    Opening(usize, Severity),
    Worse(usize),
    Critical(usize),
    Reminder(usize, u32),
}

/// The severities that were told of an incident, in order.
pub fn told_of(notices: &[Notice], incident: usize) -> impl Iterator<Item = Severity> {
    notices.iter().filter_map(move |notice| match *notice {
        Notice::Opening(of, severity) if of == incident => Some(severity),
        Notice::Worse(of) if of == incident => Some(Severity::Down),
        Notice::Critical(of) if of == incident => Some(Severity::Critical),
        _ => None,
    })
}

/// Whether the last that was told of flapping is that it began.
pub fn flaps(notices: &[Notice]) -> Option<bool> {
    notices.iter().rev().find_map(|notice| match notice {
        Notice::FlappingStart => Some(true),
        Notice::FlappingEnd { .. } => Some(false),
        _ => None,
    })
}

/// What keeps notices back, beside flapping.
#[derive(Clone, Copy, Debug, Default)]
pub struct Held {
    pub maintenance: bool,
    /// Or by its own check, which found nothing of it: that it got worse is not told.
    pub by_parent: bool,
}

#[derive(Debug, Default)]
pub struct Model {
    pub rules: Rules,
    seen: Vec<Seen>,
    /// Outcomes before this one are of an incident that is over.
    anew: usize,
    /// Outcomes before this one are not in the window: there was none then.
    window_from: usize,
    /// Whether somebody ended the last incident, and nothing was found out since.
    unknown: bool,
    pub incidents: Vec<Incident>,
    pub flapping: bool,
    pub notices: Vec<Notice>,
}

impl Model {
    pub fn new(rules: Rules) -> Self {
        Self { rules, unknown: true, ..Self::default() }
    }

    pub fn open(&self) -> Option<usize> {
        self.incidents.len().checked_sub(1).filter(|last| self.incidents[*last].ended_at.is_none())
    }

    pub fn status(&self) -> Option<Level> {
        match self.open().map(|open| self.incidents[open].severity) {
            Some(Severity::Degraded) => Some(Level::Degraded),
            Some(_) => Some(Level::Down),
            None => (!self.unknown).then_some(Level::Up),
        }
    }

    /// The last outcomes in a row that are such.
    fn run(&self, from: usize, such: impl Fn(Level) -> bool) -> &[Seen] {
        let mut first = self.seen.len();
        while first > from && such(self.seen[first - 1].level) {
            first -= 1;
            if self.seen[first].after_silence {
                break;
            }
        }
        &self.seen[first..]
    }

    /// A check's outcome. Whether the next look should come soon.
    pub fn check(&mut self, slot: i64, start: i64, level: Option<Level>) -> bool {
        let last = self.seen.last().map(|last| last.slot).filter(|last| *last <= start);
        let Some(level) = level.filter(|_| last.is_none_or(|last| slot > last)) else { return false };
        let after_silence = last.is_some_and(|last| slot - last > 5 * self.rules.interval);
        self.seen.push(Seen { slot, start, level, after_silence });
        if self.rules.window.is_none() {
            self.window_from = self.seen.len();
        }
        let open = self.open().map(|open| self.incidents[open].severity);
        let soon = match open {
            None => self.check_without_incident(level),
            Some(Severity::Degraded) => self.check_while_degraded(level),
            Some(_) => self.check_while_down(level),
        };
        self.escalate(start, level);
        self.count_flaps();
        soon
    }

    /// The failures that make it an outage, when there are enough: in a row, or of the last outcomes.
    fn outage(&self) -> Option<(i64, usize)> {
        let downs = self.run(self.anew, |level| level == Level::Down);
        if downs.len() >= self.rules.confirm {
            return Some((downs[0].start, downs.len()));
        }
        let (failures, of) = self.rules.window?;
        let last = self.run(self.anew.max(self.window_from), |_| true);
        let last = &last[last.len().saturating_sub(of)..];
        let mut downs = last.iter().filter(|seen| seen.level == Level::Down);
        let count = downs.clone().count();
        downs.next().filter(|_| count >= failures).map(|oldest| (oldest.start, count))
    }

    fn begin(&mut self, severity: Severity, (started_at, failures): (i64, usize)) {
        self.incidents.push(Incident {
            severity,
            started_at,
            since: started_at,
            failures,
            ended_at: None,
            acknowledged_until: None,
            muted: false,
            reminded: 0,
        });
    }

    fn check_without_incident(&mut self, level: Level) -> bool {
        let bad = self.run(self.anew, |level| level != Level::Up);
        let bad = (bad.first().map(|first| first.start), bad.len());
        match (level, self.outage()) {
            (Level::Up, _) => self.unknown = false,
            (Level::Down, Some(outage)) => self.begin(Severity::Down, outage),
            (Level::Degraded, _) if bad.1 >= self.rules.confirm => {
                self.begin(Severity::Degraded, (bad.0.expect("one"), bad.1));
            }
            _ => return true,
        }
        false
    }

    fn check_while_degraded(&mut self, level: Level) -> bool {
        let open = self.incidents.len() - 1;
        self.incidents[open].failures += usize::from(level != Level::Up);
        match (level, self.outage()) {
            (Level::Degraded, _) => false,
            (Level::Down, Some((since, failures))) => {
                let incident = &mut self.incidents[open];
                (incident.severity, incident.since, incident.failures) = (Severity::Down, since, failures);
                false
            }
            (Level::Down, None) => true,
            (Level::Up, _) => !self.end(|level| level == Level::Up),
        }
    }

    fn check_while_down(&mut self, level: Level) -> bool {
        if level == Level::Down {
            self.incidents.last_mut().expect("one is open").failures += 1;
            return false;
        }
        // What is not down ends it. What is degraded may be the beginning of the next.
        !self.end(|level| level != Level::Down)
            || level == Level::Degraded && self.check_without_incident(level)
    }

    /// Ends the open incident if the last outcomes suffice.
    fn end(&mut self, well: impl Fn(Level) -> bool) -> bool {
        let run = self.run(self.anew, well);
        if run.len() < self.rules.recover {
            return false;
        }
        let ended_at = run[0].start;
        self.incidents.last_mut().expect("one is open").ended_at = Some(ended_at);
        self.anew = self.seen.len() - 1;
        self.unknown = false;
        true
    }

    fn escalate(&mut self, start: i64, level: Level) {
        let rules = self.rules;
        let Some(incident) = self.open().map(|open| &mut self.incidents[open]) else { return };
        let many = rules.critical_failures.is_some_and(|most| incident.failures >= most);
        let long = rules.critical_after.is_some_and(|longest| start - incident.since >= longest);
        if level == Level::Down && incident.severity == Severity::Down && (many || long) {
            incident.severity = Severity::Critical;
        }
    }

    fn count_flaps(&mut self) {
        let run = self.run(0, |_| true);
        let run = &run[run.len().saturating_sub(21)..];
        let changes =
            run.windows(2).filter(|two| (two[0].level == Level::Down) != (two[1].level == Level::Down));
        let percent = changes.count() * 100 / 20;
        self.flapping = self.rules.flapping && if self.flapping { percent >= 25 } else { percent >= 30 };
    }

    /// Whether nothing is known of it, or its last failures in a row decide nothing yet.
    pub fn is_in_doubt(&self) -> bool {
        self.status().is_none() || !self.undecided_downs().is_empty()
    }

    /// Since when: the first of those failures; without any, the last check that counted.
    pub fn doubted_since(&self) -> Option<i64> {
        let downs = self.undecided_downs().first().map(|first| first.start);
        downs.or_else(|| self.looked_at().filter(|_| self.status().is_none()))
    }

    fn undecided_downs(&self) -> &[Seen] {
        if self.status() == Some(Level::Down) {
            &[]
        } else {
            self.run(self.anew, |level| level == Level::Down)
        }
    }

    /// The slot of the last check that counted.
    pub fn looked_at(&self) -> Option<i64> {
        self.seen.last().map(|last| last.slot)
    }

    pub fn announce(&mut self, now: i64, held: Held) -> Vec<Notice> {
        let before = self.notices.len();
        let flaps = flaps(&self.notices);
        let open = self.open();
        // That it is steady again tells of what is open as well, so it waits with that.
        let waits = held.maintenance || held.by_parent && !self.flapping && open.is_some();
        if !waits && self.flapping != (flaps == Some(true)) {
            self.notices.push(if self.flapping {
                Notice::FlappingStart
            } else {
                Notice::FlappingEnd { open }
            });
        }
        if !held.maintenance && !self.flapping {
            for ended in 0..self.incidents.len() {
                let is_over = self.incidents[ended].ended_at.is_some();
                if is_over
                    && told_of(&self.notices, ended).max().is_some()
                    && !self.notices.contains(&Notice::End(ended))
                {
                    self.notices.push(Notice::End(ended));
                }
            }
            if let Some(open) = open.filter(|_| !held.by_parent) {
                self.announce_open(open, now, before);
            }
        }
        self.notices[before..].to_vec()
    }

    fn announce_open(&mut self, open: usize, now: i64, before: usize) {
        let incident = self.incidents[open];
        let cared_for = incident.muted || incident.acknowledged_until.is_some_and(|until| now < until);
        let basis = incident.severity.min(Severity::Down);
        match told_of(&self.notices, open).max() {
            None => self.notices.push(Notice::Opening(open, basis)),
            Some(severity) if severity < basis => {
                self.notices.push(Notice::Worse(open));
            }
            Some(_) => {}
        }
        if incident.severity == Severity::Critical
            && told_of(&self.notices, open).max() < Some(Severity::Critical)
            && !cared_for
        {
            self.notices.push(Notice::Critical(open));
        }
        let due = (1..=self.rules.remind_most)
            .filter(|number| {
                self.rules.remind.is_some_and(|remind| now >= incident.since + remind * ((1 << number) - 1))
            })
            .max()
            .unwrap_or_default();
        if due > incident.reminded && !cared_for {
            self.incidents[open].reminded = due;
            if self.notices.len() == before {
                self.notices.push(Notice::Reminder(open, due));
            }
        }
    }

    /// Somebody ends the open incident: whoever was told of it hears so.
    pub fn resolve(&mut self, now: i64) -> Option<Notice> {
        let open = self.open()?;
        self.incidents[open].ended_at = Some(now);
        self.anew = self.seen.len();
        self.unknown = true;
        let end = told_of(&self.notices, open).max().map(|_| Notice::End(open));
        self.notices.extend(end);
        end
    }
}

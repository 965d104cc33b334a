//! `parent`: what a monitor is reached through, and that nothing is reached through itself.

use super::super::diagnostic::Diagnostics;
use super::super::kinds::{At, Text};
use super::super::table::{Table, keys};
use crate::text::{did_you_mean_or_all, printable};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// The parents of the file so far: by the child's name the parent's, and where it is.
#[derive(Debug, Default)]
pub(super) struct Parents(BTreeMap<String, (String, Range<usize>)>);

impl Parents {
    /// Reads the one of the monitor `name`, one of `known`.
    pub(super) fn read(
        &mut self,
        name: &str,
        table: &mut Table<'_, '_>,
        known: &BTreeSet<String>,
    ) -> Option<String> {
        keys! { table:
            /// Monitor that this one is reached through: while that one is down, nothing is sent about this one.
            let parent = optional("none", &At(Text { most: 100, example: "router" }));
        }
        let (parent, span) = parent?;
        if parent != name && !known.contains(&parent) {
            let others = known.iter().map(String::as_str).filter(|other| *other != name);
            let message = format!("there is no monitor `{}`", printable(&parent, 60));
            table.notes.error(span, message, Some(did_you_mean_or_all(&parent, others)));
            return None;
        }
        self.0.insert(name.to_owned(), (parent.clone(), span));
        Some(parent)
    }

    /// Reports each circle once, at the first of its monitors in the file.
    pub(super) fn refuse_circles(&self, notes: &mut Diagnostics) {
        let mut in_order: Vec<&String> = self.0.keys().collect();
        in_order.sort_by_key(|name| self.0[*name].1.start);
        let mut looked_at: BTreeSet<&str> = BTreeSet::new();
        for start in in_order {
            let mut way: Vec<&str> = Vec::new();
            let mut next = Some(start.as_str());
            while let Some(name) = next.filter(|name| looked_at.insert(name)) {
                way.push(name);
                next = self.0.get(name).map(|(parent, _)| parent.as_str());
            }
            // Either there is no more parent, or the way has come to where somebody was before: here, in a circle.
            let Some(place) = next.and_then(|again| way.iter().position(|name| *name == again)) else {
                continue;
            };
            let circle = &way[place..];
            let first = circle.iter().min_by_key(|name| self.0[**name].1.start).copied().unwrap_or(start);
            let (message, span) = (said(circle, first), self.0[first].1.clone());
            notes.error(span, message, Some("take one `parent` of them out".into()));
        }
    }
}

/// So many names of a circle are said.
const SHOWN: usize = 10;

fn said(circle: &[&str], first: &str) -> String {
    if circle.len() == 1 {
        return format!("`{}` is its own parent", printable(first, 60));
    }
    let turn = circle.iter().position(|name| *name == first).unwrap_or_default();
    let through = circle.iter().cycle().skip(turn + 1).take(circle.len());
    let mut names: Vec<String> = through.map(|name| format!("`{}`", printable(name, 60))).collect();
    let more = names.len().saturating_sub(SHOWN);
    if more > 0 {
        names.splice(SHOWN - 1..names.len() - 1, [format!("{more} more")]);
    }
    format!("`{}` is reached through itself: through {}", printable(first, 60), names.join(", through "))
}

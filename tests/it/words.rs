//! Nothing is defined with a name that says less to an engineer of this field than the one that replaced it.

use crate::circles::tokens;
use std::fs;
use std::path::Path;

/// The beginning of a path, and the names that nothing below it is defined with.
const REPLACED: [(&str, &str); 10] = [
    (
        "",
        "Absent Circumstances Claimed Course Damage Deed Entry Examination FirstLook Halt Heard Hearing Hold Kept Marks Means \
         Misfit OfMonth OfWeek Outlet Parking Presence Rehearsed Review Seal SignOfLife Sight Sole Story Tally Testimony Turn \
         Turns Wanted Wish Woken advise apply_patience bury by_hand catalogue complain deed deeds disown distrust forgetful \
         forgiven host_sight in_hand lane lanes meals near nearest owed park parking patience probation rehearse sentence \
         shaken sight sign_of_life story telling turn turns unproven",
    ),
    ("cli", "Asked Bench Candidate Card Fate Look Stage Subject card candidate elsewhere look tell told"),
    (
        "host/check",
        "Answer Arrival Asked Found Material Names Offers Place Port Read Record Trouble Unanswered Waiter Wanted every hear ours theirs",
    ),
    (
        "host/core",
        "Before Bucket Change Draft Flow Found Item Moment Notes Refusal Shown Standing Takes Way await_all be complain doubt elsewhere enough flow follow hides hold repaired review tell told",
    ),
    ("host/engine", "Answer Before Heard Look Place look patience tell told"),
    ("host/notifier", "Answer Before Record Script Unanswered look rehearsal told"),
    ("host/postgres", "Answer Patience Place Seen Silent barrier is_spent look ours"),
    ("host/store", "Change Fate Found Refusal Standing Way family reading tell told writing"),
    ("migrations", "told"),
    ("tests", "Change tell told"),
];

#[test]
fn nothing_is_defined_with_a_name_that_was_replaced() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut found = Vec::new();
    let mut left: Vec<_> =
        ["cli", "host", "migrations", "plugins", "tests"].map(|name| root.join(name)).into();
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(fs::read_dir(path).expect("a folder").map(|entry| entry.expect("an entry").path()));
            continue;
        }
        let name = path.strip_prefix(&root).expect("below the root").to_string_lossy().into_owned();
        let defined = match path.extension().and_then(|extension| extension.to_str()) {
            Some("rs") => definitions(&tokens(&fs::read_to_string(&path).expect("a source"))),
            Some("sql") => columns(&fs::read_to_string(&path).expect("statements")),
            _ => continue,
        };
        let is_replaced = |defined: &&String| {
            REPLACED
                .iter()
                .any(|(below, names)| name.starts_with(below) && names.split(' ').any(|it| it == **defined))
        };
        found.extend(defined.iter().filter(is_replaced).map(|defined| format!("{name}: {defined}")));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn items_fields_variants_and_columns_are_definitions() {
    let source = "mod a; pub fn b<T>(c: u8) -> D { e(F { g: 1 }) } rows! { struct H<'a> { #[x(y = \"{z}\")] pub i: J<K>, l: M, } }
                  enum N { O, P { q: R }, #[s] T(U) } struct V(W); type X = Y; const Z: u8 = 1; trait A1 { fn b1(&self); }";
    assert_eq!(definitions(&tokens(source)).join(" "), "a b H i l N O P q T V X Z A1 b1");
    let sql = "CREATE TABLE a (\n  b bigint, -- c\n  CHECK (d)\n);\nCREATE FUNCTION e(f bigint) RETURNS g";
    assert_eq!(columns(sql).join(" "), "a b CHECK e");
}

/// The names of items, fields and variants, in the order of the source.
fn definitions(tokens: &[String]) -> Vec<String> {
    let is_name = |token: &&String| token.starts_with(|c: char| c.is_alphabetic() || c == '_');
    let mut names = Vec::new();
    // Of each type that is open: how many brackets are open in it, and whether names come before a colon.
    let mut types: Vec<(usize, bool)> = Vec::new();
    let mut begins = None;
    for (n, token) in tokens.iter().enumerate() {
        let (before, after) = (n.checked_sub(1).map(|n| tokens[n].as_str()), tokens.get(n + 1));
        match token.as_str() {
            "fn" | "struct" | "enum" | "union" | "trait" | "type" | "const" | "static" | "mod" => {
                names.extend(after.filter(is_name).cloned());
                begins =
                    matches!(token.as_str(), "struct" | "enum" | "union").then(|| token == "enum").or(begins);
            }
            ";" => begins = None,
            "{" => match (begins.take(), types.last_mut()) {
                (Some(is_enum), _) => types.push((1, !is_enum)),
                (None, Some((1, false))) => types.push((1, true)),
                (None, Some((depth, _))) => *depth += 1,
                (None, None) => {}
            },
            "(" | "[" => types.iter_mut().last().into_iter().for_each(|(depth, _)| *depth += 1),
            ")" | "]" | "}" => {
                if let Some((depth, _)) = types.last_mut() {
                    *depth -= 1;
                    if *depth == 0 {
                        types.pop();
                    }
                }
            }
            _ => match types.last() {
                Some((1, true)) if after.is_some_and(|after| after == ":") => names.push(token.clone()),
                Some((1, false)) if matches!(before, Some("{" | "," | "]")) && token != "#" => {
                    names.push(token.clone());
                }
                _ => {}
            },
        }
    }
    names
}

/// The names of tables and functions, and what each line of a table begins with.
fn columns(statements: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut in_table = false;
    for line in statements.lines().map(|line| line.split("--").next().unwrap_or_default()) {
        let mut words =
            line.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty());
        if line.starts_with("CREATE ") {
            in_table = line.starts_with("CREATE TABLE ");
            names.extend(words.find(|word| word.chars().any(char::is_lowercase)).map(str::to_owned));
        } else if in_table {
            in_table = !line.starts_with(')');
            names.extend(words.next().map(str::to_owned));
        }
    }
    names
}

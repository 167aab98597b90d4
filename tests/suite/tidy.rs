//! What the house promises of itself: who may know whom, and that no file outgrows a head.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// No source file is longer; a longer one holds more than one idea.
const LINES_MAX: usize = 400;

/// A room (or file) and the words that its code may not say.
const MAY_NOT_KNOW: [(&str, &[&str]); 11] = [
    ("src/model", &["tokio", "redis::", "Instant", "SystemTime", "crate::store", "crate::wire"]),
    ("src/wire", &["tokio", "redis::", "Instant", "SystemTime", "crate::store", "crate::pattern"]),
    ("src/pattern", &["tokio", "redis::", "Instant", "SystemTime", "crate::store", "async fn"]),
    ("src/worker", &["redis::", "hyper", "RedisStore", "HttpCaller", "SystemClock"]),
    ("src/service", &["redis::", "hyper", "RedisStore", "HttpCaller", "SystemClock"]),
    ("src/flash", &["redis::", "hyper", "RedisStore", "HttpCaller", "SystemClock", "crate::api"]),
    ("src/api", &["redis::", "crate::worker", "RedisStore", "HttpCaller", "crate::pattern"]),
    ("src/branch", &["redis::", "crate::store", "crate::worker", "crate::service"]),
    ("src/alert", &["crate::worker", "crate::store", "crate::service", "crate::api"]),
    ("src/store", &["crate::worker", "crate::service", "crate::branch", "crate::api"]),
    ("src/demo", &["redis::cmd", "crate::worker", "crate::service", "crate::api", "RedisStore"]),
];

/// What only one place may say: whoever looks for it looks there.
const ONLY_IN: [(&str, &str); 4] = [
    ("redis::cmd", "src/store"),
    ("counter!(", "src/telemetry/metrics.rs"),
    ("histogram!(", "src/telemetry/metrics.rs"),
    ("Instant::now", "src/clock.rs"),
];

/// Places that are excused from a rule of [`ONLY_IN`], and why.
const EXCUSED: [(&str, &str); 4] = [
    // Asks its own child whether it answers yet; knows nothing of what is stored.
    ("src/local_redis", "redis::cmd"),
    // tokio's own deadline, which no test drives by hand.
    ("src/branch", "Instant::now"),
    ("src/local_redis", "Instant::now"),
    // It measures real nodes from outside.
    ("src/demo", "Instant::now"),
];

fn files_below(folder: &str, ending: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join(folder)];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path: PathBuf = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == ending) {
                let name = path.strip_prefix(root).expect("below").display().to_string();
                files.push((name, fs::read_to_string(&path).expect("text")));
            }
        }
    }
    assert!(!files.is_empty(), "no {ending} files below {folder}");
    files.sort();
    files
}

/// The lines that are code, outside tests.
fn code(text: &str) -> impl Iterator<Item = &str> {
    let shown = text.split("#[cfg(test)]").next().unwrap_or(text);
    shown.lines().filter(|line| !line.trim_start().starts_with("//"))
}

fn is_test(name: &str) -> bool {
    name.contains("tests") || name.contains("testing") || name.contains("/laws/")
}

#[test]
fn rooms_know_only_whom_they_may() {
    for (room, words) in MAY_NOT_KNOW {
        for (name, text) in files_below(room, "rs").iter().filter(|(name, _)| !is_test(name)) {
            for word in words {
                let found = code(text).find(|line| line.contains(word));
                assert_eq!(found, None, "{name} says {word}");
            }
        }
    }
}

#[test]
fn what_has_one_place_is_said_there_alone() {
    for (word, place) in ONLY_IN {
        for (name, text) in files_below("src", "rs").iter().filter(|(name, _)| !is_test(name)) {
            let is_excused =
                EXCUSED.iter().any(|(room, excused)| name.starts_with(room) && *excused == word);
            if !name.starts_with(place) && !is_excused {
                let found = code(text).find(|line| line.contains(word));
                assert_eq!(found, None, "{name} says {word}, which belongs to {place}");
            }
        }
    }
}

#[test]
fn no_file_outgrows_a_head_and_each_says_what_it_is_for() {
    for folder in ["src", "tests", "benches"] {
        for (name, text) in files_below(folder, "rs") {
            assert!(text.lines().count() <= LINES_MAX, "{name} is longer than {LINES_MAX} lines");
            assert!(text.starts_with("//!"), "{name} does not say what it is for");
        }
    }
    for (name, text) in files_below("lua", "lua") {
        assert!(text.lines().count() <= LINES_MAX, "{name} is longer than {LINES_MAX} lines");
    }
}

#[test]
fn the_map_names_every_room() {
    let map = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md"));
    let map = map.expect("ARCHITECTURE.md");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for entry in fs::read_dir(root).expect("src") {
        let name = entry.expect("an entry").file_name().display().to_string();
        assert!(map.contains(&format!("`src/{name}")), "ARCHITECTURE.md does not name src/{name}");
    }
}

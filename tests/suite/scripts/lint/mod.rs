//! A lint over `lua/`: what Redis would not notice before it is too late, such as a key that is
//! not declared (which a Cluster takes for missing while its slot moves).

mod lexer;
mod rules;
mod syntax;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use lexer::tokens;
use rules::{Signatures, check_library, check_script};
use syntax::functions;
use tandem::store::scripts::ScriptName;

/// The order in which the libraries are put together: each uses those before it.
const LIBRARIES: [&str; 15] = [
    "batch",
    "state",
    "registered",
    "whole",
    "body",
    "due",
    "ending",
    "promotion",
    "record",
    "stopping",
    "registry",
    "books",
    "stock",
    "taking",
    "settling",
];

/// Where the scripts are.
const FOLDERS: [&str; 4] = ["transaction", "registry", "topic", "flash"];

/// The `.lua` files of a folder of `lua/`, by their names without the ending.
fn files(folder: &str) -> BTreeMap<String, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("lua").join(folder);
    fs::read_dir(path)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            assert!(path.extension().is_some_and(|ending| ending == "lua"), "{path:?}");
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(&path).unwrap())
        })
        .collect()
}

/// The files of all scripts.
fn scripts() -> BTreeMap<String, String> {
    FOLDERS.into_iter().flat_map(files).collect()
}

/// Checks the libraries; answers what they ask for.
fn libraries(faults: &mut Vec<String>) -> Signatures {
    let sources = files("lib");
    let mut known = Signatures::default();
    for name in LIBRARIES {
        let found = check_library(name, &sources[name], &mut known);
        faults.extend(found.into_iter().map(|fault| format!("lua/lib/{name}.lua: {fault}")));
    }
    known
}

#[test]
fn every_file_keeps_the_rules() {
    let mut faults = Vec::new();
    let known = libraries(&mut faults);
    for folder in FOLDERS {
        for (name, source) in files(folder) {
            let found = check_script(&name, &source, &known);
            let path = format!("lua/{folder}/{name}.lua");
            faults.extend(found.into_iter().map(|fault| format!("{path}: {fault}")));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn every_file_is_used() {
    let scripts: BTreeSet<String> = scripts().into_keys().collect();
    let named = ScriptName::ALL.map(|script| script.as_str().to_owned());
    assert_eq!(scripts, BTreeSet::from(named));
    let libraries = files("lib");
    assert_eq!(libraries.keys().map(String::as_str).collect::<BTreeSet<_>>(), LIBRARIES.into());
}

#[test]
fn every_script_has_the_libraries_that_it_uses_and_no_others() {
    let (libraries, scripts) = (files("lib"), scripts());
    for script in ScriptName::ALL {
        let source = script.source();
        let at = LIBRARIES.map(|name| source.find(&libraries[name]));
        assert!(at.iter().flatten().is_sorted(), "{script:?}: its libraries are in another order");

        let mut asked = tokens(&scripts[script.as_str()]);
        for (name, at) in LIBRARIES.into_iter().zip(at).rev() {
            let library = tokens(&libraries[name]);
            let defined = functions(&library);
            let is_used = asked.iter().any(|it| defined.iter().any(|f| it.is_name(f.name)));
            assert_eq!(at.is_some(), is_used, "{script:?} with {name}");
            if is_used {
                asked.extend(library);
            }
        }
    }
}

/// A script that keeps the rules.
const GOOD: &str = "\
#!lua flags=allow-oom
-- record: stores it.
--
-- KEYS, for each item:
--   [1] hash
-- ARGV, for each item:
--   [1] gid
--
-- Returns now in µs, then ok
--
-- One script, since it is one.

local function record(k, a)
  local hash, due = KEYS[k], KEYS[k + 1]
  local gid, limit = ARGV[a], ARGV[a + 1]
  local first =
    call('ZRANGE', due, '-inf', now_text, 'BYSCORE', 'LIMIT', '0', limit)
  put_due_anew(due, gid, now)
  return { call('HGET', hash, 's'), first }
end

return each_item(2, 0, 2, record)
";

/// Each of `changes` (a text of `source`, what it becomes, a part of the fault) is found by `check`.
fn assert_found(source: &str, changes: &[(&str, &str, &str)], check: impl Fn(&str) -> Vec<String>) {
    assert_eq!(check(source), Vec::<String>::new());
    for (from, to, part) in changes {
        assert!(source.contains(from), "{from}");
        let faults = check(&source.replacen(from, to, 1));
        assert!(faults.iter().any(|fault| fault.contains(part)), "{to}: {faults:#?}");
    }
}

#[test]
fn faults_of_scripts_are_found() {
    let known = libraries(&mut Vec::new());
    let changes = [
        // Keys.
        ("'HGET', hash", "'HGET', 'g:' .. gid", "a key is made up"),
        ("'HGET', hash", "'HGET', KEYS[k]", "a key is made up"),
        ("'HGET', hash", "'HGET', ARGV[a]", "a key is made up"),
        ("'HGET', hash", "'HGET', gid", "gid is a key, but not one of KEYS"),
        ("'HGET', hash, 's'", "'HGET'", "a key is made up"),
        ("'HGET', hash, 's'", "'RENAME', hash, gid", "gid is a key, but not one of KEYS"),
        ("anew(due", "anew(gid", "gid is a key, but not one of KEYS"),
        ("anew(due", "anew('due:' .. gid", "a key is made up"),
        ("KEYS[k], ", "KEYS[k] .. 'x', ", "hash is a key, but not one of KEYS"),
        ("KEYS[k], ", "'x' .. KEYS[k], ", "hash is a key, but not one of KEYS"),
        ("KEYS[k], KEYS[k + 1]", "unpack(KEYS)", "KEYS is used otherwise"),
        ("local gid, limit", "local due, limit", "due is a key in one place and not in another"),
        // Commands.
        ("'HGET'", "'HGETALL'", "HGETALL is no command"),
        ("'HGET'", "'KEYS'", "KEYS is no command"),
        ("'HGET'", "'SCAN'", "SCAN is no command"),
        ("'HGET'", "'LREM'", "LREM is no command"),
        ("'HGET'", "'SMEMBERS'", "SMEMBERS is no command"),
        ("'HGET'", "'TIME'", "TIME is no command"),
        ("'HGET'", "'H' .. 'GET'", "a command is made up"),
        ("'HGET'", "command", "command is no command"),
        ("'BYSCORE', 'LIMIT', '0', limit", "'BYSCORE'", "a range without a limit"),
        ("call('HGET'", "redis.call('HGET'", "Redis is asked by call(…) only"),
        ("call('HGET'", "redis.pcall('HGET'", "Redis is asked by call(…) only"),
        ("local gid,", "local ask = call\n  local gid,", "call gets another name"),
        ("  put_due", "  while true do end\n  put_due", "a loop without a limit"),
        ("(due, gid", "(due, tostring(gid)", "it cuts large numbers"),
        ("local function", "function", "a function that is not local"),
        // The head.
        ("#!lua flags=allow-oom", "#!lua", "its first line is"),
        ("allow-oom", "allow-oom,no-writes", "its first line is"),
        ("#!lua flags=allow-oom\n", "", "its first line is"),
        ("-- record: ", "-- store: ", "no -- record: "),
        ("-- KEYS", "-- Keys", "no -- KEYS"),
        ("-- ARGV", "-- Arguments", "no -- ARGV"),
        ("-- Returns", "-- Gives", "no -- Returns"),
        ("-- One script", "-- Two scripts", "no -- One script"),
        // The text.
        ("one.\n", "one.--[[\n", "a long comment"),
        ("one.\n", "one. \n", "a blank at its end"),
        ("stores it.", &"x".repeat(100), "is longer than 100"),
    ];
    assert_found(GOOD, &changes, |source| check_script("record", source, &known));
    let unlisted = check_script("other", &GOOD.replace("-- record", "-- other"), &known);
    assert_eq!(unlisted, ["it is not in the list of flags"]);
}

#[test]
fn faults_of_libraries_are_found() {
    let good = "\
local function put(due, gid, at)
  call('ZADD', due, at, gid)
end

local function put_all(due, other, gid)
  put(due, gid, now)
  put(other, gid, now)
end
";
    let changes = [
        ("'ZADD', due", "'ZADD', unknown", "unknown is a key, but no parameter"),
        ("  call('ZADD'", "  local due = gid\n  call('ZADD'", "due is a key, but no parameter"),
        ("'ZADD', due", "'ZADD', 'due:' .. at", "a key is made up"),
        ("put(other", "put('due'", "a key is made up"),
        ("'ZADD'", "'TIME'", "TIME is no command"),
        ("'ZADD'", "'HGETALL'", "HGETALL is no command"),
        ("  call('ZADD', due", "  local key = KEYS[1]\n  call('ZADD', key", "a library uses KEYS"),
        ("local function", "function", "a function that is not local"),
    ];
    let check = |source: &str| check_library("due", source, &mut Signatures::default());
    assert_found(good, &changes, check);

    let mut known = Signatures::default();
    check_library("due", good, &mut known);
    let script = GOOD.replace("put_due_anew(due, gid", "put_all(due, gid, hash");
    let faults = check_script("record", &script, &known);
    assert_eq!(faults, ["line 18: gid is a key, but not one of KEYS"]);
}

#[test]
fn the_time_is_read_once_and_in_one_place() {
    let batch = &files("lib")["batch"];
    let changes = [
        ("call('TIME')", "{ 1, 2 }", "the time is read 0 times"),
        ("call('TIME')", "call('TIME') or call('TIME')", "the time is read 2 times"),
    ];
    assert_found(batch, &changes, |source| {
        check_library(rules::BATCH, source, &mut Signatures::default())
    });
}

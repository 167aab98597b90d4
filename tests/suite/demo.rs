//! `tandem demo` as its user meets it: a process that prints, ends well, and leaves nothing.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
    process::{Child, ChildStdout, Command, Output, Stdio},
};

use redis::Commands as _;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, test_kill_process},
};
use tempfile::TempDir;

use crate::support::redis::RedisServer;

/// What is printed, in this order; numbers that differ from run to run are left out.
const STORY: [&str; 65] = [
    "Two nodes of tandem, one Redis, and a bank with two accounts",
    "   redis    one of the demonstration's own, in a temporary folder",
    "   node 1   http://127.0.0.1:",
    "   node 2   http://127.0.0.1:",
    "A 100  B  50",
    "1. A transfer that succeeds",
    "   Global transaction demo-1, submitted to node 1: 30 from A to B.",
    "     branch 01  action      withdraw 30 from A  booked                   A  70  B  50",
    "     branch 02  action      deposit 30 to B     booked                   A  70  B  80",
    "   Status succeed after ",
    "2. A transfer that is refused, and undone",
    "     branch 01  action      withdraw 30 from A  booked                   A  40  B  80",
    "     branch 02  action      deposit 30 to B     refused: account closed  A  40  B  80",
    "     branch 02  compensate  deposit 30 to B     nothing to undo          A  40  B  80",
    "     branch 01  compensate  withdraw 30 from A  undone                   A  70  B  80",
    "   Status failed after ",
    "3. A transfer whose node is killed",
    "     branch 01  action      withdraw 30 from A  booked                   A  40  B  80",
    "     branch 02  action      deposit 30 to B     booked, no answer yet    A  40  B 110",
    "is killed: SIGKILL. Its lease ends within 3 s; then node 2 claims demo-3.",
    "     branch 02  action      deposit 30 to B     counted already          A  40  B 110",
    "   Status succeed at node 2, ",
    "4. A two-phase message with a delay",
    "   Local work of the bank: withdraw 10 from A; A  30  B 110. Then it submits.",
    "     branch 01  action      deposit 10 to B     booked                   A  30  B 120",
    "   Status succeed. The call was not early, and ",
    "5. A TCC that is confirmed",
    "   Global transaction demo-5, prepared at node 2: 10 from A to B.",
    "     branch 01  try         withdraw 10 from A  tried                    A  20  B 120",
    "     branch 02  try         deposit 10 to B     tried                    A  20  B 120",
    "     branch 02  confirm     deposit 10 to B     confirmed                A  20  B 130",
    "     branch 01  confirm     withdraw 10 from A  confirmed                A  20  B 130",
    "   Status succeed: each branch that was tried is confirmed.",
    "6. A TCC whose try is refused, and which is cancelled",
    "     branch 01  try         withdraw 10 from A  tried                    A  10  B 130",
    "     branch 02  try         deposit 10 to B     refused: account closed  A  10  B 130",
    "     branch 02  cancel      deposit 10 to B     nothing to undo          A  10  B 130",
    "     branch 01  cancel      withdraw 10 from A  released                 A  20  B 130",
    "   Status failed: cancelled in reverse order, and nothing has changed.",
    "7. A workflow whose client is killed",
    "     branch 01  action      withdraw 10 from A  booked                   A  10  B 130",
    "   The client registers the first step, and is killed.",
    "   Node 2 calls the workflow back by its name, transfer. It is told that branch 01 is done.",
    "     branch 02  action      deposit 10 to B     booked                   A  10  B 140",
    "   Status succeed: each step was called once.",
    "8. A flash sale: a crowd, few units, and a node that is killed",
    "   node 3   http://127.0.0.1:",
    "   1,000 units, one for each buyer; who has not paid after 2 s loses the unit.",
    "   To be seen live at http://127.0.0.1:",
    "   Open that page, and press Enter to begin.",
    "is killed: SIGKILL, with requests and payments in hand.",
    "   All 3,000 have asked after ",
    "   Units that nobody paid come back. Those who were sent away ask again.",
    "     buyers                3,000  300 of them clicked twice at once",
    "     orders accepted       1,",
    "       paid and sold       1,000\n",
    "       rolled back ",
    "     second orders ",
    "     buyers with two           0\n",
    "       refunded ",
    "     units sold            1,000  = 1,000 supplied - 0 left - 0 held",
    "     differences               0  found by a recount of all reservations",
    "   Sold to exactly 1,000 buyers, one unit each, after ",
    "   Press Enter to end.",
    "All eight ended as they should, and the books balance: 150 before, 150 after.",
];

/// In the middle of the third story, when one node is dead and the other one waits.
const KILLED: &str = "is killed: SIGKILL";

/// A demonstration that runs, and the folder that it has for temporary files.
struct Demo {
    child: Child,
    lines: BufReader<ChildStdout>,
    printed: String,
    temporary: TempDir,
}

impl Demo {
    fn start(arguments: &[&str]) -> Self {
        let temporary = tempfile::tempdir().expect("a folder");
        let mut child = Command::new(env!("CARGO_BIN_EXE_tandem"))
            .arg("demo")
            .args(arguments)
            .env("TMPDIR", temporary.path())
            // A setting of the machine, which is not for the demonstration's nodes.
            .env("TANDEM_NO_SUCH_SETTING", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("a process");
        let lines = BufReader::new(child.stdout.take().expect("piped above"));
        Self { child, lines, printed: String::new(), temporary }
    }

    /// Reads on until a line holds `words`.
    fn read_until(&mut self, words: &str) {
        while !self.printed.contains(words) {
            let n_read = self.lines.read_line(&mut self.printed).expect("text");
            assert!(n_read > 0, "it ended: {}", self.printed);
        }
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a process"), signal).expect("it is there");
    }

    /// The processes of the nodes that it told of so far.
    fn nodes(&self) -> Vec<Pid> {
        let ids = self.printed.lines().filter(|line| line.starts_with("   node "));
        let ids = ids.filter_map(|line| line.rsplit_once("process ")?.1.parse().ok());
        ids.filter_map(Pid::from_raw).collect()
    }

    /// Waits for its end, after which no node of it runs and no file is there.
    fn ended(mut self) -> Output {
        self.lines.read_to_string(&mut self.printed).expect("text");
        let nodes = self.nodes();
        let mut output = self.child.wait_with_output().expect("an end");
        output.stdout = self.printed.into_bytes();
        assert!(nodes.len() >= 2, "{output:?}");
        for node in nodes {
            assert!(test_kill_process(node).is_err(), "a node still runs");
        }
        let left: Vec<_> = fs::read_dir(self.temporary.path()).expect("a folder").collect();
        assert!(left.is_empty(), "{left:?}");
        output
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

#[test]
fn it_tells_its_story_in_order_and_leaves_nothing() {
    // Of a build without optimization a small crowd is enough. Nobody can press Enter, so nothing waits.
    let output = Demo::start(&["--buyers", "3000", "--wait"]).ended();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(text(&output.stderr), "");
    let mut rest = text(&output.stdout);
    for line in STORY {
        let at = rest.find(line).unwrap_or_else(|| panic!("no {line:?} in {rest}"));
        rest = rest.get(at + line.len()..).expect("found there");
    }
    assert_eq!(rest, "\n");
    assert!(!text(&output.stdout).contains('\x1b'), "no colours without a terminal");
}

#[test]
fn interrupted_it_ends_with_an_error_and_leaves_nothing() {
    let mut demo = Demo::start(&[]);
    demo.read_until(KILLED);
    demo.signal(Signal::INT);
    let output = demo.ended();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stderr), "tandem: interrupted: stopped before its end\n");
}

#[test]
fn of_a_redis_that_is_given_only_its_own_keys_are_removed() {
    let server = RedisServer::start(&[]);
    let mut redis = server.connect();
    redis.set::<_, _, ()>("tandem-demo", "another's").expect("a write");
    let mut demo = Demo::start(&["--redis-url", &server.url()]);
    demo.read_until(KILLED);
    assert!(redis.keys::<_, Vec<String>>("*").expect("keys").len() > 1);
    demo.signal(Signal::TERM);
    demo.ended();
    assert_eq!(redis.keys::<_, Vec<String>>("*").expect("keys"), ["tandem-demo"]);
}

#[test]
fn killed_it_takes_its_nodes_and_its_redis_along() {
    let mut demo = Demo::start(&[]);
    demo.read_until(KILLED);
    let other = demo.nodes().pop().expect("the second node");
    let other = pidfd_open(other, PidfdFlags::empty()).expect("it runs");
    demo.signal(Signal::KILL);
    demo.child.wait().expect("an end");

    let patience = Timespec { tv_sec: 20, tv_nsec: 0 };
    let mut ended = [PollFd::new(&other, PollFlags::IN)];
    assert_eq!(poll(&mut ended, Some(&patience)), Ok(1), "the node still runs");
    // The Redis holds this lock as long as it runs.
    let folder = fs::read_dir(demo.temporary.path()).expect("a folder").next().expect("an entry");
    lock(&folder.expect("an entry").path().join("redis.lock"));
}

/// Waits until nobody holds the lock.
fn lock(path: &Path) {
    File::open(path).expect("a file").lock().expect("a lock");
}

#[test]
fn a_redis_that_cannot_be_used_is_told_of() {
    let output = Command::new(env!("CARGO_BIN_EXE_tandem"))
        .args(["demo", "--redis-url", "redis+unix:///nowhere/redis.sock?db=x"])
        .output()
        .expect("an end");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).starts_with("tandem: node 1 ended at its start: "), "{output:?}");
}

//! Random calls of a store, said so that they can be made of any: by what each store answered
//! before, rather than by points in time and numbers of its own.

use std::time::Duration;

use tandem::model::{Mode, Status};

use crate::support::rng::Rng;

/// Transactions that one sequence speaks of.
pub(crate) const GIDS: usize = MODES.len();

/// The mode that each gid mostly has.
const MODES: [Mode; 4] = [Mode::Saga, Mode::Message, Mode::Tcc, Mode::Workflow];
const TCC: usize = 2;
const WORKFLOW: usize = 3;

/// Requests and holds that one sequence speaks of; some calls repeat a request, some a hold's.
pub(crate) const TOKENS: usize = 18;

/// The tokens of holds that were claimed; the others belong to requests.
const HOLD_TOKENS: std::ops::Range<usize> = 8..12;

/// More bytes than the branches of one sequence have.
const ROOM: usize = 1 << 20;

/// Topics that one sequence speaks of.
pub(crate) const TOPICS: [&str; 2] = ["a topic", "b;1;2;"];

/// A span that no sequence lasts.
pub(crate) const LONG: Duration = Duration::from_hours(1);

/// One call.
#[derive(Clone, Debug)]
pub(crate) enum Call {
    Prepare {
        request: Request,
        timeout: Duration,
    },
    Submit {
        request: Request,
        held: bool,
        is_over: bool,
        lease: Duration,
        is_promote: bool,
    },
    Abort {
        gid: usize,
        token: usize,
        has_reason: bool,
        held: bool,
        lease: Duration,
    },
    Register {
        gid: usize,
        mode: Mode,
        /// Which of a few branches.
        branch: usize,
        /// Which of two contents it has.
        content: usize,
        branches_max: usize,
        bytes_max: usize,
    },
    EndWorkflow {
        gid: usize,
        token: usize,
        status: Status,
    },
    ForceStop {
        gid: usize,
        token: usize,
    },
    Reset {
        gid: usize,
    },
    ResetLaterThan,
    Query {
        gid: usize,
    },
    ClaimDue,
    /// `claims_ago` says by which of the claims that met it before.
    Take {
        gid: usize,
        token: usize,
        claims_ago: usize,
    },
    Renew {
        gid: usize,
        who: Who,
        lease: Duration,
    },
    /// A topic is written as it was found just now or, if it is stale, the time before.
    ChangeTopic {
        topic: usize,
        token: usize,
        is_stale: bool,
        /// How many subscribe from now on; nobody removes the topic.
        subscribers: Option<usize>,
    },
    /// At most `limit` topics behind this one.
    Topics {
        after: Option<usize>,
        limit: usize,
    },
    Record {
        gid: usize,
        who: Who,
        ahead: u64,
        status: Status,
        promoted: bool,
        hold: HoldEnd,
    },
}

/// What a client asks for.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) gid: usize,
    pub(crate) token: usize,
    pub(crate) mode: Mode,
    pub(crate) steps: usize,
    pub(crate) delay: Duration,
    /// Seconds; 0 when it does not say.
    pub(crate) retry_interval: u64,
}

/// Who writes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Who {
    /// Who was last given a hold.
    LastHolder,
    /// Somebody, by the number of the token.
    Token(usize),
}

/// What becomes of a hold with a record.
#[derive(Clone, Copy, Debug)]
pub(crate) enum HoldEnd {
    Kept,
    Rest { due_in: Duration },
    Finish,
}

/// A sequence of `length` calls.
pub(crate) fn sequence(rng: &mut Rng, length: usize) -> Vec<Call> {
    let mut calls: Vec<Call> = Vec::with_capacity(length);
    while calls.len() < length {
        if rng.happens(15) {
            calls.extend(registered_meanwhile(rng));
        }
        let again = match calls.len() {
            0 => None,
            // Whatever may be sent twice is.
            made => rng.happens(150).then(|| calls[made - 1 - rng.index(made.min(4))].clone()),
        };
        calls.push(again.unwrap_or_else(|| call(rng)));
    }
    calls.truncate(length);
    calls
}

/// A branch is registered between a claim and the holder's record: too rare to be left to chance.
fn registered_meanwhile(rng: &mut Rng) -> [Call; 5] {
    let (gid, content, branches_max, bytes_max) = (TCC, 0, 3, ROOM);
    let mode = Mode::Tcc;
    let request = Request { mode, delay: Duration::ZERO, ..request(gid, 0..2, rng) };
    let mut record = record(gid, rng);
    if let Call::Record { who, ahead, .. } = &mut record {
        (*who, *ahead) = (Who::LastHolder, 1);
    }
    [
        Call::Prepare { request, timeout: Duration::ZERO },
        Call::ClaimDue,
        Call::Take { gid, token: pick(HOLD_TOKENS, rng), claims_ago: 0 },
        Call::Register { gid, mode, branch: rng.index(4), content, branches_max, bytes_max },
        record,
    ]
}

fn call(rng: &mut Rng) -> Call {
    let gid = rng.index(GIDS);
    match rng.below(100) {
        0..10 => {
            let gid = if rng.happens(500) { growing(rng) } else { gid };
            Call::Prepare { request: request(gid, 0..2, rng), timeout: zero_or_long(rng) }
        }
        10..22 => Call::Submit {
            request: request(gid, 2..6, rng),
            held: rng.happens(600),
            is_over: rng.happens(80),
            lease: zero_or_long(rng),
            is_promote: rng.happens(200),
        },
        22..27 => Call::Abort {
            gid,
            token: if rng.happens(500) { 6 } else { 12 },
            has_reason: rng.happens(500),
            held: rng.happens(600),
            lease: zero_or_long(rng),
        },
        27..39 => {
            let gid = if rng.happens(900) { growing(rng) } else { gid };
            Call::Register {
                gid,
                mode: match mode(gid, rng) {
                    // Nobody asks for these.
                    Mode::Saga | Mode::Message => Mode::Xa,
                    mode @ (Mode::Tcc | Mode::Xa | Mode::Workflow) => mode,
                },
                branch: rng.index(4),
                content: usize::from(rng.happens(150)),
                branches_max: if rng.happens(900) { 3 } else { 1 },
                // From what no branch fits in to what two hardly do.
                bytes_max: if rng.happens(900) { ROOM } else { rng.index(130) },
            }
        }
        39..41 => Call::EndWorkflow {
            gid: if rng.happens(800) { WORKFLOW } else { gid },
            token: pick(13..15, rng),
            status: if rng.happens(500) { Status::Succeed } else { Status::Failed },
        },
        41..43 => Call::ForceStop { gid, token: 7 },
        43..47 => Call::Reset { gid },
        47..48 => Call::ResetLaterThan,
        48..51 => Call::Query { gid },
        51..59 => Call::ClaimDue,
        59..68 => {
            let claims_ago = if rng.happens(800) { 0 } else { rng.index(3) };
            Call::Take { gid, token: pick(HOLD_TOKENS, rng), claims_ago }
        }
        68..73 => Call::Renew { gid, who: who(rng), lease: zero_or_long(rng) },
        73..77 => Call::ChangeTopic {
            topic: rng.index(TOPICS.len()),
            token: pick(15..TOKENS, rng),
            is_stale: rng.happens(300),
            subscribers: rng.happens(800).then(|| rng.index(3)),
        },
        77..78 => Call::Topics {
            after: rng.happens(500).then(|| rng.index(TOPICS.len())),
            limit: 1 + rng.index(2),
        },
        _ => record(gid, rng),
    }
}

fn request(gid: usize, tokens: std::ops::Range<usize>, rng: &mut Rng) -> Request {
    let mode = mode(gid, rng);
    let is_message = mode == Mode::Message;
    Request {
        gid,
        token: pick(tokens, rng),
        mode,
        // A submit has the steps that were prepared; only the mode tells what they are.
        steps: 2,
        delay: if is_message && rng.happens(200) { LONG } else { Duration::ZERO },
        retry_interval: if rng.happens(300) { 1 + rng.below(9) } else { 0 },
    }
}

/// A gid whose client mostly registers branches.
fn growing(rng: &mut Rng) -> usize {
    if rng.happens(700) { TCC } else { WORKFLOW }
}

/// Mostly one mode for a gid, so that most sequences get somewhere.
fn mode(gid: usize, rng: &mut Rng) -> Mode {
    if rng.happens(900) { MODES[gid] } else { Mode::ALL[rng.index(Mode::ALL.len())] }
}

fn record(gid: usize, rng: &mut Rng) -> Call {
    let (status, hold) = match rng.below(10) {
        0 => (Status::Succeed, HoldEnd::Finish),
        1 => (Status::Failed, HoldEnd::Finish),
        2..5 => (Status::Submitted, HoldEnd::Rest { due_in: zero_or_long(rng) }),
        5 => (Status::Aborting, HoldEnd::Rest { due_in: zero_or_long(rng) }),
        6 => (Status::Prepared, HoldEnd::Rest { due_in: zero_or_long(rng) }),
        7 => (Status::Aborting, HoldEnd::Kept),
        _ => (Status::Submitted, HoldEnd::Kept),
    };
    let ahead = match rng.below(10) {
        0 => 0,
        1 => 2,
        _ => 1,
    };
    let promoted = status != Status::Prepared && rng.happens(300);
    Call::Record { gid, who: who(rng), ahead, status, promoted, hold }
}

fn who(rng: &mut Rng) -> Who {
    if rng.happens(850) { Who::LastHolder } else { Who::Token(pick(2..TOKENS, rng)) }
}

fn zero_or_long(rng: &mut Rng) -> Duration {
    if rng.happens(500) { Duration::ZERO } else { LONG }
}

fn pick(range: std::ops::Range<usize>, rng: &mut Rng) -> usize {
    range.start + rng.index(range.len())
}

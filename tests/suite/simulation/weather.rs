//! How often what goes wrong in one run. Each run has its own weather, since faults that are all
//! rare, or all frequent, leave whole kinds of schedules out.

use std::time::Duration;

use crate::support::rng::Rng;

/// The faults of one run, in chances per 1,000 awaits.
#[derive(Clone, Debug)]
pub(crate) struct Weather {
    /// Everything works from here on, so that the run can end.
    pub(crate) clears_up_at: Duration,
    /// Redis is away for all nodes between these two.
    pub(crate) outage: (Duration, Duration),
    /// Only this one of Redis's servers is.
    pub(crate) outage_of: Option<usize>,
    /// When Redis's clock is put forward, and by how much. Never back: no node can know of that
    /// before the next reply, so that what is delayed may be called too early.
    pub(crate) clock_jump: Option<(Duration, Duration)>,
    /// A command is not executed, and the node cannot know.
    pub(crate) lost_request: u64,
    /// A command is executed, and the node cannot know.
    pub(crate) lost_reply: u64,
    /// A command is not sent, and the node knows.
    pub(crate) unreachable: u64,
    /// A copy of a command is executed once more, much later.
    pub(crate) late_copy: u64,
    /// The node dies at this await.
    pub(crate) crash: u64,
    /// The node stands still at this await.
    pub(crate) pause: u64,
    /// A request of a client, or its answer, is lost.
    pub(crate) lost_http: u64,
    /// A client does not wait for the answer.
    pub(crate) client_leaves: u64,
    /// The work on a transaction panics at a branch call.
    pub(crate) panic: u64,
    /// A start of a node is told to stop in good order.
    pub(crate) stop: u64,
    /// Redis is full between these two: it stores nothing new.
    pub(crate) full: (Duration, Duration),
    /// The longest way of a client's request, or of its answer, in milliseconds.
    pub(crate) http_ms_max: u64,
    /// The longest way of a command to Redis, or of its reply, in milliseconds.
    pub(crate) redis_ms_max: u64,
    /// The longest way of a branch call, or of its answer, in milliseconds.
    pub(crate) branch_ms_max: u64,
    /// A branch call's way takes longer than the caller waits.
    pub(crate) slow_branch: u64,
    /// A branch call is not made, since too many are under way.
    pub(crate) busy: u64,
    /// A participant answers otherwise than with success, in chances per 1,000 calls.
    pub(crate) refusal: u64,
    /// The same for ONGOING.
    pub(crate) ongoing: u64,
    /// The same for an error before or after it is done.
    pub(crate) branch_error: u64,
}

/// The server of Redis that has the shard.
pub(crate) fn server_of(shard: usize) -> usize {
    shard % 2
}

impl Weather {
    /// The weather of `seed`.
    pub(crate) fn of(seed: u64) -> Self {
        let mut rng = Rng::of(seed, &["weather"]);
        // A third of the runs each: never, now and then, often.
        let mut level = |rare: u64, often: u64| match rng.below(3) {
            0 => 0,
            1 => rare,
            _ => often,
        };
        let mut weather = Self {
            clears_up_at: Duration::from_secs(20),
            outage: (Duration::ZERO, Duration::ZERO),
            outage_of: None,
            clock_jump: None,
            lost_request: level(10, 60),
            lost_reply: level(10, 60),
            unreachable: level(5, 30),
            late_copy: level(10, 60),
            crash: level(5, 20),
            pause: level(3, 15),
            lost_http: level(20, 100),
            client_leaves: level(20, 150),
            panic: level(0, 20),
            stop: level(150, 500),
            full: (Duration::ZERO, Duration::ZERO),
            http_ms_max: level(5, 300),
            redis_ms_max: level(2, 400),
            branch_ms_max: level(20, 2_500),
            slow_branch: level(20, 100),
            busy: level(10, 80),
            refusal: level(60, 250),
            ongoing: level(60, 250),
            branch_error: level(60, 250),
        };
        if rng.happens(200) {
            let from = rng.up_to_ms(10_000);
            weather.outage = (from, from + rng.up_to_ms(6_000));
        }
        if rng.happens(200) {
            let from = rng.up_to_ms(10_000);
            weather.full = (from, from + rng.up_to_ms(6_000));
        }
        if rng.happens(150) {
            weather.clock_jump = Some((rng.up_to_ms(15_000), rng.up_to_ms(8_000)));
        }
        weather.outage_of = [None, Some(0), Some(1)][rng.index(3)];
        weather
    }

    /// Weather in which Redis is well and at hand: nodes die, and participants are slow or refuse.
    pub(crate) fn fair(seed: u64) -> Self {
        let stormy = Self::of(seed);
        let mut rng = Rng::of(seed, &["fair weather"]);
        let none = (Duration::ZERO, Duration::ZERO);
        Self {
            outage: none,
            clock_jump: None,
            lost_request: 0,
            lost_reply: 0,
            unreachable: 0,
            late_copy: 0,
            crash: [0, 3, 10][rng.index(3)],
            pause: 0,
            lost_http: 0,
            client_leaves: 0,
            panic: 0,
            stop: 0,
            full: none,
            http_ms_max: 5,
            redis_ms_max: 2,
            slow_branch: 100 + rng.below(400),
            busy: 0,
            ..stormy
        }
    }
}

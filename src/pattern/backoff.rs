//! How long to wait until the next round (protocol, section 6).

use std::time::Duration;

use super::Policy;
use crate::model::Options;

/// The span before it is doubled: the transaction's own, else its timeout where that is smaller
/// than the server's, else the server's.
pub fn base(options: &Options, policy: &Policy) -> Duration {
    match (options.retry_interval, options.timeout_to_fail) {
        (Some(interval), _) => interval,
        (None, Some(timeout)) => timeout.min(policy.retry_interval),
        (None, None) => policy.retry_interval,
    }
}

/// `base` doubled once for each round in a row that ended in an error, the last one included, up to
/// `max`; never less than `base`. So the first wait after an error is twice `base`.
pub fn delay(base: Duration, error_rounds: u32, max: Duration) -> Duration {
    let factor = 2u32.checked_pow(error_rounds).unwrap_or(u32::MAX);
    base.saturating_mul(factor).min(max).max(base)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn doubles_with_each_error_up_to_the_cap() {
        let delays = [0, 1, 2, 3, 9, 40].map(|n| delay(secs(10), n, secs(3_600)).as_secs());
        assert_eq!(delays, [10, 20, 40, 80, 3_600, 3_600]);
        assert_eq!(delay(secs(7_200), 5, secs(3_600)), secs(7_200));
    }

    #[test]
    fn a_short_timeout_shortens_the_interval() {
        let policy = Policy::default();
        let of = |retry_interval, timeout_to_fail| {
            base(&Options { retry_interval, timeout_to_fail, ..Options::default() }, &policy)
        };
        assert_eq!(of(None, None), secs(10));
        assert_eq!(of(None, Some(secs(3))), secs(3));
        assert_eq!(of(None, Some(secs(30))), secs(10));
        assert_eq!(of(Some(secs(60)), Some(secs(3))), secs(60));
    }
}

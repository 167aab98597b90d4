//! Being counted: one more in a gauge for as long as something stands.

use metrics::Gauge;

/// One more in a gauge until it is dropped, also by who gives up or panics.
pub struct Counted(Gauge);

impl Counted {
    /// Adds one to `gauge`.
    pub fn up(gauge: &Gauge) -> Self {
        gauge.increment(1.0);
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

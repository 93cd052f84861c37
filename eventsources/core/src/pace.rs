//! At most so many events a second.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::Context;

/// A limit in events per second, exact and without a burst (S28): each event keeps its distance to the one before.
#[derive(Clone, Copy, Debug)]
pub struct Pace(Duration);

impl Pace {
    /// `None` where there is no limit: absent, 0 or less.
    pub fn per_second(events: Option<i64>) -> Option<Self> {
        let events = events.and_then(|events| u32::try_from(events).ok()).and_then(NonZeroU32::new)?;
        Some(Self(Duration::from_secs(1) / events.get()))
    }

    /// Waits as long as `events` take. `false` when it is time to stop first. Cancel safe.
    pub async fn wait(self, events: usize, cx: &Context) -> bool {
        let events = u32::try_from(events).unwrap_or(u32::MAX);
        cx.pause(self.0.saturating_mul(events)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_distance_and_nothing_is_no_limit() {
        assert_eq!(Pace::per_second(Some(4)).unwrap().0, Duration::from_millis(250));
        for none in [None, Some(0), Some(-1)] {
            assert!(Pace::per_second(none).is_none(), "{none:?}");
        }
    }
}

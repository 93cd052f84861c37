//! The only reader of the time.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

/// Tells the time and waits for it. Clones share one clock.
#[derive(Clone, Debug)]
pub struct Clock(Kind);

#[derive(Clone, Debug)]
enum Kind {
    System,
    Manual(Arc<watch::Sender<Timestamp>>),
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(Kind::System)
    }

    /// A clock that stands still until [`Clock::advance`].
    pub fn manual(start: Timestamp) -> Self {
        Self(Kind::Manual(Arc::new(watch::Sender::new(start))))
    }

    pub fn now(&self) -> Timestamp {
        match &self.0 {
            #[expect(clippy::disallowed_methods, reason = "the one place that reads the time")]
            Kind::System => Timestamp::now(),
            Kind::Manual(time) => *time.borrow(),
        }
    }

    /// Moves a manual clock on and wakes who waits for it; without effect on the machine's clock.
    pub fn advance(&self, by: Duration) {
        if let Kind::Manual(time) = &self.0 {
            time.send_modify(|now| *now = later(*now, by));
        }
    }

    /// Returns at or after `when`. Cancel safe.
    pub async fn sleep_until(&self, when: Timestamp) {
        match &self.0 {
            Kind::System => system_sleep_until(self, when).await,
            Kind::Manual(time) => {
                let mut seen = time.subscribe();
                // The sender lives in `self`, so the wait can only end with the time reached.
                let _reached = seen.wait_for(|now| *now >= when).await.is_ok();
            }
        }
    }

    /// Returns after `pause`. Cancel safe.
    pub async fn sleep(&self, pause: Duration) {
        self.sleep_until(later(self.now(), pause)).await;
    }
}

/// Blocks this thread for a pause of real time: for threads of client libraries, which are no tasks and know no clock but the machine's.
#[expect(clippy::disallowed_methods, reason = "the one place where a thread waits for time")]
pub fn block_for(pause: Duration) {
    std::thread::sleep(pause);
}

/// Sleeps in pieces of at most a minute, so that a machine that was suspended notices the wall clock's jump.
async fn system_sleep_until(clock: &Clock, when: Timestamp) {
    loop {
        let Ok(left) = Duration::try_from(when.duration_since(clock.now())) else { return };
        if left.is_zero() {
            return;
        }
        #[expect(clippy::disallowed_methods, reason = "the clock's own way of waiting")]
        tokio::time::sleep(left.min(Duration::from_mins(1))).await;
    }
}

/// `at + by`, or the end of time.
fn later(at: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by).ok().and_then(|by| at.checked_add(by).ok()).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_manual_clock_wakes_its_sleepers_when_it_reaches_their_time() {
        let clock = Clock::manual(Timestamp::UNIX_EPOCH);
        let sleeper = {
            let clock = clock.clone();
            async move {
                clock.sleep(Duration::from_secs(10)).await;
                clock.now()
            }
        };
        let driver = async {
            clock.advance(Duration::from_secs(4));
            tokio::task::yield_now().await;
            clock.advance(Duration::from_secs(6));
        };
        let (woken_at, ()) = tokio::join!(sleeper, driver);
        assert_eq!(woken_at, Timestamp::from_second(10).unwrap());
    }

    #[tokio::test]
    async fn a_time_in_the_past_is_no_wait() {
        Clock::system().sleep_until(Timestamp::UNIX_EPOCH).await;
    }
}

//! A commit: expectations are checked, then state and records are written, then deliveries are acknowledged.

use std::collections::BTreeMap;

use async_nats::Subject;
use bus_core::{BusError, Change, Revision, StateKey, Ticket};
use bytes::Bytes;
use futures_util::future::try_join_all;
use serde_json::json;
use zetes_runtime::random_id;

use crate::api::{ApiError, code};
use crate::bus::Shared;
use crate::link::Live;
use crate::publish::{Outgoing, PAUSE, Placed, TRIES, check_sizes, until_failure};
use crate::signals::ACK;
use crate::state::Fence;

/// What is to become of each key, and of the rest.
#[derive(Debug, Default)]
struct Plan {
    keys: BTreeMap<StateKey, Planned>,
    records: Vec<Outgoing>,
    acks: Vec<Ticket>,
}

/// The changes of one key, as the one that is left of them.
#[derive(Debug)]
struct Planned {
    /// What must be there before the first of them.
    fence: Fence,
    /// `None` removes the entry.
    value: Option<Bytes>,
}

impl Shared {
    pub(crate) async fn commit(&self, changes: Vec<Change>) -> Result<(), BusError> {
        let live = self.live()?;
        let plan = self.plan(changes)?;
        self.write(&live, plan.keys, &plan.records).await?;
        self.acknowledge(&live, plan.acks).await
    }

    fn plan(&self, changes: Vec<Change>) -> Result<Plan, BusError> {
        let mut plan = Plan::default();
        for change in changes {
            match change {
                Change::Ack(ticket) => plan.acks.push(ticket),
                Change::Put { key, value, expected } => {
                    plan.change(key, Some(value), Fence::from(expected))?;
                }
                Change::Delete { key } => plan.change(key, None, Fence::Anything)?,
                Change::Record { namespace: _, about, record } => {
                    plan.records.extend(self.record(&about, &record));
                }
            }
        }
        Ok(plan)
    }

    async fn write(
        &self,
        live: &Live,
        keys: BTreeMap<StateKey, Planned>,
        records: &[Outgoing],
    ) -> Result<(), BusError> {
        self.check(live, &keys).await?;
        let (mut fenced, mut messages, mut removed) = (Vec::new(), Vec::new(), Vec::new());
        for (key, Planned { fence, value }) in keys {
            match value {
                Some(value) if fence != Fence::Anything => {
                    let message = self.put(&key, value, fence);
                    fenced.push((key, fence.revision(), message));
                }
                Some(value) => messages.push(self.put(&key, value, fence)),
                None => removed.push(self.layout.state_subject(&key)),
            }
        }
        messages.extend_from_slice(records);
        for (_, _, message) in &fenced {
            check_sizes(live, std::slice::from_ref(message))?;
        }
        check_sizes(live, &messages)?;
        for (key, expected, message) in fenced {
            self.put_fenced(live, key, expected, message).await?;
        }
        let (_, failure) =
            until_failure(self.send(live, &messages).await.map_err(|error| live.failed(error))?);
        if let Some(error) = failure {
            return Err(live.failed(error));
        }
        let purges = removed.iter().map(|subject| {
            let which = json!({"filter": subject});
            async move { live.purge(&self.layout.state, &which).await }
        });
        try_join_all(purges).await.map_err(|error| live.failed(error))?;
        Ok(())
    }

    /// A conflict that can be seen beforehand leaves everything undone.
    async fn check(&self, live: &Live, keys: &BTreeMap<StateKey, Planned>) -> Result<(), BusError> {
        let fenced = keys.iter().filter(|(_, planned)| planned.fence != Fence::Anything);
        let checks = fenced.map(|(key, planned)| async move {
            let expected = planned.fence.revision();
            let found = live.last(&self.layout.state, &self.layout.state_subject(key)).await;
            let found = found.map_err(|error| live.failed(error))?.map(|stored| Revision(stored.sequence));
            if found == expected { Ok(()) } else { Err(conflict(key.clone(), expected, found)) }
        });
        try_join_all(checks).await.map(drop)
    }

    async fn put_fenced(
        &self,
        live: &Live,
        key: StateKey,
        expected: Option<Revision>,
        message: Outgoing,
    ) -> Result<(), BusError> {
        let answer = if live.fences_writers() {
            self.put_once(live, &message).await?
        } else {
            self.put_by_id(live, expected, message.clone()).await?
        };
        match answer {
            Ok(placed) if !placed.duplicate => Ok(()),
            Ok(_) => Err(conflict(key, expected, self.found(live, &message).await?)),
            Err(error)
                if error.is(code::WRONG_LAST_SEQUENCE) || error.is(code::WRONG_LAST_SEQUENCE_CONSTANT) =>
            {
                Err(conflict(key, expected, self.found(live, &message).await?))
            }
            Err(error) => Err(live.failed(error)),
        }
    }

    async fn put_once(&self, live: &Live, message: &Outgoing) -> Result<Result<Placed, ApiError>, BusError> {
        let answers = self.send(live, std::slice::from_ref(message)).await;
        let answer = answers.map_err(|error| live.failed(error))?.pop();
        answer.ok_or_else(|| BusError::Unavailable("the server gave no answer".to_owned()))
    }

    /// A cluster of servers before 2.10 looks at an expectation when it proposes a write and not when it applies it, so that two writers
    /// may both pass. Message ids it looks at under a lock: one id for each expectation lets one writer through.
    async fn put_by_id(
        &self,
        live: &Live,
        expected: Option<Revision>,
        mut message: Outgoing,
    ) -> Result<Result<Placed, ApiError>, BusError> {
        let id = format!("{}@{}", message.subject, expected.map_or(0, |revision| revision.0));
        message.headers.insert("Nats-Msg-Id", id.as_str());
        let answer = self.put_once(live, &message).await?;
        // One that was made and removed within the duplicate window may be made again; sequence 0 is one that is just being made.
        let was_before = matches!(&answer, Ok(placed) if placed.duplicate && placed.sequence > 0);
        if expected.is_none() && was_before && self.found(live, &message).await?.is_none() {
            message.headers.insert("Nats-Msg-Id", format!("{id}/{}", random_id()));
            return self.put_once(live, &message).await;
        }
        Ok(answer)
    }

    async fn found(&self, live: &Live, message: &Outgoing) -> Result<Option<Revision>, BusError> {
        let found = live.last(&self.layout.state, &message.subject).await;
        Ok(found.map_err(|error| live.failed(error))?.map(|stored| Revision(stored.sequence)))
    }

    /// Acknowledges, and returns once the server has it. It works through the answers to one consumer in order, so the last one's
    /// reply stands for all.
    ///
    /// A server that was killed may have forgotten deliveries of the moment before, and answers nothing to what it does not know. So
    /// those of an earlier connection are sent and not waited for: what is not settled by that comes again.
    async fn acknowledge(&self, live: &Live, tickets: Vec<Ticket>) -> Result<(), BusError> {
        let mut consumers: BTreeMap<String, Vec<Subject>> = BTreeMap::new();
        for (connection, replies) in tickets.iter().filter_map(|ticket| self.tables.answers(ticket)) {
            for reply in replies {
                if connection == live.number {
                    consumers.entry(consumer_of(&reply).to_owned()).or_default().push(reply);
                } else {
                    send_ack(live, &reply).await?;
                }
            }
        }
        try_join_all(consumers.iter().map(|(durable, replies)| self.acknowledge_on(live, durable, replies)))
            .await?;
        for ticket in &tickets {
            self.tables.settled(ticket);
        }
        Ok(())
    }

    async fn acknowledge_on(&self, live: &Live, durable: &str, replies: &[Subject]) -> Result<(), BusError> {
        let Some((last, others)) = replies.split_last() else { return Ok(()) };
        for reply in others {
            send_ack(live, reply).await?;
        }
        for _ in 0..TRIES {
            let unanswered = match live.request(last, Bytes::from_static(ACK)).await {
                Ok(_) => return Ok(()),
                Err(error @ (ApiError::NobodyThere(_) | ApiError::Unanswered(_))) => error,
                Err(error) => return Err(live.failed(error)),
            };
            match (live.consumer_info(&self.layout.events, durable).await, unanswered) {
                // Nobody answers for a consumer that was removed: its deliveries are settled in any case.
                (Err(gone), _) if gone.is(code::CONSUMER_NOT_FOUND) => return Ok(()),
                // It is led, and says nothing to the delivery: another leader than the one that handed it out.
                (Ok(_), ApiError::Unanswered(_)) => {
                    for reply in replies {
                        send_ack(live, reply).await?;
                    }
                    return Ok(());
                }
                (Err(error), ApiError::Unanswered(_)) => return Err(live.failed(error)),
                _ => self.options.clock.sleep(PAUSE).await,
            }
        }
        Err(live.failed(ApiError::NobodyThere(last.to_string())))
    }
}

async fn send_ack(live: &Live, reply: &Subject) -> Result<(), BusError> {
    let sent = live.client.publish(reply.clone(), Bytes::from_static(ACK)).await;
    sent.map_err(|error| BusError::Unavailable(error.to_string()))
}

impl Plan {
    /// Expectations of later changes of a key are checked against what the earlier ones leave.
    fn change(&mut self, key: StateKey, value: Option<Bytes>, fence: Fence) -> Result<(), BusError> {
        let Some(planned) = self.keys.get_mut(&key) else {
            self.keys.insert(key, Planned { fence, value });
            return Ok(());
        };
        let is_met = match fence {
            Fence::Anything => true,
            Fence::Nothing => planned.value.is_none(),
            // Nobody can know the revision that this commit gives.
            Fence::At(_) => false,
        };
        if !is_met {
            return Err(conflict(key, fence.revision(), None));
        }
        planned.value = value;
        Ok(())
    }
}

fn conflict(key: StateKey, expected: Option<Revision>, found: Option<Revision>) -> BusError {
    BusError::Conflict { bucket: key.bucket, key: key.key, expected, found }
}

/// The consumer that a reply subject belongs to.
fn consumer_of(reply: &str) -> &str {
    let tokens = reply.split('.').count();
    reply.split('.').nth(if tokens > 9 { 5 } else { 3 }).unwrap_or_default()
}

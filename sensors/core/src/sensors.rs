//! All triggers of one Sensor object.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bus_core::{Bus, ConsumerName, Interest, Start, Subscription};
use sensor_engine::Rules;
use serde::Serialize;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use zetes_api::{EventRef, Sensor, Trigger, TriggerName};
use zetes_runtime::{Clock, Secrets};

use crate::erased::Action;
use crate::keeper::Keeper;
use crate::metrics::Metrics;
use crate::runner::{Actions, Redrive};
use crate::{Context, DeadLetter, Error, Factory, Parameters};

/// Rounds in hand at a time, per trigger, when the Sensor says nothing.
const MAX_IN_FLIGHT: usize = 256;
/// Dead letters of one trigger that wait to be taken back, at a time.
const REDRIVES: usize = 16;
/// Sets it, 1 to 10,000.
const MAX_IN_FLIGHT_ANNOTATION: &str = "zetes.dev/max-in-flight";
/// `earliest` or an RFC 3339 time: where a new consumer begins (S20).
const START_FROM_ANNOTATION: &str = "zetes.dev/start-from";
/// Behaviours of the reference, separated by commas.
const COMPAT_ANNOTATION: &str = "zetes.dev/compat";
/// A delivery whose runner has not been heard of for so long is handed out again.
pub(crate) const ACK_DEADLINE: Duration = Duration::from_secs(20);

/// What all Sensors of a process share. Cheap to clone.
#[derive(Clone)]
pub struct Deps {
    /// The bus of the Sensor's EventBus.
    pub bus: Arc<dyn Bus>,
    /// Names that bus in metrics.
    pub bus_name: Arc<str>,
    /// Names this process to others that share the bus.
    pub process: Arc<str>,
    pub clock: Clock,
    pub secrets: Secrets,
    pub metrics: Metrics,
    /// Where objects are written when no cluster is named.
    pub data_dir: PathBuf,
}

/// Prepares Sensor objects.
pub struct Sensors;

/// A Sensor that is compiled and does nothing yet.
pub struct Prepared {
    keepers: Vec<Keeper>,
    attached: Vec<watch::Receiver<bool>>,
    statuses: Vec<Status>,
    redrives: Redrives,
}

type Redrives = BTreeMap<TriggerName, mpsc::Sender<Redrive>>;

/// A running Sensor.
#[derive(Debug)]
pub struct Running {
    tasks: JoinSet<()>,
    stop: CancellationToken,
    attached: Vec<watch::Receiver<bool>>,
    statuses: Vec<Status>,
    redrives: Redrives,
}

/// Tells how a Sensor is, and takes dead letters back; outlives it.
#[derive(Clone)]
pub struct Observer {
    statuses: Vec<Status>,
    redrives: Redrives,
}

/// Why a dead letter can't be fired again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RedriveError {
    #[error("its trigger does not run here")]
    NotRunning,
    #[error("it can't be read: {0}")]
    Damaged(String),
}

/// How one trigger is.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TriggerStatus {
    /// For messages: which trigger of which object this is.
    pub name: String,
    #[serde(flatten)]
    pub state: TriggerState,
    /// Deliveries and rounds that have not come to an end.
    pub in_hand: usize,
    /// How many events wait for the conditions.
    pub waiting_events: usize,
    /// Some of them.
    pub waiting: Vec<EventRef>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "camelCase")]
pub enum TriggerState {
    Starting,
    Serving,
    /// The bus can't be used; it begins by itself when it can.
    Waiting {
        reason: String,
    },
    /// Another process runs it; this one takes over when that one ends.
    Standby {
        holder: String,
    },
    Failed {
        error: String,
    },
    Stopped,
}

pub(crate) type Status = Arc<Mutex<TriggerStatus>>;

impl Sensors {
    /// Compiles every trigger whose kind is known to `factory`; the others have been told at load. One that can't run is told in its
    /// status and never stops the others.
    pub fn prepare(sensor: &Sensor, known: impl Fn(&str) -> Option<Factory>, deps: &Deps) -> Prepared {
        let mut prepared = Prepared {
            keepers: Vec::new(),
            attached: Vec::new(),
            statuses: Vec::new(),
            redrives: BTreeMap::new(),
        };
        for (index, trigger) in sensor.spec.triggers.iter().enumerate() {
            let Some(template) = &trigger.template else { continue };
            let Some(factory) = template.action().and_then(|(kind, _)| known(kind)) else { continue };
            let name = format!("{} trigger `{}`", sensor.object_ref(), template.name);
            let state = TriggerState::Starting;
            let status = TriggerStatus { name, state, in_hand: 0, waiting_events: 0, waiting: Vec::new() };
            let status = Arc::new(Mutex::new(status));
            prepared.statuses.push(status.clone());
            match compiled(sensor, index, trigger, (factory, &known), deps) {
                Ok((rules, actions)) => {
                    let (redrive, redrives) = mpsc::channel(REDRIVES);
                    let (attached, is_attached) = watch::channel(false);
                    prepared.redrives.insert(rules.trigger().clone(), redrive);
                    prepared.attached.push(is_attached);
                    prepared.keepers.push(Keeper {
                        deps: deps.clone(),
                        subscription: subscription(sensor, &rules),
                        rules: Arc::new(rules),
                        actions,
                        redrives,
                        status,
                        attached,
                    });
                }
                Err(error) => {
                    status.lock().unwrap_or_else(PoisonError::into_inner).state =
                        TriggerState::Failed { error };
                }
            }
        }
        prepared
    }
}

fn compiled(
    sensor: &Sensor,
    index: usize,
    trigger: &Trigger,
    (factory, known): (Factory, &impl Fn(&str) -> Option<Factory>),
    deps: &Deps,
) -> Result<(Rules, Actions), String> {
    let object = sensor.object_ref();
    let rules = Rules::compile(&object.namespace, sensor, index)
        .map_err(|findings| zetes_api::Invalid(findings).to_string())?;
    let second = |trigger: Option<&Trigger>| -> Result<Option<Arc<Action>>, String> {
        let Some(trigger) = trigger else { return Ok(None) };
        let kind = trigger.template.as_ref().and_then(|template| template.action());
        let (kind, _) = kind.ok_or("a second action has no template with an action")?;
        let factory = known(kind).ok_or_else(|| format!("trigger kind `{kind}` is not in this build yet"))?;
        action(sensor, trigger, factory, deps).map(Some)
    };
    let expiry = trigger.zetes.as_ref().and_then(|extension| extension.on_expire.as_ref());
    let actions = Actions {
        main: action(sensor, trigger, factory, deps)?,
        dlq_trigger: second(trigger.dlq_trigger.as_deref())?,
        on_expire: second(expiry.and_then(|expiry| expiry.trigger.as_deref()))?,
    };
    Ok((rules, actions))
}

fn action(sensor: &Sensor, trigger: &Trigger, factory: Factory, deps: &Deps) -> Result<Arc<Action>, String> {
    let object = sensor.object_ref();
    let template = trigger.template.as_ref().ok_or("no template")?;
    let compat = sensor.metadata.annotations.get(COMPAT_ANNOTATION).map(String::as_str).unwrap_or_default();
    let cx = Context {
        namespace: object.namespace,
        sensor: object.name,
        trigger: template.name.clone(),
        policy: trigger.policy.clone(),
        compat: compat
            .split(',')
            .map(|name| name.trim().to_owned())
            .filter(|name| !name.is_empty())
            .collect(),
        data_dir: deps.data_dir.clone(),
        clock: deps.clock.clone(),
        secrets: deps.secrets.clone(),
    };
    let told = |error: Error| error.to_string();
    let parameters = Parameters::compile(&trigger.parameters).map_err(told)?;
    Action::new(factory, template, parameters, cx).map(Arc::new).map_err(told)
}

fn subscription(sensor: &Sensor, rules: &Rules) -> Subscription {
    let interests = rules.interests().into_iter().map(|one| Interest {
        source: one.source,
        subject: one.subject,
        dependency: one.dependency,
    });
    Subscription {
        consumer: ConsumerName {
            namespace: rules.namespace().clone(),
            sensor: rules.sensor().clone(),
            trigger: rules.trigger().clone(),
        },
        interests: interests.collect(),
        start: start(sensor),
        ack_deadline: ACK_DEADLINE,
        max_in_flight: max_in_flight(sensor),
    }
}

fn max_in_flight(sensor: &Sensor) -> usize {
    let written =
        sensor.metadata.annotations.get(MAX_IN_FLIGHT_ANNOTATION).and_then(|text| text.parse().ok());
    written.map_or(MAX_IN_FLIGHT, |number: usize| number.clamp(1, 10_000))
}

fn start(sensor: &Sensor) -> Start {
    match sensor.metadata.annotations.get(START_FROM_ANNOTATION).map(String::as_str) {
        Some("earliest") => Start::Earliest,
        Some(text) => text.parse().map_or(Start::Now, Start::Time),
        None => Start::Now,
    }
}

impl Prepared {
    /// Subscribes, fetches and fires, as soon as the bus can be used.
    pub fn start(self) -> Running {
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        for keeper in self.keepers {
            tasks.spawn(keeper.run(stop.clone()));
        }
        let Self { attached, statuses, redrives, .. } = self;
        Running { tasks, stop, attached, statuses, redrives }
    }
}

impl Running {
    pub fn observer(&self) -> Observer {
        Observer { statuses: self.statuses.clone(), redrives: self.redrives.clone() }
    }

    /// Returns when every trigger that runs has a durable consumer: from then on it misses nothing. Cancel safe.
    pub fn attached(&self) -> impl Future<Output = ()> + Send + 'static {
        let attached = self.attached.clone();
        async move {
            for mut one in attached {
                // A trigger that has ended will not be attached any more.
                drop(one.wait_for(|is_attached| *is_attached).await);
            }
        }
    }

    /// Fetches nothing more and finishes what is in hand; what is left after `grace` stays on the bus.
    pub async fn stop(mut self, grace: Duration) {
        self.stop.cancel();
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(grace, ended).await.is_err() {
            self.tasks.shutdown().await;
        }
    }
}

impl Observer {
    pub fn status(&self) -> Vec<TriggerStatus> {
        self.statuses
            .iter()
            .map(|status| status.lock().unwrap_or_else(PoisonError::into_inner).clone())
            .collect()
    }

    /// Takes a dead letter back; returns once its round is durably in hand and the letter is gone.
    ///
    /// # Errors
    /// Its trigger does not run in this Sensor, or the letter can't be read.
    pub async fn redrive(&self, letter: DeadLetter) -> Result<(), RedriveError> {
        let sender = self.redrives.get(&letter.trigger).ok_or(RedriveError::NotRunning)?;
        let (answer, answered) = oneshot::channel();
        sender.send(Redrive { letter, answer }).await.map_err(|_| RedriveError::NotRunning)?;
        answered.await.map_err(|_| RedriveError::NotRunning)?
    }
}

//! A connection to Redis that many callers share and that is made anew when it is lost.
//!
//! A client library's own reconnecting does not serve here: it notices a connection that is closed,
//! but not one that hangs. Here whoever got no answer in time drops the connection for all.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use redis::{
    AsyncConnectionConfig, Client, Cmd, IntoConnectionInfo, Pipeline, RedisError, RedisResult,
    Value, aio::MultiplexedConnection,
};

use super::StoreError;

/// How a command failed.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    /// It was not sent, or was turned away before it did anything, for a reason that passes.
    NotDone(String),
    /// It was sent, and no answer came.
    NoAnswer(String),
    /// Redis is full.
    Full,
    /// Redis does not know the script.
    NoScript,
    /// The slot belongs to the node at this address (`host:port`): nothing was done.
    Moved(String),
    /// The slot is on its way to the node at this address, which is to be asked this once: nothing
    /// was done.
    Ask(String),
    /// Any other answer that is an error.
    Refused(String),
}

impl Failure {
    /// What the caller is told. `was_sent`: an earlier copy was sent and not answered, so that what
    /// this one met says nothing of what that one does.
    pub(super) fn into_error(self, script: &'static str, was_sent: bool) -> StoreError {
        match self {
            Self::NoAnswer(text) => StoreError::Unanswered(text),
            Self::NotDone(text) if was_sent => StoreError::Unanswered(text),
            Self::Full if was_sent => StoreError::Unanswered("it is full by now".to_owned()),
            Self::NotDone(text) => StoreError::Unreachable(text),
            Self::Moved(address) | Self::Ask(address) => {
                let text = format!("its slot is at {address}");
                if was_sent { StoreError::Unanswered(text) } else { StoreError::Unreachable(text) }
            }
            Self::Full => StoreError::Full,
            Self::NoScript if was_sent => StoreError::Unanswered("scripts are flushed".to_owned()),
            Self::NoScript => StoreError::Unreachable(
                "it forgets scripts as soon as they are loaded (SCRIPT FLUSH)".to_owned(),
            ),
            Self::Refused(message) => StoreError::Script { script, message },
        }
    }

    /// What an answer that is an error says.
    pub(super) fn of_answer(error: &RedisError) -> Self {
        let address = || error.redirect_node().map(|(address, _)| address.to_owned());
        match error.code() {
            Some("MOVED") => Self::Moved(address().unwrap_or_default()),
            Some("ASK") => Self::Ask(address().unwrap_or_default()),
            Some("OOM") => Self::Full,
            Some("NOSCRIPT") => Self::NoScript,
            Some(code) if PASSING.contains(&code) => Self::NotDone(error.to_string()),
            _ => Self::Refused(error.to_string()),
        }
    }
}

/// Codes of answers that say that nothing was done, and why; all of them pass, some of them when
/// the operator acts.
const PASSING: [&str; 12] = [
    "BUSY",
    "CLUSTERDOWN",
    "LOADING",
    "MASTERDOWN",
    "MISCONF",
    "NOAUTH",
    "NOPERM",
    "NOREPLICAS",
    "READONLY",
    "TRYAGAIN",
    "UNKILLABLE",
    "WRONGPASS",
];

/// After so long without a sign of life from the other host, a connection that was given up here is
/// closed for good.
#[cfg(target_os = "linux")]
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(30);

/// Makes a client of `server`, a URL or what was read of one. Connections over TCP send at once.
pub(super) fn client(server: impl IntoConnectionInfo) -> Result<Client, RedisError> {
    let info = server.into_connection_info()?;
    let tcp = info.tcp_settings().clone().set_nodelay(true);
    #[cfg(target_os = "linux")]
    let tcp = tcp.set_user_timeout(TCP_USER_TIMEOUT);
    Client::open(info.set_tcp_settings(tcp))
}

/// What can be sent down a connection.
pub(super) trait Ask: Sync {
    /// What Redis answers to it.
    type Answer: Send;

    /// Sends it and awaits the answer; an answer that is an error is one.
    fn ask(
        &self,
        connection: &mut MultiplexedConnection,
    ) -> impl Future<Output = RedisResult<Self::Answer>> + Send;

    /// As [`Ask::ask`], to a node to which the slot is on its way. It must be told of each command
    /// that this is known.
    fn ask_once(
        &self,
        connection: &mut MultiplexedConnection,
    ) -> impl Future<Output = RedisResult<Self::Answer>> + Send;
}

impl Ask for Cmd {
    type Answer = Value;

    async fn ask(&self, connection: &mut MultiplexedConnection) -> RedisResult<Value> {
        answered(connection.send_packed_command(self).await?)
    }

    async fn ask_once(&self, connection: &mut MultiplexedConnection) -> RedisResult<Value> {
        let mut both = Pipeline::with_capacity(2);
        both.add_command(redis::cmd("ASKING")).add_command(self.clone());
        let values = connection.send_packed_commands(&both, 1, 1).await?;
        answered(values.into_iter().next().unwrap_or_default())
    }
}

/// Several commands in one piece; the first answer that is an error stands for all.
impl Ask for Pipeline {
    type Answer = Vec<Value>;

    async fn ask(&self, connection: &mut MultiplexedConnection) -> RedisResult<Vec<Value>> {
        let values = connection.send_packed_commands(self, 0, self.len()).await?;
        values.into_iter().map(answered).collect()
    }

    async fn ask_once(&self, connection: &mut MultiplexedConnection) -> RedisResult<Vec<Value>> {
        let mut all = Pipeline::with_capacity(2 * self.len());
        for command in self.cmd_iter() {
            all.add_command(redis::cmd("ASKING")).add_command(command.clone());
        }
        let values = connection.send_packed_commands(&all, 0, all.len()).await?;
        values.into_iter().skip(1).step_by(2).map(answered).collect()
    }
}

fn answered(value: Value) -> RedisResult<Value> {
    if let Value::ServerError(error) = value { Err(error.into()) } else { Ok(value) }
}

/// One shared connection.
pub(super) struct Line {
    client: Client,
    current: Mutex<Option<Wire>>,
    /// Held by whoever makes the connection; the others wait for it.
    dialing: tokio::sync::Mutex<()>,
    dialed: AtomicU64,
}

#[derive(Clone)]
struct Wire {
    /// Which of the connections made so far it is.
    number: u64,
    connection: MultiplexedConnection,
}

impl Line {
    /// A line that is connected when it is first used.
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            current: Mutex::new(None),
            dialing: tokio::sync::Mutex::new(()),
            dialed: AtomicU64::new(0),
        }
    }

    /// Sends `asked`, one command or several, and awaits all that is answered, both within `bound`.
    /// Dropping the future leaves the connection whole.
    pub(super) async fn send<A: Ask>(
        &self,
        asked: &A,
        bound: Duration,
    ) -> Result<A::Answer, Failure> {
        self.send_as(asked, false, bound).await
    }

    /// As [`Line::send`]; `once`: to a node to which the slot is on its way.
    pub(super) async fn send_as<A: Ask>(
        &self,
        asked: &A,
        once: bool,
        bound: Duration,
    ) -> Result<A::Answer, Failure> {
        let mut sent_on = None;
        let sending = async {
            let mut wire = self.wire().await?;
            sent_on = Some(wire.number);
            let answer = if once {
                asked.ask_once(&mut wire.connection).await
            } else {
                asked.ask(&mut wire.connection).await
            };
            match answer {
                Ok(answer) => Ok(answer),
                Err(error) if error.code().is_some() => Err(Failure::of_answer(&error)),
                Err(error) => {
                    self.drop_wire(wire.number);
                    Err(Failure::NoAnswer(error.to_string()))
                }
            }
        };
        let sent = tokio::time::timeout(bound, sending).await;
        sent.unwrap_or_else(|_| match sent_on {
            Some(number) => {
                self.drop_wire(number);
                Err(Failure::NoAnswer("in time".to_owned()))
            }
            None => Err(Failure::NotDone("no connection could be made in time".to_owned())),
        })
    }

    async fn wire(&self) -> Result<Wire, Failure> {
        if let Some(wire) = self.present() {
            return Ok(wire);
        }
        let _alone = self.dialing.lock().await;
        if let Some(wire) = self.present() {
            return Ok(wire);
        }
        // Bounds are the callers' affair: each has its own.
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        let dialed = self.client.get_multiplexed_async_connection_with_config(&config).await;
        let connection = dialed.map_err(|error| Failure::NotDone(error.to_string()))?;
        let number = self.dialed.fetch_add(1, Ordering::Relaxed);
        let wire = Wire { number, connection };
        *self.lock() = Some(wire.clone());
        Ok(wire)
    }

    fn present(&self) -> Option<Wire> {
        self.lock().clone()
    }

    fn drop_wire(&self, number: u64) {
        let mut current = self.lock();
        if current.as_ref().is_some_and(|wire| wire.number == number) {
            *current = None;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Wire>> {
        // What is behind it is whole after a panic too.
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

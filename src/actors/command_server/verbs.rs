//! What each verb answers.
use super::{ANSWER_WITHIN, Args};
use crate::bus::Responder;
use crate::domain::book::NotConfirmed;
use crate::messages::command_server::Answer;
use crate::messages::deployments::{Deployments, Overview, Question};
use crate::messages::heartbeat::Heartbeat;
use crate::messages::reporter::Reporter;
use crate::supervision::{AskError, Board, RestartError};
use bytes::Bytes;
use fleet_contracts::codec::Encoding;
use fleet_contracts::commands::{
    AcceptedReply, ActorRestartReply, ActorRestartRequest, ActorsReply, CommandError, ConfirmRequest,
    ErrorCode, PingReply, ReconcileRequest, StatusReply, Verb,
};
use fleet_contracts::device::{AgentRole, DeviceInfo};
use fleet_contracts::{DeploymentName, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

mod plan;

pub(super) type Result<T> = std::result::Result<T, CommandError>;

/// Whether a verb changes anything; those that do are logged with who asked.
pub fn acts(verb: Verb) -> bool {
    match verb {
        Verb::ActorRestart | Verb::Reconcile | Verb::Confirm | Verb::LogLevel => true,
        Verb::Ping | Verb::Status | Verb::Actors | Verb::Inventory | Verb::Plan => false,
    }
}

/// The id of a command, if it has one that can be read.
pub fn command_id(encoding: Encoding, payload: &[u8]) -> Option<String> {
    #[derive(Default, Deserialize)]
    struct WithId {
        #[serde(default)]
        command_id: Option<String>,
    }
    encoding.decode::<WithId>(payload).ok()?.command_id
}

pub fn failed(encoding: Encoding, error: &CommandError) -> Answer {
    let body = encoding.encode(error).unwrap_or_default();
    Answer { body: Bytes::from(body), error: Some((error.code.into(), error.message.clone())) }
}

/// Answers one request.
pub struct Desk {
    pub args: Args,
    pub encoding: Encoding,
    pub command_id: Option<String>,
}

impl Desk {
    /// The responder comes back unless it was used already.
    pub async fn answer(
        self,
        verb: Verb,
        payload: &[u8],
        responder: Box<dyn Responder>,
    ) -> (Option<Box<dyn Responder>>, Answer) {
        if verb == Verb::ActorRestart {
            return self.actor_restart(payload, responder).await;
        }
        let answer = tokio::time::timeout(ANSWER_WITHIN, self.body(verb, payload)).await;
        let answer = answer.unwrap_or_else(|_| {
            let text = format!("no answer within {} s", ANSWER_WITHIN.as_secs());
            Err(CommandError::new(ErrorCode::Deadline, text))
        });
        (Some(responder), self.finish(answer))
    }

    pub(super) fn finish(&self, answer: Result<Vec<u8>>) -> Answer {
        match answer {
            Ok(body) => Answer { body: Bytes::from(body), error: None },
            Err(error) => failed(self.encoding, &error),
        }
    }

    async fn body(&self, verb: Verb, payload: &[u8]) -> Result<Vec<u8>> {
        match verb {
            Verb::Ping => self.encode(&self.ping()),
            Verb::Status => self.encode(&self.status().await?),
            Verb::Actors => self.encode(&self.actors()?),
            Verb::Inventory => self.encode(&self.inventory().await?),
            Verb::Reconcile => self.encode(&self.reconcile(self.decode(payload)?).await?),
            Verb::Confirm => self.encode(&self.confirm(self.decode(payload)?).await?),
            Verb::Plan => self.encode(&self.plan(self.decode(payload)?).await?),
            Verb::ActorRestart | Verb::LogLevel => {
                Err(CommandError::new(ErrorCode::BadRequest, "answered elsewhere"))
            }
        }
    }

    pub(super) fn encode<T: Serialize>(&self, reply: &T) -> Result<Vec<u8>> {
        let failed =
            |error| CommandError::new(ErrorCode::NotReady, format!("cannot write the reply: {error}"));
        self.encoding.encode(reply).map_err(failed)
    }

    /// An empty request is one without fields.
    pub(super) fn decode<T: DeserializeOwned>(&self, payload: &[u8]) -> Result<T> {
        let payload = if payload.is_empty() { b"{}" } else { payload };
        self.encoding
            .decode(payload)
            .map_err(|error| CommandError::new(ErrorCode::BadRequest, error.to_string()))
    }

    fn ping(&self) -> PingReply {
        let identity = &self.args.identity;
        PingReply {
            device_id: identity.device.to_string(),
            agent_version: identity.agent_version.clone(),
            instance: identity.instance.clone(),
            role: Some(AgentRole::Active),
            uptime_s: self.args.clock.uptime().as_secs(),
            command_id: self.command_id.clone(),
        }
    }

    async fn overview(&self) -> Result<Overview> {
        let asked =
            self.args.deployments.ask(|reply| Deployments::Ask(Question::Overview(reply)), ANSWER_WITHIN);
        asked.await.map_err(|error| unavailable("deployments", &error))
    }

    async fn status(&self) -> Result<StatusReply> {
        let overview = self.overview().await?;
        let about = overview.clone();
        let asked = self.args.heartbeat.ask(|reply| Heartbeat::Now(about, reply), ANSWER_WITHIN).await;
        let device = asked.map_err(|error| unavailable("heartbeat", &error))?;
        Ok(StatusReply { device, deployments: overview.states })
    }

    fn board(&self) -> Result<&Board> {
        let starting = || CommandError::new(ErrorCode::NotReady, "the tree is still starting");
        self.args.board.get().ok_or_else(starting)
    }

    fn actors(&self) -> Result<ActorsReply> {
        Ok(ActorsReply {
            device_id: self.args.identity.device.clone(),
            instance: self.args.identity.instance.clone(),
            at: Timestamp::now(),
            actors: self.board()?.actors(),
        })
    }

    async fn inventory(&self) -> Result<DeviceInfo> {
        let asked = self.args.reporter.ask(Reporter::Info, ANSWER_WITHIN).await;
        asked.map_err(|error| unavailable("reporter", &error))
    }

    async fn reconcile(&self, request: ReconcileRequest) -> Result<AcceptedReply> {
        let name = request.deployment;
        let question = |reply| Deployments::Ask(Question::Reconcile(name.clone(), reply));
        let asked = self.args.deployments.ask(question, ANSWER_WITHIN).await;
        let accepted = asked.map_err(|error| unavailable("deployments", &error))?;
        let accepted = accepted.ok_or_else(|| no_deployment(name.as_ref()))?;
        Ok(AcceptedReply { accepted })
    }

    async fn confirm(&self, request: ConfirmRequest) -> Result<AcceptedReply> {
        let question = |reply| Deployments::Ask(Question::Confirm(request.removals, reply));
        let asked = self.args.deployments.ask(question, ANSWER_WITHIN).await;
        let confirmed = asked.map_err(|error| unavailable("deployments", &error))?;
        let accepted = confirmed.map_err(|refused| {
            let code = match refused {
                NotConfirmed::Starting => ErrorCode::NotReady,
                NotConfirmed::Unknown(_) => ErrorCode::NotFound,
                NotConfirmed::NotHeld(_) => ErrorCode::WrongState,
            };
            CommandError::new(code, refused.to_string())
        })?;
        Ok(AcceptedReply { accepted })
    }

    /// The actor that answers cannot answer after its own restart: it, and what it hangs from, is
    /// restarted after the answer.
    async fn actor_restart(
        self,
        payload: &[u8],
        responder: Box<dyn Responder>,
    ) -> (Option<Box<dyn Responder>>, Answer) {
        let (board, name) = match self.restartable(payload) {
            Ok(found) => found,
            Err(error) => return (Some(responder), self.finish(Err(error))),
        };
        if holds_this_actor(&board, &name) {
            let restarts = restarts_of(&board, &name) + 1;
            let answer = self.finish(self.encode(&ActorRestartReply { name: name.clone(), restarts }));
            let _ = responder.respond(answer.body.clone(), answer.error.clone()).await;
            // It ends this very task: nothing after it would run.
            let _ = board.restart(&name).await;
            return (None, answer);
        }
        let restarted = tokio::time::timeout(ANSWER_WITHIN, board.restart(&name)).await;
        let reply = match restarted {
            Ok(Ok(done)) => self.encode(&ActorRestartReply { name: done.name, restarts: done.restarts }),
            Ok(Err(error)) => Err(restart_refused(&error)),
            Err(_) => Err(CommandError::new(ErrorCode::Deadline, format!("{name} is not up again yet"))),
        };
        (Some(responder), self.finish(reply))
    }

    fn restartable(&self, payload: &[u8]) -> Result<(Board, String)> {
        let request: ActorRestartRequest = self.decode(payload)?;
        let board = self.board()?.clone();
        let name = board.resolve(&request.name).map_err(|error| restart_refused(&error))?;
        let is_root = board.actors().first().is_some_and(|root| root.name == name);
        if is_root { Err(restart_refused(&RestartError::Root)) } else { Ok((board, name)) }
    }
}

/// Whether a restart of this path ends the actor that answers.
fn holds_this_actor(board: &Board, path: &str) -> bool {
    let mine = board.actors().into_iter().find(|actor| actor.name.ends_with("/command_server"));
    mine.is_some_and(|mine| {
        mine.name.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

fn restarts_of(board: &Board, path: &str) -> u64 {
    board.actors().iter().find(|actor| actor.name == path).map_or(0, |actor| actor.restarts)
}

fn restart_refused(error: &RestartError) -> CommandError {
    let code = match error {
        RestartError::NotFound(_) => ErrorCode::NotFound,
        RestartError::Ambiguous { .. } => ErrorCode::BadRequest,
        RestartError::Root => ErrorCode::WrongState,
        RestartError::Down(_) => ErrorCode::NotReady,
    };
    CommandError::new(code, error.to_string())
}

fn unavailable(actor: &str, error: &AskError) -> CommandError {
    CommandError::new(ErrorCode::NotReady, format!("{actor}: {error}; try again"))
}

fn no_deployment(name: Option<&DeploymentName>) -> CommandError {
    match name {
        Some(name) => {
            CommandError::new(ErrorCode::NotFound, format!("there is no deployment {name} on this device"))
        }
        None => CommandError::new(ErrorCode::NotReady, "the ledger is still being read"),
    }
}

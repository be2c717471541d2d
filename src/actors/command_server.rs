//! Owns: the command verbs on NATS, and the answers that were given lately.
//! Hears: requests, the link's state, its own answers.
//! Tells: each asker one answer; `deployments`, `heartbeat`, `reporter` what they are asked.
//! After a crash: serves again; answers of before are not remembered; what is logged is what was configured.
use super::{Clock, Identity, LinkWatch, retry_delay, waiting_text};
use crate::bus::{Bus, LinkState, Request, Responder, ServiceSpec};
use crate::messages::command_server::{Answer, CommandServer as Message, Requests};
use crate::messages::deployments::Deployments;
use crate::messages::heartbeat::Heartbeat;
use crate::messages::observer::Observer;
use crate::messages::reporter::Reporter;
use crate::supervision::{Address, Context, Fault, Worker};
use crate::telemetry::LogFilter;
use answers::{Answers, Earlier};
use fleet_contracts::codec::Encoding;
use fleet_contracts::commands::{CommandError, ErrorCode, Verb};
use fleet_contracts::names::MAX_DOCUMENT;
use futures_util::StreamExt;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use verbs::Desk;

mod answers;
mod log_level;
mod verbs;

const RETRY_CAP: Duration = Duration::from_secs(30);
/// Longest wait for an answer, in seconds. Clients of NATS wait 5 s by default; a restart of an actor
/// may take a little longer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Requests being answered at once; more wait in the bus's bounded queue.
const AT_ONCE: usize = 32;
/// A request larger than this is refused unread: but for a document, no verb needs a fraction of it.
const MAX_REQUEST: usize = 64 * 1024;

#[derive(Clone)]
pub struct Args {
    pub identity: Identity,
    pub bus: Arc<dyn Bus>,
    pub clock: Clock,
    pub deployments: Address<Deployments>,
    pub heartbeat: Address<Heartbeat>,
    pub reporter: Address<Reporter>,
    pub observer: Address<Observer>,
    /// The live tree; set when the tree is up.
    pub board: Arc<OnceLock<crate::supervision::Board>>,
    /// Only subjects that begin with one of these are answered.
    pub reply_prefixes: Vec<String>,
    pub log: LogFilter,
}

pub struct CommandServer {
    args: Args,
    link: LinkWatch,
    answers: Answers,
    busy: usize,
    /// Held back while too many requests are being answered.
    waiting: Option<Requests>,
    serving: bool,
    failures: u32,
}

impl Worker for CommandServer {
    type Msg = Message;
    type Args = Args;

    fn start(args: Args, ctx: &mut Context<Message>) -> Result<Self, Fault> {
        let link = LinkWatch::new(&*args.bus);
        link.next(None, ctx, Message::Link);
        // A predecessor's timer died with it.
        args.log.restore();
        let answers = Answers::default();
        Ok(Self { args, link, answers, busy: 0, waiting: None, serving: false, failures: 0 })
    }

    fn kind(msg: &Message) -> &'static str {
        msg.into()
    }

    fn handle(&mut self, msg: Message, ctx: &mut Context<Message>) -> Result<(), Fault> {
        match msg {
            Message::Link(state) => self.on_link(&state, ctx),
            Message::Serving(Ok(requests)) => self.on_serving(requests, ctx),
            Message::Serving(Err(error)) => self.on_not_serving(&error.to_string(), ctx),
            Message::Requested(Some((request, requests))) => self.on_requested(request, requests, ctx),
            Message::Requested(None) => self.on_not_serving("the subscription ended", ctx),
            Message::Answered { command_id, answer } => self.on_answered(command_id, answer, ctx),
            Message::RetryDue => self.serve(ctx),
            Message::LogFilterDue => self.on_log_filter_due(),
        }
        Ok(())
    }
}

impl CommandServer {
    fn on_link(&mut self, state: &LinkState, ctx: &mut Context<Message>) {
        self.link.next(Some(state), ctx, Message::Link);
        ctx.waiting_for(waiting_text(state));
        // The client subscribes again by itself; a service that never began is begun now.
        self.serve(ctx);
    }

    fn serve(&mut self, ctx: &mut Context<Message>) {
        if self.serving || !self.link.is_up() {
            return;
        }
        self.serving = true;
        let (bus, spec) = (self.args.bus.clone(), self.spec());
        ctx.background(async move { Message::Serving(bus.serve(&spec).await) });
    }

    fn spec(&self) -> ServiceSpec {
        let Identity { device, agent_version, instance } = self.args.identity.clone();
        let metadata =
            BTreeMap::from([("device_id".to_owned(), device.to_string()), ("instance".to_owned(), instance)]);
        let description = format!("fleet-agent of device {device}");
        ServiceSpec { device, version: agent_version, description, metadata }
    }

    fn on_serving(&mut self, requests: Requests, ctx: &mut Context<Message>) {
        self.failures = 0;
        read(requests, ctx);
    }

    fn on_not_serving(&mut self, error: &str, ctx: &mut Context<Message>) {
        self.serving = false;
        if self.failures == 0 {
            tracing::warn!(error, "commands are not served, retrying");
        }
        ctx.after("retry", retry_delay(self.failures, RETRY_CAP), Message::RetryDue);
        self.failures = self.failures.saturating_add(1);
    }

    fn on_requested(&mut self, request: Request, requests: Requests, ctx: &mut Context<Message>) {
        if self.may_answer(&request) {
            self.take(request, ctx);
        }
        if self.busy < AT_ONCE {
            read(requests, ctx);
        } else {
            self.waiting = Some(requests);
        }
    }

    /// A reply subject is chosen by the asker: one that is no inbox could make the agent write where
    /// the asker may not.
    fn may_answer(&self, request: &Request) -> bool {
        let Some(to) = &request.reply_to else { return true };
        let allowed = self.args.reply_prefixes.iter().any(|prefix| to.starts_with(prefix.as_str()));
        if !allowed {
            tracing::warn!(
                verb = request.verb.as_str(),
                to,
                "command ignored: its reply subject is not under [nats] reply_prefixes"
            );
        }
        allowed
    }

    fn take(&mut self, request: Request, ctx: &mut Context<Message>) {
        self.busy += 1;
        let encoding = Encoding::of(&request.payload);
        let limit = if request.verb == Verb::Plan { MAX_REQUEST + MAX_DOCUMENT } else { MAX_REQUEST };
        if request.payload.len() > limit {
            let text = format!("a request may have {limit} bytes, this one has {}", request.payload.len());
            return refuse(ErrorCode::BadRequest, &text, encoding, request, ctx);
        }
        let command_id = verbs::command_id(encoding, &request.payload);
        let now = self.args.clock.now();
        match self.answers.earlier(command_id.as_deref(), request.verb, &request.payload, now) {
            Earlier::None => self.work(encoding, command_id, request, ctx),
            Earlier::Answered(answer) => respond(answer, None, request.responder, ctx),
            Earlier::Working => {
                refuse(ErrorCode::NotReady, "this command is being carried out", encoding, request, ctx)
            }
            Earlier::Other => {
                let text = "this command_id was used with another verb or body";
                refuse(ErrorCode::WrongState, text, encoding, request, ctx);
            }
        }
    }

    fn work(
        &mut self,
        encoding: Encoding,
        command_id: Option<String>,
        request: Request,
        ctx: &mut Context<Message>,
    ) {
        let Request { verb, payload, reply_to, responder } = request;
        if verbs::acts(verb) {
            tracing::info!(verb = verb.as_str(), command_id, reply_to, "command");
        }
        let desk = Desk { args: self.args.clone(), encoding, command_id: command_id.clone() };
        if verb == Verb::LogLevel {
            let answer = self.change_log(&desk, &payload, ctx);
            return respond(answer, command_id, responder, ctx);
        }
        ctx.spawn(format!("answering {}", verb.as_str()), async move {
            let (responder, answer) = desk.answer(verb, &payload, responder).await;
            if let Some(responder) = responder {
                // An asker that went away is no concern of ours.
                let _ = responder.respond(answer.body.clone(), answer.error.clone()).await;
            }
            Message::Answered { command_id, answer }
        });
    }

    fn on_answered(&mut self, command_id: Option<String>, answer: Answer, ctx: &mut Context<Message>) {
        self.busy = self.busy.saturating_sub(1);
        if let Some(command_id) = command_id {
            self.answers.answered(&command_id, answer);
        }
        if let Some(requests) = self.waiting.take() {
            read(requests, ctx);
        }
    }
}

fn read(mut requests: Requests, ctx: &mut Context<Message>) {
    ctx.background(async move {
        match requests.next().await {
            Some(request) => Message::Requested(Some((request, requests))),
            None => Message::Requested(None),
        }
    });
}

fn refuse(code: ErrorCode, text: &str, encoding: Encoding, request: Request, ctx: &mut Context<Message>) {
    let answer = verbs::failed(encoding, &CommandError::new(code, text));
    respond(answer, None, request.responder, ctx);
}

fn respond(
    answer: Answer,
    command_id: Option<String>,
    responder: Box<dyn Responder>,
    ctx: &mut Context<Message>,
) {
    ctx.background(async move {
        let _ = responder.respond(answer.body.clone(), answer.error.clone()).await;
        Message::Answered { command_id, answer }
    });
}

#[cfg(test)]
mod tests;

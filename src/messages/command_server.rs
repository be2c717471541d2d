//! To `command_server`.
use crate::bus::{BusError, LinkState, Request};
use bytes::Bytes;
use futures_util::stream::BoxStream;

pub type Requests = BoxStream<'static, Request>;

#[derive(strum::IntoStaticStr)]
pub enum CommandServer {
    Link(LinkState),
    Serving(Result<Requests, BusError>),
    /// The stream comes along, to be read on; None when it ended.
    Requested(Option<(Request, Requests)>),
    /// What was answered, to be given again to the same `command_id`.
    Answered {
        command_id: Option<String>,
        answer: Answer,
    },
    RetryDue,
    /// The time of a changed log filter is over.
    LogFilterDue,
}

/// A reply's body, and the error that its headers tell of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub body: Bytes,
    pub error: Option<(u16, String)>,
}

//! What actors say to each other: one file per actor, under the actor's name. Past tense for facts,
//! imperative for requests. Every message may be lost with the actor that had it in its mailbox:
//! each carries whole state or can be asked for again.
pub mod command_server;
pub mod deployments;
pub mod effects;
pub mod heartbeat;
pub mod kv_watcher;
pub mod observer;
pub mod ownership;
pub mod reconcilers;
pub mod reporter;

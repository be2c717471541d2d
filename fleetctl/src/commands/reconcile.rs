use crate::cli::{Format, Reconcile};
use crate::connect::{Reply, Session};
use crate::output;
use anyhow::Result;
use fleet_contracts::DeviceId;
use fleet_contracts::commands::{AcceptedReply, ReconcileRequest, Verb};

pub async fn run(session: &Session, reconcile: &Reconcile) -> Result<()> {
    let device = reconcile.device.id();
    let request = ReconcileRequest { deployment: reconcile.name.clone() };
    let reply = session.ask::<AcceptedReply>(device, Verb::Reconcile, Some(&request)).await?;
    show_accepted(session, device, "reconciles", &reply)
}

pub fn show_accepted(
    session: &Session,
    device: &DeviceId,
    verb: &str,
    reply: &Reply<AcceptedReply>,
) -> Result<()> {
    match session.format {
        Format::Json => output::json(&reply.raw),
        Format::Table => {
            let names: Vec<String> = reply.value.accepted.iter().map(ToString::to_string).collect();
            let names = if names.is_empty() { "nothing".into() } else { names.join(", ") };
            output::out(&format!("{device} {verb} {names}\n"))
        }
    }
}

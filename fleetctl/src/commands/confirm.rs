use super::reconcile::show_accepted;
use crate::cli::Confirm;
use crate::connect::Session;
use anyhow::Result;
use fleet_contracts::commands::{AcceptedReply, ConfirmRequest, Verb};

pub async fn run(session: &Session, confirm: Confirm) -> Result<()> {
    let request = ConfirmRequest { removals: confirm.names };
    let reply = session.ask::<AcceptedReply>(&confirm.device, Verb::Confirm, Some(&request)).await?;
    show_accepted(session, &confirm.device, "removes", &reply)
}

use super::apply::{self, Document};
use crate::cli::{Format, Plan};
use crate::connect::Session;
use crate::output;
use anyhow::Result;
use fleet_contracts::commands::{PlanReply, PlanRequest, Verb};
use fleet_contracts::{DeploymentName, DeviceId};

/// What the device would do; None: nothing to check without a server.
pub fn read(plan: &Plan) -> Result<Option<Document>> {
    plan.file.as_deref().map(apply::read).transpose()
}

pub async fn run(session: &Session, plan: &Plan, document: Option<Document>) -> Result<()> {
    show(session, &plan.device, &plan.name, document.as_ref()).await
}

/// None: the deployment is removed.
pub async fn show(
    session: &Session,
    device: &DeviceId,
    name: &DeploymentName,
    document: Option<&Document>,
) -> Result<()> {
    let desired = document.map(Document::json).transpose()?.unwrap_or_default();
    let request = PlanRequest { deployment: name.clone(), desired };
    let reply = session.ask::<PlanReply>(device, Verb::Plan, Some(&request)).await?;
    match session.format {
        Format::Json => output::json(&reply.raw),
        Format::Table => output::out(&text(name, device, &reply.value)),
    }
}

fn text(name: &DeploymentName, device: &DeviceId, plan: &PlanReply) -> String {
    let replaced = |name: &&String| plan.start.contains(name) && plan.stop.contains(name);
    let only = |names: &[String], other: &[String]| -> Vec<String> {
        names.iter().filter(|name| !other.contains(name)).cloned().collect()
    };
    let lines = [
        ("pull", plan.pull.clone()),
        ("replace", plan.stop.iter().filter(replaced).cloned().collect()),
        ("start", only(&plan.start, &plan.stop)),
        ("stop", only(&plan.stop, &plan.start)),
        ("keep", plan.keep.clone()),
    ];
    let lines = lines.into_iter().flat_map(|(verb, names)| {
        names.into_iter().map(move |name| format!("{verb:<8} {}\n", crate::render::clean(&name)))
    });
    let text: String = lines.collect();
    match text.is_empty() {
        true => format!("{name} on {device}: nothing to do\n"),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stopped_and_started_is_replaced() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let plan = PlanReply {
            stop: names(&["fleet-web.a", "fleet-web.gone"]),
            start: names(&["fleet-web.a", "fleet-web.new"]),
            keep: names(&["fleet-web.same"]),
            pull: names(&["web:2"]),
        };
        let text = text(&"web".parse().unwrap(), &"d1".parse().unwrap(), &plan);
        let wanted = "pull     web:2\nreplace  fleet-web.a\nstart    fleet-web.new\nstop     fleet-web.gone\n\
                      keep     fleet-web.same\n";
        assert_eq!(text, wanted);
    }

    #[test]
    fn an_empty_plan_says_so() {
        let text = text(&"web".parse().unwrap(), &"d1".parse().unwrap(), &PlanReply::default());
        assert_eq!(text, "web on d1: nothing to do\n");
    }
}

//! The drawing of `fleetctl actors`.
use super::age::{age, age_ms};
use super::clean;
use crate::output::{Style, Tone};
use fleet_contracts::Timestamp;
use fleet_contracts::commands::{Actor, ActorState, ActorsReply};
use fleet_contracts::tree_text::{Line, draw};

pub fn render(reply: &ActorsReply, style: Style) -> String {
    let heading = format!("{:<13} {:>5} {:>8}  {}", "STATE", "FOR", "RESTARTS", "");
    let heading = Line::new(0, "ACTOR", style.paint(Tone::Heading, heading.trim_end()));
    let lines = reply.in_tree().into_iter().map(|node| {
        let text = style.paint(tone(node.actor), &text(node.actor, reply.at));
        Line::new(node.depth, clean(node.actor.short_name()), text)
    });
    let lines: Vec<Line> = [heading].into_iter().chain(lines).collect();
    draw(&lines)
}

fn tone(actor: &Actor) -> Tone {
    match actor.state {
        ActorState::Parked | ActorState::Stuck => Tone::Bad,
        ActorState::BackingOff | ActorState::Unknown => Tone::Warning,
        ActorState::Starting | ActorState::Stopping | ActorState::Waiting => Tone::Quiet,
        ActorState::Running => Tone::Plain,
    }
}

fn text(actor: &Actor, now: Timestamp) -> String {
    // Marked in the text too, for logs and for eyes that do not see red.
    let mark = if tone(actor) >= Tone::Warning { "!" } else { "" };
    let state = format!("{mark}{}", actor.state);
    let since = age(now.unix_seconds() - actor.since.unix_seconds());
    let columns = format!("{state:<13} {since:>5} {:>8}", actor.restarts);
    [columns].into_iter().chain(notes(actor, now)).collect::<Vec<_>>().join("  ")
}

fn notes(actor: &Actor, now: Timestamp) -> Vec<String> {
    let budget =
        actor.budget.map(|b| format!(" {}/{} in {} s", b.used, b.max, b.within_s)).unwrap_or_default();
    let error = actor.last_error.as_ref().map(|error| {
        let ago = age(now.unix_seconds() - error.at.unix_seconds());
        format!("last error {ago} ago: {}: {}", error.cause, clean(&error.message))
    });
    let notes = [
        actor.strategy.as_deref().map(|strategy| format!("{}{budget}", clean(strategy))),
        actor.retry_in_ms.map(|ms| format!("retry in {}", age_ms(ms))),
        actor.waiting_for.as_deref().map(|what| format!("waiting for {}", clean(what))),
        actor.doing.as_ref().map(|doing| format!("{} for {}", clean(&doing.what), age_ms(doing.for_ms))),
        (actor.mailbox > 0).then(|| format!("{} messages waiting", actor.mailbox)),
        error,
    ];
    notes.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests;

//! Pulling images, with the sum of all layers as progress.
use super::errors::Failure;
use super::synced::{Landing, Syncing, Syncs};
use super::{LONG, connect};
use crate::domain::hidden::{Hidden, RegistryCredential};
use crate::runtime::{Operation, PullProgress, Result};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use bollard::Docker;
use bollard::models::CreateImageInfo;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::stream::{self, BoxStream, StreamExt};
use hyper::header::HeaderValue;
use std::collections::BTreeMap;
use std::future::ready;
use std::path::Path;
use std::time::Duration;

/// How often it is said that a sync still runs.
const SYNC_BEAT: Duration = Duration::from_secs(10);

pub(super) async fn pull(
    socket: &Path,
    syncs: &Syncs,
    reference: &str,
    credential: Option<&RegistryCredential>,
) -> std::result::Result<BoxStream<'static, Result<PullProgress>>, Failure> {
    // The whole reference in one parameter: a digest's `@` and a registry's port make a split a guess.
    let options = CreateImageOptionsBuilder::new().from_image(reference).build();
    let name = reference.to_owned();
    // Headers come with the registry's first answer.
    let docker = connect(socket, LONG)?;
    let docker = match credential {
        Some(credential) => shown(docker, credential)?,
        None => docker,
    };
    let landing = syncs.landing(reference).await;
    let lines = docker.create_image(Some(options), None, None);
    let progress = lines.scan(Layers::default(), move |layers, line| {
        ready(Some(match line {
            Ok(line) => layers.take(line).map(Ok),
            Err(error) => Some(Err(Failure::from(error).during(Operation::Pull, &name))),
        }))
    });
    Ok(then_sync(progress.filter_map(ready).boxed(), landing))
}

/// The client with the credential in its requests. bollard would send it in base64's other alphabet, which
/// podman 4.3.1 reads only as long as the two agree.
fn shown(docker: Docker, credential: &RegistryCredential) -> std::result::Result<Docker, Failure> {
    let text = |hidden: &Hidden| String::from_utf8_lossy(hidden.reveal()).into_owned();
    let config = serde_json::json!({
        "username": credential.user,
        "password": text(&credential.password),
        "identitytoken": credential.identity_token.as_ref().map(text).unwrap_or_default(),
    });
    let mut value = HeaderValue::from_str(&URL_SAFE.encode(config.to_string()))
        .map_err(|_| Failure::Refused("the credential fits into no header"))?;
    value.set_sensitive(true);
    Ok(docker.with_request_modifier(move |mut request| {
        request.headers_mut().insert("x-registry-auth", value.clone());
        request
    }))
}

/// What is known of each layer.
#[derive(Default)]
struct Layers {
    /// Layer id → bytes received and expected.
    layers: BTreeMap<String, (u64, u64)>,
    last_line: Option<CreateImageInfo>,
}

impl Layers {
    /// None for a line that says nothing new: a repetition is no progress.
    fn take(&mut self, line: CreateImageInfo) -> Option<PullProgress> {
        if self.last_line.as_ref() == Some(&line) {
            return None;
        }
        if let (Some(id), Some(detail)) = (&line.id, &line.progress_detail) {
            let layer = self.layers.entry(id.clone()).or_default();
            let bytes = |n: Option<i64>| n.and_then(|n| u64::try_from(n).ok());
            layer.0 = bytes(detail.current).unwrap_or(layer.0);
            layer.1 = bytes(detail.total).unwrap_or(layer.1);
        }
        self.last_line = Some(line);
        Some(self.sum())
    }

    fn sum(&self) -> PullProgress {
        let current = self.layers.values().map(|layer| layer.0).sum();
        let total = self.layers.values().map(|layer| layer.1).sum();
        PullProgress { current, total, is_syncing: false }
    }
}

/// The stream, and after its good end a sync of podman's storage.
pub(super) fn then_sync(
    progress: BoxStream<'static, Result<PullProgress>>,
    landing: Landing,
) -> BoxStream<'static, Result<PullProgress>> {
    enum At {
        Pulling(BoxStream<'static, Result<PullProgress>>, PullProgress, Landing),
        Syncing(Syncing, PullProgress),
        End,
    }
    stream::unfold(At::Pulling(progress, PullProgress::default(), landing), |at| async move {
        match at {
            At::Pulling(mut progress, last, landing) => match progress.next().await {
                Some(Ok(now)) => Some((Ok(now.clone()), At::Pulling(progress, now, landing))),
                Some(Err(error)) => {
                    landing.failed(&error).await;
                    Some((Err(error), At::End))
                }
                None => {
                    let syncing = PullProgress { is_syncing: true, ..last };
                    Some((Ok(syncing.clone()), At::Syncing(landing.sync(), syncing)))
                }
            },
            At::Syncing(mut sync, last) => match tokio::time::timeout(SYNC_BEAT, &mut sync).await {
                Ok(_) => None,
                Err(_) => Some((Ok(last.clone()), At::Syncing(sync, last))),
            },
            At::End => None,
        }
    })
    .boxed()
}

#[cfg(test)]
mod tests;

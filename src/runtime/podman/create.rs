//! A `CreateSpec` in podman's words.
use super::images;
use crate::domain::spec::{CreateSpec, Mount};
use bollard::models::{
    ContainerCreateBody, DeviceMapping, EndpointSettings, HostConfig, HostConfigLogConfig, NetworkingConfig,
    PortBinding, PortMap, RestartPolicy, RestartPolicyNameEnum,
};
use fleet_contracts::desired::{Device, Port, Protocol};
use std::collections::HashMap;

pub(super) fn body(spec: &CreateSpec) -> ContainerCreateBody {
    ContainerCreateBody {
        image: Some(images::local(&spec.image).into_owned()),
        cmd: spec.command.clone(),
        entrypoint: spec.entrypoint.clone(),
        working_dir: spec.working_dir.clone(),
        user: spec.user.clone(),
        env: Some(environment(spec)),
        labels: Some(spec.labels.clone().into_iter().collect()),
        exposed_ports: Some(spec.ports.iter().map(container_port).collect()),
        stop_signal: Some(spec.stop_signal.clone()),
        stop_timeout: Some(spec.stop_timeout_s.into()),
        host_config: Some(host_config(spec)),
        networking_config: networking(spec),
        ..ContainerCreateBody::default()
    }
}

fn host_config(spec: &CreateSpec) -> HostConfig {
    HostConfig {
        network_mode: Some(spec.network.clone()),
        binds: Some(spec.mounts.iter().map(bind).collect()),
        port_bindings: Some(port_bindings(&spec.ports)),
        devices: Some(spec.devices.iter().map(device).collect()),
        memory: spec.resources.memory_mb.and_then(bytes),
        nano_cpus: spec.resources.cpus.and_then(|cpus| cpus.nanos().try_into().ok()),
        pids_limit: spec.resources.pids.and_then(|pids| pids.try_into().ok()),
        log_config: spec.log_max_size_mb.map(log_config),
        // Podman restarts without backoff and hides exits: restarting is the agent's.
        restart_policy: Some(RestartPolicy {
            name: Some(RestartPolicyNameEnum::NO),
            maximum_retry_count: None,
        }),
        ..HostConfig::default()
    }
}

fn environment(spec: &CreateSpec) -> Vec<String> {
    let open = spec.env.iter().map(|(name, value)| format!("{name}={value}"));
    // It is text: what is not was refused before.
    let hidden = (spec.hidden_env.iter())
        .map(|(name, value)| format!("{name}={}", String::from_utf8_lossy(value.reveal())));
    open.chain(hidden).collect()
}

/// Parsed ranges keep it far below the limit.
fn bytes(megabytes: u64) -> Option<i64> {
    i64::try_from(megabytes).ok()?.checked_mul(1024 * 1024)
}

fn device(device: &Device) -> DeviceMapping {
    DeviceMapping {
        path_on_host: Some(device.host.clone()),
        path_in_container: Some(device.target.clone()),
        cgroup_permissions: Some(device.permissions.clone()),
    }
}

/// A file that conmon cuts at its size; the driver of the device would have no such limit (journald).
fn log_config(max_size_mb: u64) -> HostConfigLogConfig {
    HostConfigLogConfig {
        typ: Some("k8s-file".into()),
        config: Some(HashMap::from([("max-size".into(), format!("{max_size_mb}mb"))])),
    }
}

fn networking(spec: &CreateSpec) -> Option<NetworkingConfig> {
    // Neither has endpoints; podman refuses a request that gives one.
    if matches!(spec.network.as_str(), "host" | "none") {
        return None;
    }
    let endpoint = EndpointSettings { aliases: Some(spec.aliases.clone()), ..EndpointSettings::default() };
    Some(NetworkingConfig { endpoints_config: Some(HashMap::from([(spec.network.clone(), endpoint)])) })
}

fn bind(mount: &Mount) -> String {
    format!("{}:{}{}", mount.source, mount.target, if mount.read_only { ":ro" } else { "" })
}

fn port_bindings(ports: &[Port]) -> PortMap {
    let mut map = PortMap::new();
    for port in ports {
        let binding = PortBinding {
            host_ip: Some(port.ip.map_or_else(String::new, |ip| ip.to_string())),
            host_port: Some(port.host.to_string()),
        };
        map.entry(container_port(port)).or_default().get_or_insert_default().push(binding);
    }
    map
}

fn container_port(port: &Port) -> String {
    let protocol = match port.protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
    };
    format!("{}/{protocol}", port.container)
}

#[cfg(test)]
mod tests;

use super::*;
use std::collections::BTreeMap;

fn spec(network: &str, ports: Vec<Port>) -> CreateSpec {
    CreateSpec {
        image: "localhost/demo:1".into(),
        command: None,
        entrypoint: None,
        working_dir: None,
        user: None,
        env: BTreeMap::from([("MODE".into(), "a=b".into())]),
        hidden_env: BTreeMap::new(),
        ports,
        mounts: vec![Mount { source: "fleet-web.data".into(), target: "/data".into(), read_only: true }],
        devices: vec![],
        resources: Default::default(),
        log_max_size_mb: None,
        labels: BTreeMap::new(),
        network: network.into(),
        aliases: vec!["a".into()],
        stop_signal: "SIGUSR1".into(),
        stop_timeout_s: 7,
    }
}

fn port(ip: Option<&str>, host: u16, protocol: Protocol) -> Port {
    Port { ip: ip.map(|ip| ip.parse().expect("valid")), host, container: 80, protocol }
}

#[test]
fn one_container_port_can_be_reached_on_several_host_ports() {
    let ports = vec![
        port(None, 8080, Protocol::Tcp),
        port(Some("127.0.0.1"), 8081, Protocol::Tcp),
        port(Some("::1"), 53, Protocol::Udp),
    ];
    let json = serde_json::to_value(body(&spec("fleet-web", ports))).expect("serializes");
    assert_eq!(
        json["HostConfig"]["PortBindings"],
        serde_json::json!({
            "80/tcp": [{"HostIp": "", "HostPort": "8080"}, {"HostIp": "127.0.0.1", "HostPort": "8081"}],
            "80/udp": [{"HostIp": "::1", "HostPort": "53"}]
        })
    );
}

#[test]
fn the_stop_signal_the_grace_and_no_restart_policy_are_baked_in() {
    let json = serde_json::to_value(body(&spec("fleet-web", vec![]))).expect("serializes");
    assert_eq!(json["StopSignal"], "SIGUSR1");
    assert_eq!(json["StopTimeout"], 7);
    assert_eq!(json["HostConfig"]["RestartPolicy"]["Name"], "no");
    assert_eq!(json["HostConfig"]["Binds"][0], "fleet-web.data:/data:ro");
    assert_eq!(json["Env"][0], "MODE=a=b");
}

#[test]
fn aliases_are_given_on_a_bridge_and_not_on_the_hosts_network() {
    let on = |network| serde_json::to_value(body(&spec(network, vec![]))).expect("serializes");
    assert_eq!(on("fleet-web")["NetworkingConfig"]["EndpointsConfig"]["fleet-web"]["Aliases"][0], "a");
    assert!(on("host").get("NetworkingConfig").is_none());
    assert_eq!(on("host")["HostConfig"]["NetworkMode"], "host");
}

//! A device full of deployments, some of which are broken.

mod long {
    use crate::device::Device;
    use crate::documents::{deployment, script, steady, with};
    use crate::podman_world::DEMO_IMAGE;
    use crate::registry::{CLOSED, Registry, STALLING, UNKNOWN};
    use serde_json::{Value, json};
    use std::collections::{BTreeMap, BTreeSet};
    use std::process::{Child, Stdio};
    use std::time::Duration;
    use tokio::time::Instant;

    const ALL: usize = 50;
    /// The image of what is sound: it shares no layer with what the registry has.
    const FLAT: &str = "localhost/flat:1";

    fn on(service: &str, condition: &str) -> Value {
        json!([{"service": service, "condition": condition}])
    }

    fn check(line: &str) -> Value {
        json!({"test": ["CMD-SHELL", line], "interval_s": 1, "retries": 2})
    }

    fn flat(service: Value, fields: Value) -> Value {
        with(with(service, json!({"image": FLAT})), fields)
    }

    /// What is wrong with each: a document, and the code that is told in the end.
    fn broken() -> Vec<(&'static str, Vec<u8>, &'static str)> {
        let one = |fields: Value| deployment(&[flat(steady("a"), fields)]);
        let job = || flat(script("job", "sleep 1; exit 3"), json!({"restart": "never"}));
        vec![
            ("no-document", b"{".to_vec(), "invalid-spec"),
            ("unknown-type", br#"{"type": "PodmanV9", "data": {}}"#.to_vec(), "unsupported-type"),
            ("no-image", one(json!({"image": "localhost/absent:1", "pull": "never"})), "image-missing"),
            ("unknown-image", one(json!({"image": UNKNOWN})), "image-pull"),
            ("stalls", one(json!({"image": STALLING})), "image-pull"),
            ("closed", one(json!({"image": CLOSED})), "registry-auth"),
            ("no-secret", one(json!({"secrets": [{"name": "absent", "env": "KEY"}]})), "start"),
            ("no-volume", one(json!({"volumes": ["/absent-here:/data"]})), "start"),
            ("port", one(json!({"ports": ["127.0.0.1:18099:80"]})), "port-in-use"),
            ("loops", deployment(&[flat(script("a", "exit 1"), json!({}))]), "crash-loop"),
            ("unhealthy", one(json!({"healthcheck": check("false")})), "unhealthy"),
            (
                "waits",
                deployment(&[flat(steady("a"), json!({"depends_on": on("job", "completed")})), job()]),
                "exited",
            ),
            ("fails", deployment(&[job()]), "exited"),
            ("no-user", one(json!({"user": "nobody-here"})), "start"),
            ("no-program", one(json!({"entrypoint": ["/absent"]})), "start"),
            ("no-device", one(json!({"devices": ["/dev/absent"]})), "start"),
            ("taken", one(json!({})), "name-conflict"),
        ]
    }

    /// One of each kind in turn; the names of its containers that are to run.
    fn sound(n: usize) -> (String, Vec<u8>, Vec<String>) {
        let job = || flat(script("job", "exit 0"), json!({"restart": "never"}));
        let (services, run): (Vec<Value>, &[&str]) = match n % 5 {
            0 => (vec![flat(steady("a"), json!({}))], &["a"]),
            1 => (vec![flat(steady("a"), json!({"depends_on": on("job", "completed")})), job()], &["a"]),
            2 => (
                vec![
                    flat(steady("a"), json!({"depends_on": on("b", "healthy")})),
                    flat(steady("b"), json!({"healthcheck": check("true")})),
                ],
                &["a", "b"],
            ),
            3 => (
                vec![flat(
                    steady("a"),
                    json!({"network": "host", "files": [{"path": "/x", "content": "x"}]}),
                )],
                &["a"],
            ),
            _ => (vec![flat(steady("a"), json!({"ports": [format!("127.0.0.1:{}:80", 19000 + n)]}))], &["a"]),
        };
        let name = format!("sound-{n}");
        let run = run.iter().map(|service| format!("fleet-{name}.{service}")).collect();
        (name, deployment(&services), run)
    }

    struct Crowd {
        device: Device,
        _registry: Registry,
        port: Child,
    }

    impl Drop for Crowd {
        fn drop(&mut self) {
            let _ = self.port.kill();
            let _ = self.port.wait();
        }
    }

    impl Crowd {
        async fn new() -> Self {
            let device = Device::new().await;
            let tar = device.world.path("flat.tar").display().to_string();
            device.world.podman(&["create", "--name", "flat", DEMO_IMAGE, "true"]);
            device.world.podman(&["export", "--output", &tar, "flat"]);
            device.world.podman(&["rm", "flat"]);
            device.world.podman(&["import", &tar, FLAT]);
            device.world.podman(&["create", "--name", "fleet-taken.a", FLAT, "true"]);
            let registry = Registry::serve(&device.world);
            let mut listens = device.world.inside(crate::podman_world::static_busybox());
            listens.args(["httpd", "-f", "-p", "127.0.0.1:18099"]).stdin(Stdio::null());
            let port = listens.spawn().expect("busybox exists");
            Self { device, _registry: registry, port }
        }

        /// How long it took until podman says of all of these that they run.
        async fn run(&self, names: &BTreeSet<String>) -> Duration {
            let began = Instant::now();
            let look = async || {
                let missing: Vec<_> = names.difference(&self.live()).cloned().collect();
                if missing.is_empty() { Ok(()) } else { Err(format!("missing: {missing:?}")) }
            };
            self.device.within(Duration::from_secs(300), "all that is sound runs", look).await;
            began.elapsed()
        }

        fn live(&self) -> BTreeSet<String> {
            let listed = self.device.world.podman(&["ps", "--format", "{{.Names}}"]);
            listed.lines().map(str::to_owned).collect()
        }

        /// By podman's own count.
        fn starts_of_the_sound(&self) -> BTreeMap<String, String> {
            let format = "{{.Name}} {{.State.Pid}} {{.State.StartedAt}}";
            let names: Vec<String> =
                self.live().into_iter().filter(|n| n.starts_with("fleet-sound-")).collect();
            let mut args = vec!["container", "inspect", "--format", format];
            args.extend(names.iter().map(String::as_str));
            let listed = self.device.world.podman(&args);
            listed
                .lines()
                .filter_map(|line| line.split_once(' '))
                .map(|(n, rest)| (n.into(), rest.into()))
                .collect()
        }
    }

    #[tokio::test]
    async fn none_of_fifty_deployments_is_delayed_by_those_that_are_broken_in_every_way() {
        let broken = broken();
        let sound: Vec<_> = (0..ALL - broken.len()).map(sound).collect();
        let names: BTreeSet<String> = sound.iter().flat_map(|(_, _, run)| run.clone()).collect();
        let alone = {
            let crowd = Crowd::new().await;
            for (name, document, _) in &sound {
                crowd.device.put(name, document.clone()).await;
            }
            crowd.run(&names).await
        };
        let crowd = Crowd::new().await;
        for (name, document, _) in &broken {
            crowd.device.put(name, document.clone()).await;
        }
        for (name, document, _) in &sound {
            crowd.device.put(name, document.clone()).await;
        }
        let beside = crowd.run(&names).await;
        // Told, not judged: the broken ones cost the machine something too. That nobody waits for them is shown in
        // virtual time (tests/stories/many.rs).
        println!("alone {alone:?}, beside the broken ones {beside:?}");

        let before = crowd.starts_of_the_sound();
        assert_eq!(before.len(), names.len());
        for (name, _, code) in &broken {
            let look = async || {
                let key = format!("state.{}.{name}", crate::device::ID);
                match crowd.device.operator.get("device-state", &key).await? {
                    Some(state) if state["last_error"]["code"] == *code => Ok(()),
                    other => Err(format!("{other:?}")),
                }
            };
            crowd.device.within(Duration::from_secs(180), &format!("{name} says {code}"), look).await;
        }
        assert_eq!(crowd.starts_of_the_sound(), before, "what is sound runs on");
        crowd.device.apply("late", deployment(&[flat(steady("a"), json!({}))])).await;
    }
}

//! The real agent on a real podman and a real nats-server: what an operator and an onlooker see.
//! Documents are read and written as plain JSON and containers are looked at with podman's own
//! command and /proc, so that nothing here believes what the agent says of itself.
#![allow(clippy::unwrap_used, clippy::panic)]

mod agent;
mod device;
mod disk;
mod documents;
mod observe;
mod operator;
mod patience;
mod service;
mod tree;
mod witness;

mod stories_of_agents;
mod stories_of_clocks;
mod stories_of_commands;
mod stories_of_configuration;
mod stories_of_containers;
mod stories_of_crashes;
mod stories_of_disks;
mod stories_of_documents;
mod stories_of_hands;
mod stories_of_hangs;
mod stories_of_heartbeats;
mod stories_of_identities;
mod stories_of_images;
mod stories_of_jobs;
mod stories_of_links;
mod stories_of_many;
mod stories_of_memory;
mod stories_of_order;
mod stories_of_panics;
mod stories_of_podman;
mod stories_of_podman_kills;
mod stories_of_poison;
mod stories_of_random_crashes;
mod stories_of_reboots;
mod stories_of_running;
mod stories_of_servers;
mod stories_of_services;
mod stories_of_signals;
mod stories_of_sources;
mod stories_of_sources_made_anew;
mod stories_of_updates;
mod stories_of_values;

#[path = "../support/nats_link.rs"]
mod nats_link;
#[path = "../support/nats_world.rs"]
mod nats_world;
#[path = "../support/podman_proxy.rs"]
mod podman_proxy;
#[path = "../support/podman_world.rs"]
mod podman_world;
#[path = "../support/private_registry.rs"]
mod private_registry;
#[path = "../support/registry.rs"]
mod registry;

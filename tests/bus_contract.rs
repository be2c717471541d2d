//! The same promises of the bus in memory and of the real one, on each supported nats-server.
#![allow(clippy::unwrap_used, clippy::panic)] // A failed assumption ends the test.
#[path = "support/bus_promises.rs"]
mod bus_promises;
#[path = "support/bus_real.rs"]
mod bus_real;
#[path = "support/bus_worlds.rs"]
mod bus_worlds;
#[path = "support/nats_world.rs"]
mod nats_world;

use nats_world::eventually;

macro_rules! promises {
    ($test:meta, $source:ident, $world:ty: $($name:ident)*) => {
        $(
            #[$test]
            async fn $name() {
                crate::$source::$name::<$world>().await;
            }
        )*
    };
}

macro_rules! of_every_bus {
    ($test:meta, $world:ty) => {
        promises! { $test, bus_promises, $world:
            a_put_is_in_the_next_snapshot
            revisions_grow_with_every_write
            a_known_revision_comes_without_its_value
            a_key_that_was_known_and_is_gone_is_not_in_the_snapshot
            an_empty_snapshot_ends
            a_put_over_a_revision_is_refused_when_the_key_was_written_since
            delete_markers_are_seen
            deleting_a_missing_key_succeeds
            keys_of_two_devices_do_not_mix
            following_hands_over_without_a_gap
            changes_and_markers_follow_the_snapshot
            a_recreated_bucket_is_another_incarnation
            a_missing_bucket_is_told_as_such
            a_missing_bucket_is_told_to_a_writer_beside_somebody_who_hears_everything
            a_bucket_deleted_under_the_agent_is_missing
            creating_a_bucket_again_changes_nothing
            a_deleted_bucket_ends_its_watches
            a_recreated_bucket_ends_its_watches
            a_lost_connection_ends_watches_at_once
            a_publish_reaches_a_subscriber
            a_command_is_answered_with_body_and_error
            a_service_that_is_dropped_answers_no_more
            a_request_that_is_dropped_disturbs_nobody
            every_connection_is_a_new_epoch
            the_bus_starts_before_the_server
            calls_without_a_connection_fail_at_once
            what_failed_without_a_connection_is_not_sent_later
            a_service_goes_on_after_a_reconnect
            a_closed_bus_refuses_at_once
            what_was_sent_before_closing_arrives
        }
    };
}

macro_rules! of_the_real_bus {
    ($test:meta, $world:ty) => {
        of_every_bus! { $test, $world }
        promises! { $test, bus_real, $world:
            a_bucket_of_devices_refuses_rollup_and_purge
            a_bucket_of_operators_takes_a_purge
            an_existing_bucket_keeps_its_settings
            snapshots_and_dropped_watches_leave_no_consumer
            a_value_whose_key_was_purged_is_a_marker
            many_and_large_values_arrive_whole
            the_service_is_found_by_its_name
            a_service_whose_reader_is_replaced_after_every_request_answers_each
            a_request_that_wants_no_answer_has_no_reply_subject
            a_rotated_token_is_picked_up
            a_missing_token_file_is_told
            a_wiped_server_is_another_incarnation
            a_server_that_stops_answering_is_a_timeout
        }
    };
}

mod fake {
    of_every_bus! { tokio::test(start_paused = true), crate::bus_worlds::Fake }
}

mod nats {
    of_the_real_bus! { tokio::test(flavor = "multi_thread", worker_threads = 2), crate::bus_worlds::Installed }
}

mod long {
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn two_hundred_agents_come_back_spread_over_twenty_seconds_and_leave_nothing_behind() {
        crate::bus_real::two_hundred_agents_come_back_spread_over_twenty_seconds().await;
    }
}

/// Fails without `FLEET_TEST_NATS_CURRENT`: a version that is supported is tested.
mod nats_current {
    of_the_real_bus! { tokio::test(flavor = "multi_thread", worker_threads = 2), crate::bus_worlds::Current }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_value_whose_time_ran_out_is_a_marker() {
        crate::bus_real::a_value_whose_time_ran_out_is_a_marker::<crate::bus_worlds::Current>().await;
    }
}

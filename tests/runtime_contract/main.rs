//! What every runtime promises, asked of the fake and of a real podman alike: so the fake does not
//! lie. Without podman the real half fails.
#![allow(clippy::unwrap_used, clippy::panic)] // A failed assumption ends the test.
mod differential;
mod promises;
mod worlds;

#[path = "../support/podman_world.rs"]
mod podman_world;
#[path = "../support/private_registry.rs"]
mod private_registry;

macro_rules! contract {
    ($($promise:ident),* $(,)?) => {
        mod fake {
            $(#[tokio::test(start_paused = true)]
            async fn $promise() {
                crate::promises::$promise(crate::worlds::Fake::new()).await;
            })*
        }
        mod podman {
            $(#[tokio::test]
            async fn $promise() {
                crate::promises::$promise(crate::worlds::Podman::new()).await;
            })*
        }
    };
}

contract!(
    a_created_container_is_listed_and_does_not_run,
    a_started_container_has_a_live_process_and_starting_it_again_changes_nothing,
    a_look_shows_one_deployment_only,
    a_stop_signal_reaches_the_programs_own_handler,
    a_deaf_program_needs_sigkill,
    sigkill_ends_even_a_paused_container,
    a_command_in_a_container_tells_its_exit_code_and_its_last_words,
    a_command_that_takes_too_long_is_ended,
    no_command_is_run_in_a_container_that_does_not_run,
    the_last_words_of_a_container_are_what_it_said_on_both_streams,
    the_exit_code_of_a_program_that_ended_by_itself_is_seen_in_every_list,
    a_second_run_is_a_new_process,
    what_has_just_ended_is_started_again_before_its_cleanup,
    a_rename_leaves_the_process_alone,
    a_name_is_given_once,
    the_holder_of_a_name_is_nobody_ours_or_foreign,
    a_live_container_is_never_removed,
    what_is_not_there_counts_as_stopped_and_removed,
    a_missing_image_is_told_from_a_missing_network,
    files_are_in_a_container_before_it_starts_with_their_mode_and_owner,
    a_hidden_variable_is_in_the_programs_environment,
    an_archives_image_is_there_once_it_was_loaded_and_runs,
    an_archive_that_is_missing_or_broken_ends_in_one_error_that_says_which,
    a_private_registry_gives_its_image_only_to_who_shows_the_right_password,
    networks_and_volumes_are_made_once_and_the_volume_outlives_its_container,
    other_devices_and_foreign_containers_do_not_exist,
    a_port_in_use_fails_the_start_with_its_own_kind,
    a_runtime_that_says_running_of_a_dead_process_is_caught_and_healed,
    a_name_taken_only_in_storage_is_freed,
    a_start_and_a_death_are_hinted_at,
    a_pull_from_a_registry_that_is_not_there_ends_in_one_error,
    the_room_for_images_is_told,
    an_image_goes_with_its_last_name_and_not_while_a_container_uses_it,
    a_restart_of_the_service_changes_nothing_that_is_seen,
    a_missing_socket_is_unreachable_in_every_call,
);

//! Where podman listens.
use super::problem::{Place, Problem};
use super::raw::{Raw, problem};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

const ROOTFUL: &str = "/run/podman/podman.sock";

/// The configured socket, else `$CONTAINER_HOST`, else `$DOCKER_HOST`, else the rootful socket, else
/// the user's. A socket that is not there yet is fine: podman may start later.
pub fn build(
    raw: &mut Raw,
    environment: &HashMap<String, String>,
    needed: bool,
    problems: &mut Vec<Problem>,
) -> PathBuf {
    let configured = raw.text("runtime", "socket");
    let inherited = ["CONTAINER_HOST", "DOCKER_HOST"].into_iter().find_map(|name| {
        let value = environment.get(name).filter(|value| !value.is_empty())?;
        Some((Place::Variable(name.to_owned()), value.clone()))
    });
    // Without a runtime it does not matter where somebody's other tools connect to.
    let Some((place, given)) = configured.or(inherited.filter(|_| needed)) else {
        return default_socket(environment, &|path| path.exists());
    };
    path_of(&given).unwrap_or_else(|message| {
        problems.push(problem(place, message));
        PathBuf::new()
    })
}

fn path_of(given: &str) -> Result<PathBuf, String> {
    let path = match given.split_once("://") {
        None => given,
        Some(("unix", path)) => path,
        Some((scheme, _)) => {
            return Err(format!("only unix sockets are spoken to, not \"{scheme}://…\""));
        }
    };
    if path.starts_with('/') {
        Ok(path.into())
    } else {
        Err(format!("\"{given}\" must be an absolute path or unix:///absolute/path"))
    }
}

fn default_socket(environment: &HashMap<String, String>, exists: &dyn Fn(&Path) -> bool) -> PathBuf {
    let rootful = PathBuf::from(ROOTFUL);
    let users = environment.get("XDG_RUNTIME_DIR").filter(|dir| dir.starts_with('/'));
    match users.map(|dir| Path::new(dir).join("podman/podman.sock")) {
        Some(users) if !exists(&rootful) && exists(&users) => users,
        Some(_) | None => rootful,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_any_word_it_is_the_rootful_socket_unless_only_the_users_is_there() {
        let environment = HashMap::from([("XDG_RUNTIME_DIR".to_owned(), "/run/user/7".to_owned())]);
        let users = Path::new("/run/user/7/podman/podman.sock");
        let there =
            |found: &'static [&str]| move |path: &Path| found.iter().any(|found| path == Path::new(found));
        for (found, expected) in [
            (&[][..], Path::new(ROOTFUL)),
            (&["/run/user/7/podman/podman.sock"][..], users),
            (&["/run/user/7/podman/podman.sock", ROOTFUL][..], Path::new(ROOTFUL)),
        ] {
            assert_eq!(default_socket(&environment, &there(found)), expected);
        }
    }
}
